#pragma once
// A connection to a libvirt that comes back: libvirtd may be restarted under us, as a package upgrade does.
//
// Owned by a LibvirtHost. get() is thread-safe and lends a connection that stays open while the caller holds it; a
// connection serves several threads at once. Its mutex is held while a connection is opened, so that a broken one is
// replaced once. Libvirt's objects are owned by the pointers below; libvirt's errors become HostError.

#include <libvirt/libvirt.h>

#include <memory>
#include <string>

#include "base/mutex.h"

namespace kiln::hypervisor {

struct FreeDomain {
  void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
struct FreeNetwork {
  void operator()(virNetworkPtr network) const { virNetworkFree(network); }
};
using DomainPtr = std::unique_ptr<virDomain, FreeDomain>;
using NetworkPtr = std::unique_ptr<virNetwork, FreeNetwork>;
using ConnectPtr = std::shared_ptr<virConnect>;

// Throws HostError of libvirt's last error on this thread: "start i-1: Cannot access ...".
[[noreturn]] void throw_libvirt_error(const std::string& what);
// Throws unless result is 0 or more.
void check(int result, const std::string& what);
// Whether libvirt's last error on this thread has this code, such as VIR_ERR_NO_DOMAIN.
bool last_error_is(int code);
// What libvirt allocated, as a string, and freed; throws when there is none.
std::string take_text(char* text, const std::string& what);

class Connection {
 public:
  explicit Connection(std::string uri) : uri_(std::move(uri)) {}
  ConnectPtr get();

 private:
  const std::string uri_;
  base::Mutex mutex_;
  ConnectPtr open_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::hypervisor
