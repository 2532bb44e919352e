#pragma once
// Every file call of the block engine, injectable: tests cut the power, fill the disk and fail a sync through it.
//
// Files is lent by reference and is thread-safe; a File is owned by its opener, and its calls may run on several
// threads at once. Nothing here retries a failed sync: after one the kernel may have dropped the dirty pages
// (https://lwn.net/Articles/752063/), so the caller must give the file up.
// After a crash: what sync_data() covered is there; a new name is there once sync_directory() of its directory
// returned.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace kiln::base {

using Path = std::filesystem::path;

struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

class File {
 public:
  virtual ~File() = default;

  // Reads into out; fewer bytes than asked only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) = 0;
  // Writes all of bytes or fails.
  virtual Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // fdatasync: data, and what is needed to read it back.
  virtual Status sync_data() = 0;
  virtual Status truncate(std::uint64_t size_bytes) = 0;
  virtual Result<std::uint64_t> size() = 0;
  // The range reads as zeros and gives its space back; the file keeps its size. Not durable until sync_data().
  virtual Status punch_hole(Extent range) = 0;
  // The parts of range that may hold data (SEEK_DATA, SEEK_HOLE); ascending.
  virtual Result<std::vector<Extent>> data_extents(Extent range) = 0;
  // An exclusive flock; Fault::busy when somebody else holds it. Released when the File goes.
  virtual Status lock() = 0;
  // Bytes that the file takes on disk (st_blocks).
  virtual Result<std::uint64_t> allocated() = 0;

  // Reads exactly out.size() bytes; a short file is Fault::corrupt.
  Status read_exactly(std::uint64_t offset, std::span<std::byte> out);
};

// create_private is create_new for its owner's eyes alone (0600); the others may be read by the group.
enum class Open { read, read_write, create_new, create_private, create_or_open };

class Files {
 public:
  virtual ~Files() = default;

  virtual Result<std::unique_ptr<File>> open(const Path& path, Open how) = 0;
  virtual Status rename(const Path& from, const Path& to) = 0;
  virtual Status remove(const Path& path) = 0;  // a file, or an empty directory; not_found when it is not there
  virtual Status make_directories(const Path& path) = 0;
  virtual Status sync_directory(const Path& path) = 0;
  virtual Result<std::vector<std::string>> list(const Path& directory) = 0;  // names, sorted
  virtual Result<bool> exists(const Path& path) = 0;
  // /proc/sys/kernel/random/boot_id: another one means that the page cache was lost.
  virtual Result<std::string> boot_id() = 0;

  // The whole file; Fault::invalid when it is larger than at_most.
  Result<std::string> read_all(const Path& path, std::uint64_t at_most = 16 << 20);
  // Writes a temporary name, syncs, renames and syncs the directory: after a crash either the old or the new content.
  Status replace(const Path& path, std::span<const std::byte> content);
};

// The kernel's own file system calls.
Files& posix_files();
// A file that is open already; name is for its errors.
std::unique_ptr<File> file_of(Fd fd, std::string name);

}  // namespace kiln::base
