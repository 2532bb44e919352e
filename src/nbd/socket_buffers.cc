#include "nbd/socket_buffers.h"

#include <sys/socket.h>

#include <charconv>
#include <filesystem>
#include <string>

namespace kiln::nbd {
namespace {

constexpr int send_buffer_bytes = 4 << 20;

int option(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool is_connected_unix_stream(int fd) {
  return option(fd, SO_DOMAIN) == AF_UNIX && option(fd, SO_TYPE) == SOCK_STREAM && option(fd, SO_ACCEPTCONN) == 0;
}

void widen(int fd) {
  // The kernel doubles what it is told, and answers the doubled number.
  if (option(fd, SO_SNDBUF) >= send_buffer_bytes) return;
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer_bytes, sizeof send_buffer_bytes) == 0) return;
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
}

}  // namespace

void widen_socket_buffers() {
  std::error_code failure;
  auto entry = std::filesystem::directory_iterator("/proc/self/fd", failure);
  for (; !failure && entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
    const auto name = entry->path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd >= 0 && is_connected_unix_stream(fd)) widen(fd);
  }
}

}  // namespace kiln::nbd
