#include "blocks/remote_volumes.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "blocks/control_protocol.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;
using Deadline = std::chrono::steady_clock::time_point;

// Waits until fd is ready for events; false when the deadline is over.
bool wait_for(int fd, short events, Deadline deadline) {
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd waiting{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the call that follows reports what is wrong
  }
}

Result<base::Fd> connect_to(const base::Path& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path) return Error(Fault::invalid, "the socket's path is too long");
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Error::from_errno("socket");
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno == ENOENT || errno == ECONNREFUSED) return Error(Fault::not_found, "no disk server listens there");
    // The server's queue is full. A Unix socket cannot be polled for a place in it.
    if (errno != EAGAIN) return Error::from_errno("connect");
    if (std::chrono::steady_clock::now() >= deadline) return Error(Fault::io, "the disk server accepts no connection");
    ::poll(nullptr, 0, 10);
  }
  return socket;
}

Status send_line(int socket, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (!wait_for(socket, POLLOUT, deadline)) return Error(Fault::io, "the disk server does not read");
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return Error::from_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

Result<std::string> receive_line(int socket, Deadline deadline) {
  std::string received;
  char piece[4096];
  while (received.size() < max_control_line_bytes) {
    if (!wait_for(socket, POLLIN, deadline)) return Error(Fault::io, "the disk server did not answer in time");
    const auto got = ::recv(socket, piece, sizeof piece, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return Error::from_errno("receive");
    if (got == 0) return Error(Fault::io, "the disk server ended the connection before it answered");
    received.append(piece, static_cast<std::size_t>(got));
    if (const auto end = received.find('\n'); end != std::string::npos) return received.substr(0, end);
  }
  return Error(Fault::invalid, "the disk server's answer is too long");
}

}  // namespace

Result<std::string> RemoteVolumes::ask(const std::string& line) {
  if (line.size() >= max_control_line_bytes) return Error(Fault::invalid, "the call is too long for a line");
  const auto deadline = std::chrono::steady_clock::now() + deadline_;
  const auto socket = connect_to(socket_, deadline);
  if (!socket) return socket.error().in(socket_.string());
  if (auto sent = send_line(socket->get(), line + "\n", deadline); !sent) return sent.error().in(socket_.string());
  auto answer = receive_line(socket->get(), deadline);
  if (!answer) return answer.error().in(socket_.string());
  return answer;
}

Result<Hello> RemoteVolumes::hello() {
  const auto answer = ask(control::hello());
  return answer ? control::read_hello(*answer) : answer.error();
}

Status RemoteVolumes::open(const OpenVolume& what) {
  const auto answer = ask(control::open(what));
  return answer ? control::read_done(*answer) : answer.error();
}

Status RemoteVolumes::close(const std::string& volume) {
  const auto answer = ask(control::close(volume));
  return answer ? control::read_done(*answer) : answer.error();
}

Result<std::vector<SealedVolume>> RemoteVolumes::seal(const std::vector<SealVolume>& what) {
  const auto answer = ask(control::seal(what));
  return answer ? control::read_sealed(*answer) : answer.error();
}

Status RemoteVolumes::sealed(const SealVolume& what) {
  const auto answer = ask(control::sealed(what));
  return answer ? control::read_done(*answer) : answer.error();
}

Status RemoteVolumes::unseal(const SealVolume& what) {
  const auto answer = ask(control::unseal(what));
  return answer ? control::read_done(*answer) : answer.error();
}

Status RemoteVolumes::rebase(const RebaseVolume& what) {
  const auto answer = ask(control::rebase(what));
  return answer ? control::read_done(*answer) : answer.error();
}

Status RemoteVolumes::resize(const std::string& volume, std::uint64_t size_bytes) {
  const auto answer = ask(control::resize(volume, size_bytes));
  return answer ? control::read_done(*answer) : answer.error();
}

Result<LaunchTouches> RemoteVolumes::launch_touches(const std::string& volume) {
  const auto answer = ask(control::launch_touches(volume));
  return answer ? control::read_launch_touches(*answer) : answer.error();
}

Status RemoteVolumes::prefetch(const PrefetchVolume& what) {
  const auto answer = ask(control::prefetch(what));
  return answer ? control::read_done(*answer) : answer.error();
}

Result<std::vector<VolumeStats>> RemoteVolumes::stats() {
  const auto answer = ask(control::stats());
  return answer ? control::read_stats(*answer) : answer.error();
}

}  // namespace kiln::blocks
