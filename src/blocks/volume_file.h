#pragma once
// The file VOLUME: what a volume is and which generations it has. docs/formats/volume.md
//
// Replaced as a whole (temporary name, sync, rename, directory sync), so after a crash it is the old or the new one.
// It is the authority: a generation it does not name does not exist, whatever files lie beside it. Pure codec; the
// owner of the volume's lock is the only writer, anybody may read.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "blocks/disk_id.h"
#include "blocks/key_domain.h"

namespace kiln::blocks {

constexpr std::uint32_t volume_format = 1;

enum class GenerationState : std::uint8_t {
  sealed = 1,   // a snapshot's cut ends here
  merged = 2,   // takes no writes and ends no cut: belongs to the generation above it
  current = 3,  // takes the writes
  next = 4,     // prepared, to take the writes after the next cut
};

struct GenerationEntry {
  std::uint64_t number = 0;
  GenerationState state = GenerationState::current;
  std::uint64_t size_bytes = 0;  // of the disk at the cut when sealed; 0 otherwise
  std::string snapshot;          // of a sealed one
  std::string data_file;         // gen-1.data
  std::string map_file;          // gen-1.map

  bool operator==(const GenerationEntry&) const = default;
};

struct VolumeFile {
  std::string volume;
  std::uint64_t size_bytes = 0;
  DiskId base;
  std::uint64_t epoch = 0;
  DomainId domain;                           // whose keys what is written is encrypted with; plain: it is not
  DomainId base_domain;                      // and the base disk
  std::vector<GenerationEntry> generations;  // ascending: sealed and merged ones, one current, at most one next

  bool operator==(const VolumeFile&) const = default;

  const GenerationEntry& current() const;
  const GenerationEntry* next() const;
  const GenerationEntry* sealed_as(const std::string& snapshot) const;
  // Ascending numbers, one current, next last, names that are plain file names, sizes that a disk can have.
  base::Status valid() const;
};

base::Bytes encode(const VolumeFile& volume);  // asserts valid()
base::Result<VolumeFile> decode_volume_file(std::span<const std::byte> bytes);

base::Path volume_file_path(const base::Path& directory);
base::Result<VolumeFile> read_volume_file(base::Files& files, const base::Path& directory);
base::Status write_volume_file(base::Files& files, const base::Path& directory, const VolumeFile& volume);

}  // namespace kiln::blocks
