#include "http/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace kiln::http {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

Address parse_address(const ListenOn& where) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET, where.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(where.port));
    address.length = sizeof *v4;
  } else if (inet_pton(AF_INET6, where.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(where.port));
    address.length = sizeof *v6;
  } else {
    throw std::runtime_error("listen on " + where.host + ": not a numeric address");
  }
  if (where.port < 0 || where.port > 65535) {
    throw std::runtime_error("listen on port " + std::to_string(where.port) + ": not a port");
  }
  return address;
}

void require(bool done, const ListenOn& where, const char* what) {
  if (done) return;
  const int number = errno;
  throw std::runtime_error("listen on " + where.host + " port " + std::to_string(where.port) +
                           (where.device.empty() ? "" : " device " + where.device) + ": " + what + ": " +
                           std::strerror(number));
}

int number_from(const char* name) {
  const char* text = std::getenv(name);
  int number = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), number);
  return number;
}

}  // namespace

base::Fd listen_on(const ListenOn& where) {
  const Address address = parse_address(where);
  const int family = address.storage.ss_family;
  base::Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  require(static_cast<bool>(fd), where, "socket");
  const int on = 1;
  require(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0, where, "SO_REUSEADDR");
  if (!where.device.empty()) {
    require(::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, where.device.c_str(),
                         static_cast<socklen_t>(where.device.size())) == 0,
            where, "SO_BINDTODEVICE");
  }
  if (where.free_bind) {
    const int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    const int option = family == AF_INET ? IP_FREEBIND : IPV6_FREEBIND;
    require(::setsockopt(fd.get(), level, option, &on, sizeof on) == 0, where, "IP_FREEBIND");
  }
  require(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0, where, "bind");
  require(::listen(fd.get(), SOMAXCONN) == 0, where, "listen");
  return fd;
}

std::vector<base::Fd> inherited_sockets() {
  constexpr int first = 3;
  constexpr int most = 64;
  std::vector<base::Fd> sockets;
  // A parent that does not know our pid, such as a shell, leaves LISTEN_PID away.
  const bool ours = std::getenv("LISTEN_PID") == nullptr || number_from("LISTEN_PID") == ::getpid();
  const int count = ours ? std::min(number_from("LISTEN_FDS"), most) : 0;
  for (int fd = first; fd < first + count; ++fd) {
    int listening = 0;
    socklen_t length = sizeof listening;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0 || listening == 0) {
      throw std::runtime_error("LISTEN_FDS: descriptor " + std::to_string(fd) + " is not a listening socket");
    }
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets.emplace_back(fd);
  }
  ::unsetenv("LISTEN_PID");
  ::unsetenv("LISTEN_FDS");
  ::unsetenv("LISTEN_FDNAMES");
  return sockets;
}

}  // namespace kiln::http
