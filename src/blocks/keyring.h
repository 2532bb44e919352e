#pragma once
// The key domains that this process may use right now.
//
// Owned by the process, shared by its store, volumes and upload sessions; whoever decides about keys puts domains in,
// or is asked for those that are missed, and takes them out. Thread-safe; the loader is called without a lock. What was
// read before a domain went may still be in memory (Store::forget_domain sees to that); what is under way with it ends.
// Nothing survives the process: secrets are on no disk.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "blocks/key_domain.h"

namespace kiln::blocks {

using DomainPtr = std::shared_ptr<const KeyDomain>;

class Keyring {
 public:
  // Asked for a domain that is not there; what it gives is kept. Set once, before the ring is shared.
  using Load = std::function<base::Result<DomainPtr>(const DomainId&)>;
  void set_loader(Load load) { load_ = std::move(load); }
  // Another domain under the same id replaces it.
  void add(DomainPtr domain);
  bool remove(const DomainId& id);  // whether it was there
  // Fault::no_key when it is not to be had.
  base::Result<DomainPtr> find(const DomainId& id) const;

 private:
  Load load_;
  mutable base::Mutex mutex_;
  mutable std::map<DomainId, DomainPtr> domains_ KILN_GUARDED_BY(mutex_);
};

// "<id> <secret>, <id> <secret>" in hex digits: how domains are told to a disk server. Fault::invalid.
std::string domains_text(const std::vector<DomainPtr>& domains);
base::Result<std::vector<DomainPtr>> parse_domains(std::string_view text);

}  // namespace kiln::blocks
