#include "blocks/control_protocol_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "blocks/control_protocol.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Fd;
using base::Result;
using base::Status;

constexpr int backlog = 16;
constexpr auto full_pause = std::chrono::milliseconds(20);

Status address_of(const base::Path& path, sockaddr_un& address) {
  address = {};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path) {
    return Error(Fault::invalid, "the socket's path is longer than " + std::to_string(sizeof address.sun_path - 1) +
                                     " bytes: " + path.string());
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  return {};
}

// Waits until fd can be read, or event says stop, or the time is over; true in the first case.
bool wait_readable(int fd, int event, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() < 0) return false;
    pollfd waiting[2] = {{.fd = fd, .events = POLLIN, .revents = 0}, {.fd = event, .events = POLLIN, .revents = 0}};
    const int ready = ::poll(waiting, 2, static_cast<int>(left.count()) + 1);
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0 && waiting[1].revents != 0) return false;
    if (ready > 0 && waiting[0].revents != 0) return true;
  }
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

Result<Fd> ControlServer::listen_at(const base::Path& path) {
  sockaddr_un address;
  KILN_TRY(address_of(path, address));
  const auto* raw = reinterpret_cast<const sockaddr*>(&address);
  Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return Error::from_errno("socket");
  if (::connect(probe.get(), raw, sizeof address) == 0 || errno == EAGAIN) {
    return Error(Fault::busy, "another disk server listens at " + path.string());
  }
  // What nobody listens on was left by a process that was killed.
  if (errno == ECONNREFUSED && ::unlink(path.c_str()) != 0) return Error::from_errno("remove " + path.string());
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener) return Error::from_errno("socket");
  if (::fchmod(listener.get(), 0600) != 0) return Error::from_errno("fchmod of a socket");
  if (::bind(listener.get(), raw, sizeof address) != 0) return Error::from_errno("bind " + path.string());
  if (::chmod(path.c_str(), 0600) != 0) return Error::from_errno("chmod " + path.string());
  if (::listen(listener.get(), backlog) != 0) return Error::from_errno("listen " + path.string());
  return listener;
}

ControlServer::ControlServer(Fd listener, VolumeService& service, Options options)
    : service_(service),
      options_(options),
      listener_(std::move(listener)),
      stop_event_(::eventfd(0, EFD_CLOEXEC)),
      acceptor_([this] { accept_until_stopped(); }) {}

ControlServer::~ControlServer() {
  {
    base::Lock lock(mutex_);
    stopping_ = true;
  }
  // Never read, so every thread that polls it wakes, now and later.
  const std::uint64_t one = 1;
  if (::write(stop_event_.get(), &one, sizeof one) < 0) base::log_error("blocks", "eventfd: {}", std::strerror(errno));
  acceptor_.join();
  std::list<Connection> connections;
  {
    base::Lock lock(mutex_);
    connections.swap(connections_);
  }
  for (auto& connection : connections) {
    ::shutdown(connection.socket.get(), SHUT_RDWR);
    connection.thread.join();
  }
}

// Only the accepting thread, and the destructor after it, remove connections.
void ControlServer::join_ended() {
  std::list<Connection> ended;
  {
    base::Lock lock(mutex_);
    for (auto at = connections_.begin(); at != connections_.end();) {
      const auto next = std::next(at);
      if (at->ended) ended.splice(ended.end(), connections_, at);
      at = next;
    }
  }
  for (auto& connection : ended) connection.thread.join();
}

bool ControlServer::full() {
  base::Lock lock(mutex_);
  return connections_.size() >= options_.max_connections;
}

void ControlServer::accept_until_stopped() {
  while (true) {
    const bool ready = wait_readable(listener_.get(), stop_event_.get(), std::chrono::seconds(60));
    {
      base::Lock lock(mutex_);
      if (stopping_) return;
    }
    join_ended();
    if (!ready) continue;
    if (full()) {
      // Callers wait in the listener's queue until somebody leaves, or their own deadline is over.
      wait_readable(-1, stop_event_.get(), full_pause);
      continue;
    }
    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) {
      // Out of descriptors, say: the caller stays in the queue, so this must not spin.
      if (errno != EINTR && errno != ECONNABORTED) wait_readable(-1, stop_event_.get(), std::chrono::milliseconds(100));
      continue;
    }
    timeval limit{.tv_sec = static_cast<time_t>(options_.idle_limit.count() / 1000),
                  .tv_usec = static_cast<suseconds_t>(options_.idle_limit.count() % 1000 * 1000)};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    base::Lock lock(mutex_);
    auto& connection = connections_.emplace_back();
    connection.socket = std::move(socket);
    connection.thread = std::thread([this, &connection] {
      serve(connection);
      base::Lock ended(mutex_);
      ::shutdown(connection.socket.get(), SHUT_RDWR);
      connection.ended = true;
    });
  }
}

void ControlServer::serve(Connection& connection) {
  const int socket = connection.socket.get();
  std::string received;
  while (true) {
    const auto end = received.find('\n');
    if (end != std::string::npos) {
      const auto answer = control::answer_call(service_, std::string_view(received).substr(0, end));
      if (!send_all(socket, answer + "\n")) return;
      received.erase(0, end + 1);
      continue;
    }
    if (received.size() >= max_control_line_bytes) {
      (void)send_all(socket, R"({"v":1,"ok":false,"fault":"invalid","message":"the line is too long"})"
                             "\n");
      return;
    }
    if (!wait_readable(socket, stop_event_.get(), options_.idle_limit)) return;
    char piece[4096];
    const auto got = ::recv(socket, piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    received.append(piece, static_cast<std::size_t>(got));
  }
}

}  // namespace kiln::blocks
