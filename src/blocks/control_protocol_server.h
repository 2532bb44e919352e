#pragma once
// Serves a VolumeService to whoever connects to a listening Unix stream socket.
//
// Owned by the disk server's wiring, which starts it after nbdkit has forked; the service is lent. One thread accepts;
// each connection has a thread of its own because a call may wait for the disk. With max_connections of them the next
// callers wait in the listener's queue. A connection that sends nothing for idle_limit, or a line that is too long, is
// closed. The destructor disconnects everybody and waits for calls that are under way.

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/files.h"
#include "base/mutex.h"
#include "blocks/volume_service.h"

namespace kiln::blocks {

class ControlServer {
 public:
  struct Options {
    std::size_t max_connections = 16;
    std::chrono::milliseconds idle_limit{30'000};
  };
  // Starts threads. listener is a listening socket.
  ControlServer(base::Fd listener, VolumeService& service, Options options);
  ControlServer(base::Fd listener, VolumeService& service) : ControlServer(std::move(listener), service, Options{}) {}
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // Binds and listens at path (mode 0600). A stale socket there is replaced; busy when somebody answers on it.
  static base::Result<base::Fd> listen_at(const base::Path& path);

 private:
  struct Connection {
    base::Fd socket;
    std::thread thread;
    bool ended = false;
  };
  void accept_until_stopped();
  void serve(Connection& connection);
  void join_ended();
  bool full();

  VolumeService& service_;
  const Options options_;
  base::Fd listener_;
  base::Fd stop_event_;
  base::Mutex mutex_;
  std::list<Connection> connections_ KILN_GUARDED_BY(mutex_);
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
  std::thread acceptor_;
};

}  // namespace kiln::blocks
