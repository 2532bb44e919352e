#include "control/unnamed_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "base/bytes.h"
#include "base/error.h"
#include "base/ids.h"

namespace kiln::control {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(base::Error::from_errno(what).message()); }

void write_all(int to, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto put = ::pwrite(to, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("writing a copy");
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

// Where data begins at or after offset, at most end.
std::uint64_t data_from(int fd, std::uint64_t offset, std::uint64_t end) {
  const auto found = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
  if (found >= 0) return std::min(static_cast<std::uint64_t>(found), end);
  return errno == ENXIO ? end : offset;  // otherwise a file system or device that does not know its holes
}

}  // namespace

base::Fd unnamed_file(Region& region, OthersMay others_may) {
  const auto directory = region.directory / "imports";
  if (auto made = region.files.make_directories(directory); !made) throw std::runtime_error(made.error().message());
  const auto path = directory / (base::new_uuid() + ".raw");
  base::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) fail("open " + path.string());
  if (auto unnamed = region.files.remove(path); !unnamed) throw std::runtime_error(unnamed.error().message());
  if (::fchmod(fd.get(), others_may == OthersMay::write ? 0666 : 0444) != 0) fail("fchmod " + path.string());
  return fd;
}

bool copy_sparse(int from, std::uint64_t offset, std::uint64_t length, int to, const std::function<bool()>& go_on) {
  struct stat about {};
  if (::fstat(from, &about) != 0) fail("stat");
  // A file system that shares extents makes the copy in no time and no space.
  if (offset == 0 && S_ISREG(about.st_mode) && static_cast<std::uint64_t>(about.st_size) == length &&
      ::ioctl(to, FICLONE, from) == 0) {
    return true;
  }
  if (::ftruncate(to, static_cast<off_t>(length)) != 0) fail("truncating a copy");
  base::Bytes buffer(1 << 20);
  for (auto at = data_from(from, offset, offset + length); at < offset + length;) {
    if (go_on && !go_on()) return false;
    const auto wanted = std::min<std::uint64_t>(buffer.size(), offset + length - at);
    const auto got = ::pread(from, buffer.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("reading for a copy");
    if (got == 0) throw std::runtime_error("the file became shorter while it was read");
    const auto piece = std::span(buffer).first(static_cast<std::size_t>(got));
    if (!std::ranges::all_of(piece, [](std::byte byte) { return byte == std::byte{}; })) {
      write_all(to, at - offset, piece);
    }
    at = data_from(from, at + static_cast<std::uint64_t>(got), offset + length);
  }
  return true;
}

std::uint64_t allocated_bytes(int fd) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) fail("stat");
  return static_cast<std::uint64_t>(about.st_blocks) * 512;
}

}  // namespace kiln::control
