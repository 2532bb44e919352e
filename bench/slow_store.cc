// A library for LD_PRELOAD: every read of a pack takes KILN_SLOW_STORE_MS longer, as from a store on another machine,
// and is counted: KILN_SLOW_STORE_COUNT names a file of two little-endian 64-bit numbers, reads and bytes.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>

namespace {

struct Counts {
  std::atomic<std::uint64_t> reads, bytes;
};

Counts* open_counts() {
  const char* path = std::getenv("KILN_SLOW_STORE_COUNT");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* mapped = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return mapped == MAP_FAILED ? nullptr : static_cast<Counts*>(mapped);
}

bool is_pack(int fd) {
  char path[4096];
  const auto count = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return count > 0 && std::string_view(path, static_cast<std::size_t>(count)).ends_with(".pack");
}

}  // namespace

extern "C" ssize_t pread(int fd, void* buffer, std::size_t count, off_t offset) {
  static const auto real = reinterpret_cast<ssize_t (*)(int, void*, std::size_t, off_t)>(::dlsym(RTLD_NEXT, "pread"));
  static const char* const wanted = std::getenv("KILN_SLOW_STORE_MS");
  static const std::chrono::milliseconds latency(wanted == nullptr ? 0 : std::atoi(wanted));
  static Counts* const counts = open_counts();
  const auto got = real(fd, buffer, count, offset);
  if (got <= 0 || !is_pack(fd)) return got;
  const auto deadline = std::chrono::steady_clock::now() + latency;
  std::this_thread::sleep_until(deadline);
  if (counts != nullptr) {
    counts->reads += 1;
    counts->bytes += static_cast<std::uint64_t>(got);
  }
  return got;
}
extern "C" ssize_t pread64(int fd, void* buffer, std::size_t count, off_t offset) {
  return pread(fd, buffer, count, offset);
}
