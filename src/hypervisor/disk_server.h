#pragma once
// The nbdkit processes that serve instances' volumes: one per instance, in a session of its own, outliving us.
//
// Both listening sockets are made here and handed to nbdkit, so that their owner and mode are ours and a client never
// meets a socket that is not listening: they are bound under another name and renamed into place, which is also how a
// server that was killed is replaced under QEMU's eyes. In the run directory:
//   nbd.sock    NBD, what QEMU connects to (0660, QEMU's group)
//   ctl.sock    the plugin's control protocol (0600)
//   nbdkit.pid  written by nbdkit when it serves
//   nbdkit.log  its standard error, appended to
//
// A server runs when it answers on ctl.sock; the pid file serves only to stop it, after /proc has shown that this
// process is that server. After a crash of ours the server goes on and start() finds it. Thread-safe for different
// servers; calls for one server are the caller's to serialise. Throws HostError.

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "hypervisor/host.h"

namespace kiln::hypervisor {

struct DiskServerOptions {
  std::string nbdkit = "nbdkit";
  std::string plugin;             // a path, or the name of one of nbdkit's own
  std::string socket_group = {};  // the group that QEMU runs as; empty: the one that start() is told
  bool control = true;            // pass control-fd=N; nbdkit's own plugins do not know it
  std::chrono::milliseconds start_limit{15'000};
  std::chrono::milliseconds stop_limit{20'000};  // then it is killed
};

class DiskServers {
 public:
  explicit DiskServers(DiskServerOptions options) : options_(std::move(options)) {}

  // qemu_group is the group that QEMU runs as, as its host says; none leaves the one of the socket that is replaced, or
  // ours.
  void start(const DiskServer& server, std::optional<gid_t> qemu_group = {}) const;
  bool runs(const DiskServer& server) const;
  void stop(const DiskServer& server) const;

 private:
  std::optional<gid_t> socket_group(const DiskServer& server, std::optional<gid_t> qemu_group) const;

  const DiskServerOptions options_;
};

}  // namespace kiln::hypervisor
