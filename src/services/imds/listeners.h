#pragma once
// Where the metadata service listens: 169.254.169.254:80 on the bridge of each VPC.
//
// Every bridge has that same address, so each listener is bound to its device, and which listener a request came to
// says whose guest asks. Owned by the daemon; serve() is given to jobs and to the reconciler as network_ready, and may
// be called from any thread, as often as one likes, until stop(). A bridge that was made anew, as after a restart of
// libvirt, gets a new listener.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "control/region.h"
#include "http/server.h"
#include "services/imds/imds.h"

namespace kiln::services::imds {

class MetadataListeners {
 public:
  MetadataListeners();
  ~MetadataListeners();

  // Never throws: what stands in the way is logged once, and the next call tries again.
  void serve(control::Region& region, const std::string& vpc_id);
  void stop();

 private:
  struct Place {
    control::Region* region = nullptr;
    std::string vpc_id;
    unsigned device = 0;  // the kernel's number of the bridge
    http::ListenerId listener = 0;
  };
  using Key = std::pair<std::string, std::string>;  // region, vpc

  http::Response answer(http::Request& request);
  void listen(control::Region& region, const std::string& vpc_id);

  MetadataService service_;
  base::Mutex mutex_;
  std::map<Key, Place> places_ KILN_GUARDED_BY(mutex_);
  std::set<Key> beginning_ KILN_GUARDED_BY(mutex_);
  std::map<Key, std::string> failures_ KILN_GUARDED_BY(mutex_);
  std::unique_ptr<http::Server> server_;  // last: its threads use the rest
};

}  // namespace kiln::services::imds
