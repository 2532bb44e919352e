#include "base/files.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/ids.h"

namespace kiln::base {
namespace {

class PosixFile final : public File {
 public:
  PosixFile(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const auto got = ::pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Error::from_errno("read " + name_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Error::from_errno("write " + name_);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Status sync_data() override {
    if (::fdatasync(fd_.get()) != 0) return Error::from_errno("fdatasync " + name_);
    return {};
  }

  Status truncate(std::uint64_t size_bytes) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) != 0) return Error::from_errno("truncate " + name_);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return Error::from_errno("stat " + name_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<std::uint64_t> allocated() override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return Error::from_errno("stat " + name_);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  Status punch_hole(Extent range) override {
    if (range.length == 0) return {};
    if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                    static_cast<off_t>(range.length)) != 0) {
      return Error::from_errno("punch a hole in " + name_);
    }
    return {};
  }

  Result<std::vector<Extent>> data_extents(Extent range) override {
    std::vector<Extent> found;
    const auto end = range.offset + range.length;
    auto at = range.offset;
    while (at < end) {
      const off_t data = ::lseek(fd_.get(), static_cast<off_t>(at), SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // nothing but holes up to the end of the file
      if (data < 0) return Error::from_errno("seek in " + name_);
      if (static_cast<std::uint64_t>(data) >= end) break;
      const off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
      if (hole < 0) return Error::from_errno("seek in " + name_);
      const auto stop = std::min<std::uint64_t>(static_cast<std::uint64_t>(hole), end);
      found.push_back({static_cast<std::uint64_t>(data), stop - static_cast<std::uint64_t>(data)});
      at = stop;
    }
    return found;
  }

  Status lock() override {
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return {};
    if (errno == EWOULDBLOCK) return Error(Fault::busy, name_ + " is locked by another process");
    return Error::from_errno("lock " + name_);
  }

 private:
  Fd fd_;
  std::string name_;
};

class PosixFiles final : public Files {
 public:
  Result<std::unique_ptr<File>> open(const Path& path, Open how) override {
    Fd fd(::open(path.c_str(), flags(how) | O_CLOEXEC, how == Open::create_private ? 0600 : 0640));
    if (!fd) return Error::from_errno("open " + path.string());
    return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), path.string()));
  }

  Status rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return Error::from_errno("rename " + from.string() + " to " + to.string());
    }
    return {};
  }

  Status remove(const Path& path) override {
    if (::remove(path.c_str()) != 0) return Error::from_errno("remove " + path.string());
    return {};
  }

  Status make_directories(const Path& path) override {
    std::error_code failure;
    std::filesystem::create_directories(path, failure);
    if (failure) return Error::from_errno("create directory " + path.string(), failure.value());
    return {};
  }

  Status sync_directory(const Path& path) override {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return Error::from_errno("open " + path.string());
    if (::fsync(fd.get()) != 0) return Error::from_errno("fsync " + path.string());
    return {};
  }

  Result<std::vector<std::string>> list(const Path& directory) override {
    std::error_code failure;
    std::vector<std::string> names;
    auto entry = std::filesystem::directory_iterator(directory, failure);
    for (; !failure && entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
      names.push_back(entry->path().filename().string());
    }
    if (failure) return Error::from_errno("list " + directory.string(), failure.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> exists(const Path& path) override {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return Error::from_errno("stat " + path.string());
  }

  Result<std::string> boot_id() override {
    auto text = read_all("/proc/sys/kernel/random/boot_id");
    if (!text) return text.error();
    while (!text->empty() && text->back() == '\n') text->pop_back();
    return text;
  }

 private:
  static int flags(Open how) {
    switch (how) {
      case Open::read: return O_RDONLY;
      case Open::read_write: return O_RDWR;
      case Open::create_new:
      case Open::create_private: return O_RDWR | O_CREAT | O_EXCL;
      case Open::create_or_open: return O_RDWR | O_CREAT;
    }
    return O_RDONLY;
  }
};

}  // namespace

Status File::read_exactly(std::uint64_t offset, std::span<std::byte> out) {
  const auto got = read_at(offset, out);
  if (!got) return got.error();
  if (*got != out.size()) {
    return Error(Fault::corrupt, "wanted " + std::to_string(out.size()) + " bytes at offset " + std::to_string(offset) +
                                     ", found " + std::to_string(*got));
  }
  return {};
}

Result<std::string> Files::read_all(const Path& path, std::uint64_t at_most) {
  auto file = open(path, Open::read);
  if (!file) return file.error();
  std::string content;
  // Files of /proc have no size, so this reads until the end instead of asking for one.
  std::vector<std::byte> piece(64 << 10);
  while (content.size() <= at_most) {
    const auto got = (*file)->read_at(content.size(), piece);
    if (!got) return got.error();
    if (*got == 0) return content;
    content += as_text(std::span(piece).first(*got));
  }
  return Error(Fault::invalid, path.string() + " is larger than " + std::to_string(at_most) + " bytes");
}

Status Files::replace(const Path& path, std::span<const std::byte> content) {
  const Path temporary = path.string() + ".tmp-" + random_hex(4);
  {
    auto file = open(temporary, Open::create_new);
    if (!file) return file.error();
    KILN_TRY((*file)->write_at(0, content));
    KILN_TRY((*file)->sync_data());
  }
  KILN_TRY(rename(temporary, path));
  return sync_directory(path.parent_path());
}

std::unique_ptr<File> file_of(Fd fd, std::string name) {
  return std::make_unique<PosixFile>(std::move(fd), std::move(name));
}

Files& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace kiln::base
