#pragma once
// Writing, checking and reading archives: whole disks in files of their own, beside the store (archive_format.h).
//
// Called by jobs of the daemon, on their thread; frames are compressed, or decoded, by a few more. Waits for the disk.
// Memory: a few frames of 8 MiB, and about 44 bytes for each chunk of the disk. Reading a disk for its archive leaves
// memory and slots of the store to others (Store::chunk_once). The file is whoever's who opened it: write_archive syncs
// it, and names and renames are the caller's.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "blocks/archive_format.h"
#include "blocks/ingest.h"
#include "blocks/pack_scan.h"
#include "blocks/store.h"

namespace kiln::blocks {

// Told how many chunks of how many are done; false ends the work with Fault::busy.
using ArchiveProgress = std::function<bool(std::uint64_t done, std::uint64_t chunks)>;

struct NewArchive {
  std::string name;            // what it is an archive of
  DiskId disk;                 // of the store
  DomainPtr domain = nullptr;  // that the disk is stored with; null: none
  unsigned threads = ingest_threads();
};
// Writes the archive into an empty file, and syncs it. Chunks are verified as they are read from the store.
base::Result<ArchiveContents> write_archive(Store& store, const NewArchive& what, base::File& file,
                                            const ArchiveProgress& progress = {});

base::Result<ArchiveContents> read_archive_contents(base::File& file);

struct ArchiveDamage {
  std::uint64_t frame = 0, offset = 0;
  std::uint64_t chunk_index = 0;  // the first one that is lost with it
  std::string why;
};
struct CheckedArchive {
  ArchiveContents contents;
  bool decoded = false;  // false: the checksums alone, because the key is not at hand
  std::vector<ArchiveDamage> bad;
};
// Reads everything: each frame's checksum, and with its key what it decodes to, by the id of each chunk. Header and
// footer that cannot be read are an error.
base::Result<CheckedArchive> check_archive(base::File& file, const Keyring* keys, const ArchiveProgress& progress = {});

// Puts the disk of the archive into a session, whose domain is the archive's. Each chunk is hashed before; the first
// one that is not what the archive says is Fault::corrupt.
base::Status put_archive(base::File& file, const ArchiveContents& contents, const KeyDomain* domain, Ingest& into,
                         const ArchiveProgress& progress = {});

}  // namespace kiln::blocks
