#include "blocks/keyring.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace kiln::blocks {

using base::Error;
using base::Fault;
using base::Result;

void Keyring::add(DomainPtr domain) {
  const auto id = domain->id();
  base::Lock lock(mutex_);
  domains_[id] = std::move(domain);
}

bool Keyring::remove(const DomainId& id) {
  base::Lock lock(mutex_);
  return domains_.erase(id) > 0;
}

Result<DomainPtr> Keyring::find(const DomainId& id) const {
  {
    base::Lock lock(mutex_);
    if (const auto found = domains_.find(id); found != domains_.end()) return found->second;
  }
  if (!load_) return Error(Fault::no_key, "the key of domain " + id.hex() + " is not available");
  auto loaded = load_(id);
  if (!loaded) return loaded.error();
  base::Lock lock(mutex_);
  return domains_[id] = *std::move(loaded);
}

std::string domains_text(const std::vector<DomainPtr>& domains) {
  std::string text;
  for (const auto& domain : domains) {
    base::Digest secret;
    secret.bytes = domain->secret();
    text += (text.empty() ? "" : ",") + domain->id().hex() + " " + secret.hex();
  }
  return text;
}

Result<std::vector<DomainPtr>> parse_domains(std::string_view text) {
  std::vector<DomainPtr> domains;
  if (text.empty()) return domains;
  for (const auto& each : base::split(text, ',')) {
    const auto id = DomainId::from_hex(std::string_view(each).substr(0, 32));
    const auto secret = each.size() == 97 && each[32] == ' ' ? base::Digest::from_hex(std::string_view(each).substr(33))
                                                             : std::optional<base::Digest>{};
    if (!id || !secret || id->is_plain()) return Error(Fault::invalid, "not a list of key domains");
    domains.push_back(std::make_shared<const KeyDomain>(*id, secret->bytes));
  }
  return domains;
}

}  // namespace kiln::blocks
