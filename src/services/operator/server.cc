#include "services/operator/server.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "base/log.h"
#include "services/operator/commands.h"

namespace kiln::services::operators {
namespace {

base::Fd bind_socket(const std::string& path) {
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::runtime_error("the path " + path + " is too long for a socket: use a shorter data directory");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ::unlink(path.c_str());  // <data>/LOCK is held: nobody else listens here
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(socket.get(), 16) != 0) {
    throw std::runtime_error("cannot listen on " + path + ": " + std::strerror(errno));
  }
  return socket;
}

}  // namespace

Server::Server(const control::Regions& regions, control::Principal principal, std::string socket_path)
    : regions_(regions),
      principal_(std::move(principal)),
      socket_path_(std::move(socket_path)),
      listening_(bind_socket(socket_path_)) {}

Server::~Server() { stop(); }

void Server::start() {
  thread_ = std::thread([this] { accept_until_stopped(); });
}

void Server::stop() {
  if (stopping_.exchange(true)) return;
  ::shutdown(listening_.get(), SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
  drop_finished(true);
  ::unlink(socket_path_.c_str());
}

void Server::drop_finished(bool all) {
  std::erase_if(connections_, [&](Connection& connection) {
    if (!all && !connection.done) return false;
    connection.thread.join();
    return true;
  });
}

void Server::accept_until_stopped() {
  while (!stopping_) {
    pollfd waiting{listening_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 1000) <= 0) continue;
    base::Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket) continue;
    drop_finished(false);
    Channel channel(std::move(socket));
    if (connections_.size() >= most_connections) {
      try {
        channel.send(error_line("RequestLimitExceeded", "kilnd is busy with other commands: try again in a moment"));
      } catch (const std::exception& failure) {
        base::log_warning("operator", "{}", failure.what());
      }
      continue;
    }
    Connection& connection = connections_.emplace_back();
    connection.thread = std::thread([this, &connection, moved = std::make_shared<Channel>(std::move(channel))] {
      serve(std::move(*moved));
      connection.done = true;
    });
  }
}

void Server::serve(Channel channel) {
  try {
    const auto uid = channel.peer_uid();
    if (uid != 0 && uid != ::geteuid()) {
      channel.send(error_line("UnauthorizedOperation", "only root and the user that runs kilnd may use its socket"));
      return;
    }
    const auto line = channel.receive();
    if (!line) return;
    run_command(regions_, principal_, channel, *line, stopping_);
  } catch (const std::exception& failure) {
    base::log_warning("operator", "a command ended early: {}", failure.what());
  }
}

}  // namespace kiln::services::operators
