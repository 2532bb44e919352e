#pragma once
// Units of the engine, and the identity of a finished disk.
//
// A disk is an array of 512 KiB chunks; a chunk is 128 units of 4 KiB. A chunk's id is the SHA-256 of its plaintext,
// which is also its EBS checksum. The chunk of zeros has the null id and is never stored. A disk whose size is not a
// multiple of 512 KiB is continued with zeros inside its last chunk.

#include <cstdint>

#include "base/digest.h"

namespace kiln::blocks {

constexpr std::uint64_t chunk_bytes = 512 << 10;
constexpr std::uint64_t unit_bytes = 4 << 10;
constexpr std::uint64_t units_per_chunk = chunk_bytes / unit_bytes;
constexpr std::uint64_t max_disk_bytes = std::uint64_t{64} << 40;

using ChunkId = base::Digest;  // null: zeros

// Everything that a disk is: two disks with one DiskId have the same bytes. A null root is a disk of zeros.
struct DiskId {
  base::Digest root;
  std::uint64_t size_bytes = 0;

  bool operator==(const DiskId&) const = default;
};

}  // namespace kiln::blocks
