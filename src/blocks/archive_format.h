#pragma once
// An archive: a whole disk in one file, compressed hard, that needs nothing besides itself and its keys
// (docs/formats/archive.md).
//
//   header 152 | frame | frame | ... | footer: chunk ids, places, offsets of frames | SHA-256 | footer length | magic
//
// The SHA-256 covers header and footer; the tree that the footer's ids make has the root that the header names, so who
// has parsed an archive knows what every byte of the disk must be. Values and pure functions. A version or a feature
// that this program does not know is Fault::unsupported and named; anything else that is wrong is Fault::corrupt.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/disk_id.h"
#include "blocks/key_domain.h"

namespace kiln::blocks {

constexpr std::uint32_t archive_version = 1;
constexpr std::size_t archive_header_bytes = 152, archive_frame_header_bytes = 40, archive_trailer_bytes = 48;
constexpr std::size_t max_archive_name_bytes = 48;
// What is written; a reader takes up to max_archive_frame_chunks.
constexpr std::uint32_t archive_frame_chunks = 16, max_archive_frame_chunks = 64;

struct ArchiveHeader {
  std::string name;  // what it is an archive of: snap-...
  DomainId domain;   // whose keys it is encrypted with, and its chunk ids are masked with; plain: none
  DiskId disk;
  std::uint64_t chunks = 0;  // distinct ones
  std::uint64_t places = 0;  // chunks of the disk that are not zeros
  std::uint32_t frame_chunks = archive_frame_chunks;

  bool valid() const;
  std::uint64_t frames() const { return (chunks + frame_chunks - 1) / frame_chunks; }
  // Of the plaintext of a frame.
  std::size_t frame_bytes(std::uint64_t frame) const;
  bool operator==(const ArchiveHeader&) const = default;
};

struct ArchivePlace {
  std::uint64_t chunk_index = 0;
  std::uint32_t position = 0;  // of its content among the distinct chunks

  bool operator==(const ArchivePlace&) const = default;
};

struct ArchiveContents {
  ArchiveHeader header;
  std::vector<ChunkId> ids;            // of distinct chunks, in the order of their first place
  std::vector<ArchivePlace> places;    // ascending by index
  std::vector<std::uint64_t> offsets;  // of frames
  std::uint64_t size_bytes = 0;        // of the whole file

  // Whether the parts agree with each other, the root of the disk included.
  bool valid() const;
  std::uint64_t stored_bytes(std::uint64_t frame) const;  // with its header
};

base::Bytes encode_archive_header(const ArchiveHeader& header);
// Everything behind the last frame. contents is valid(), but for its size.
base::Bytes encode_archive_tail(const ArchiveContents& contents);

// Reads so many bytes from an offset that lies inside the file.
using ReadArchivePart = std::function<base::Status(std::uint64_t offset, std::span<std::byte> out)>;
// Reads header and footer, not the frames; what it allocates is bounded by the size of the file.
base::Result<ArchiveContents> parse_archive(std::uint64_t size_bytes, const ReadArchivePart& read);

// A whole frame: plain is the bytes of its chunks. domain is the header's, null without one.
base::Result<base::Bytes> encode_archive_frame(const ArchiveHeader& header, std::uint64_t frame,
                                               std::span<const std::byte> plain, const KeyDomain* domain);
// The checksum of a stored frame and what its header says, without a key.
base::Status check_archive_frame(const ArchiveHeader& header, std::uint64_t frame, std::span<const std::byte> stored);
// The chunks of a frame, decoded and not hashed. Fault::no_key without the domain of an encrypted one.
base::Result<base::Bytes> decode_archive_frame(const ArchiveHeader& header, std::uint64_t frame,
                                               std::span<const std::byte> stored, const KeyDomain* domain);

}  // namespace kiln::blocks
