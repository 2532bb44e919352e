#pragma once
// The daemon's end of the operator's channel: import, export, usage, verify, gc, scrub.
//
// Owned by the daemon's wiring. One thread accepts, one thread a connection works, at most most_connections at once;
// a further one is told to try later. stop() lets running commands see that they should end, and waits for them.

#include <atomic>
#include <list>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/mutex.h"
#include "control/region.h"
#include "services/operator/channel.h"

namespace kiln::services::operators {

class Server {
 public:
  static constexpr std::size_t most_connections = 8;

  // Binds socket_path, replacing what an earlier daemon left. principal: on whose behalf the operator works unless a
  // request names another account.
  Server(const control::Regions& regions, control::Principal principal, std::string socket_path);
  ~Server();
  void start();
  void stop();

 private:
  struct Connection {
    std::thread thread;
    std::atomic<bool> done = false;
  };
  void accept_until_stopped();
  void serve(Channel channel);
  void drop_finished(bool all);

  const control::Regions& regions_;
  const control::Principal principal_;
  const std::string socket_path_;
  base::Fd listening_;
  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  std::list<Connection> connections_;  // touched by the accepting thread alone, and by stop() after it ended
};

}  // namespace kiln::services::operators
