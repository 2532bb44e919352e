#include "services/operator/keys.h"

#include <boost/json.hpp>
#include <set>
#include <stdexcept>

#include "catalog/kms_keys.h"
#include "control/kms_keys.h"
#include "control/sealed_secrets.h"

namespace kiln::services::operators {
namespace {

namespace json = boost::json;
using catalog::KmsAlias;
using catalog::KmsKey;

std::string aliases_of(const std::vector<KmsAlias>& aliases, const KmsKey& key) {
  std::string text;
  for (const auto& alias : aliases) {
    if (alias.key_id == key.id) text += (text.empty() ? "" : ",") + alias.name;
  }
  return text;
}

}  // namespace

void list_keys(const control::Region& region, const SendLine& send) {
  std::vector<KmsKey> keys;
  std::vector<KmsAlias> aliases;
  region.catalog.read([&](catalog::Txn& txn) {
    keys = catalog::select<KmsKey>(txn, "ORDER BY account, created, id");
    aliases = catalog::select<KmsAlias>(txn, "WHERE region = $1 ORDER BY name", {region.name});
  });
  std::set<std::string> known;
  for (const auto& key : keys) {
    known.insert(key.id);
    if (key.region != region.name) continue;
    send("key", {{"id", key.id},
                 {"account", key.account},
                 {"state", key.state},
                 {"manager", key.manager},
                 {"aliases", aliases_of(aliases, key)},
                 {"deletion_seconds", key.deletion.value_or(0) / base::seconds(1)},
                 {"description", key.description}});
  }
  const auto stored = region.key_store.list();
  if (!stored) throw std::runtime_error(stored.error().message());
  for (const auto& id : *stored) {
    if (!known.contains(id.text()) && id != control::identity_key()) send("stray", {{"id", id.text()}});
  }
}

std::string delete_key(control::Region& region, const std::string& key) {
  return control::destroy_key_now(region, key).arn();
}

}  // namespace kiln::services::operators
