// A library for LD_PRELOAD: fdatasync fails with EIO for the files whose path holds the text that is in the file that
// KILN_FAILING_SYNC names. As with a real disk that fails, only the caller of the sync is told, and only once a sync.
//
// Faulty disks cannot be had without kernel modules; this is as near to one as a process can be brought.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

namespace {

std::string text_of(const char* path) {
  char text[256];
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const auto count = ::read(fd, text, sizeof text);
  ::close(fd);
  return count > 0 ? std::string(text, static_cast<std::size_t>(count)) : std::string();
}

bool fails(int fd) {
  const char* file = std::getenv("KILN_FAILING_SYNC");
  const auto wanted = file == nullptr ? std::string() : text_of(file);
  if (wanted.empty()) return false;
  char path[4096];
  const auto count = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return count > 0 && std::string(path, static_cast<std::size_t>(count)).find(wanted) != std::string::npos;
}

}  // namespace

extern "C" int fdatasync(int fd) {
  if (fails(fd)) {
    errno = EIO;
    return -1;
  }
  static const auto real = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fdatasync"));
  return real(fd);
}
