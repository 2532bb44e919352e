#pragma once
// Makes what is there agree with the rows: at start, and then every second.
//
//   found                                            done
//   row running, guest off (it powered itself off)   job stop or terminate, as shutdown_behavior says
//   row running, guest paused, or no disk server     job recover: serve the disks again, resume
//   row running, no domain (the host restarted)      job recover: boot again
//   domain, process or directory of nobody           removed
//   terminated for an hour                           row pruned
//   snapshot that a client began to write, overdue   made an error, its blocks removed (snapshot_writes.h)
//   guest that has booted, of a young image          what it read is noted (boot_traces.h)
//   key whose time of waiting for deletion is over   destroyed (kms_keys.h)
//   what was in the recycle bin for its time          removed for good (recycle_bin.h)
//   client token a day old                           forgotten, once an hour
//
// Owned by the daemon. It changes instances only through jobs of theirs, and looks only at those that no open job works
// on, so it never works against one; it looks at the host first and at the rows then, so what is removed as nobody's
// had no row when it was made. start() begins a thread of its own, stop() ends it; pass() is one round.

#include <functional>
#include <map>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "control/region.h"

namespace kiln::control {

class Reconciler {
 public:
  struct Options {
    base::Micros interval = base::seconds(1);
    base::Micros keep_terminated = base::seconds(3600);
    base::Micros keep_client_tokens = base::seconds(24 * 3600);
    // Told every round for each VPC with guests: the metadata service listens there, also after a restart.
    std::function<void(Region&, const std::string& vpc_id)> network_ready = {};
  };
  Reconciler(Regions& regions, Options options);
  ~Reconciler();

  void start();
  void stop();
  void pass();

 private:
  void run();
  void forget_client_tokens(Region& region);

  Regions& regions_;
  const Options options_;
  std::map<std::string, std::string>
      failures_;  // of the last round, so that each is said once; pass() is on one thread
  std::map<std::string, base::Micros> next_forgetting_;  // of client tokens, by region
  std::thread thread_;
  base::Mutex mutex_;
  base::Condition changed_;
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::control
