#pragma once
// The data of a generation: bytes of the disk at their own offsets, in files that no file system finds too large.
//
//   gen-1.data     bytes 0 .. 8 TiB - 1       ext4 ends a file 4 KiB before 16 TiB; a disk may have 64 TiB
//   gen-1.data.1   bytes 8 TiB .. 16 TiB - 1  there only when the disk is larger than 8 TiB
//   ...
//
// With a cipher what lies in the files is encrypted unit by unit, and 16 bytes of it depend on no others: a torn write
// leaves every 512 bytes old or new, as without.
//
// Owned by a Generation. Reads and writes are thread-safe; grow() and remove() are calls of the volume's owner. sync()
// covers what was written before it began. Creating and growing leave the directory to the caller to sync.

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "base/files.h"
#include "blocks/disk_id.h"
#include "blocks/unit_cipher.h"

namespace kiln::blocks {

constexpr std::uint64_t data_part_bytes = std::uint64_t{8} << 40;

class DataFile {
 public:
  // Files without content for a disk of size_bytes; what an earlier try left there goes.
  static base::Status create(base::Files& files, const base::Path& path, std::uint64_t size_bytes);
  // For writing, all parts of a disk of size_bytes must be there. For reading, it may have grown since the parts were
  // made: what is missing then was never written to, and a read there is Fault::corrupt.
  static base::Result<std::unique_ptr<DataFile>> open(base::Files& files, const base::Path& path, base::Open how,
                                                      std::uint64_t size_bytes,
                                                      std::shared_ptr<const UnitCipher> cipher = nullptr);
  // Success when there is nothing.
  static base::Status remove(base::Files& files, const base::Path& path);
  // Whether the file called name is one of those of the data file called data_file.
  static bool is_part(const std::string& name, const std::string& data_file);

  // Makes the parts that a disk of size_bytes needs besides.
  base::Status grow(base::Files& files, std::uint64_t size_bytes);

  // The bytes of one unit are written by one thread at a time.
  base::Status read_exactly(std::uint64_t offset, std::span<std::byte> out);
  base::Status write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  base::Status punch_hole(base::Extent range);
  base::Status sync();

 private:
  struct Part {
    std::unique_ptr<base::File> file;
    std::atomic<bool> written = false;  // since its last sync, or perhaps so
  };

  DataFile(base::Path path, std::shared_ptr<const UnitCipher> cipher)
      : path_(std::move(path)), cipher_(std::move(cipher)) {}
  base::Status read_stored(std::uint64_t offset, std::span<std::byte> out);
  base::Status write_stored(std::uint64_t offset, std::span<const std::byte> bytes);
  base::Status decrypted(std::uint64_t offset, std::span<std::byte> out);
  template <class Call>
  base::Status in_parts(std::uint64_t offset, std::uint64_t length, Call call);

  const base::Path path_;
  const std::shared_ptr<const UnitCipher> cipher_;  // null: plain
  // A part is put here before the count says so, and stays: readers need no lock.
  std::array<Part, max_disk_bytes / data_part_bytes> parts_;
  std::atomic<std::size_t> parts_in_use_ = 0;
};

}  // namespace kiln::blocks
