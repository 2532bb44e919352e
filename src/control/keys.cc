#include "control/keys.h"

#include "base/api_error.h"
#include "base/ids.h"
#include "control/ssh_keys.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::KeyPair;

void check_name(const std::string& name) {
  if (name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter KeyName");
  if (name.size() > 255) throw ApiError("InvalidParameterValue", "Value for parameter KeyName exceeds 255 characters");
  for (const char c : name) {
    if (c < 32 || c > 126) throw ApiError("InvalidParameterValue", "Value for parameter KeyName must be ASCII");
  }
}

KeyPair insert_key(Region& region, const std::string& account, const std::string& name, const SshKey& key) {
  const KeyPair row{.region = region.name,
                    .account = account,
                    .name = name,
                    .id = base::new_id("key"),
                    .key_type = key.type,
                    .fingerprint = key.fingerprint,
                    .public_key = key.public_line,
                    .created = region.clock.now()};
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    if (catalog::find_key_pair(txn, region.name, account, name)) {
      throw ApiError("InvalidKeyPair.Duplicate", "The keypair '" + name + "' already exists.");
    }
    catalog::insert(txn, row);
  });
  return row;
}

}  // namespace

NewKeyPair create_key_pair(Region& region, const std::string& account, const std::string& name,
                           const std::string& key_type) {
  check_name(name);
  if (!key_type.empty() && key_type != "rsa" && key_type != "ed25519") {
    throw ApiError("InvalidParameterValue", "Invalid value '" + key_type + "' for keyType: rsa and ed25519 are known");
  }
  const SshKey key = key_type == "ed25519" ? make_ed25519_key() : make_rsa_key();
  return {insert_key(region, account, name, key), key.private_key};
}

KeyPair import_key_pair(Region& region, const std::string& account, const std::string& name,
                        const std::string& public_key) {
  check_name(name);
  return insert_key(region, account, name, read_public_key(public_key));
}

std::optional<KeyPair> delete_key_pair(Region& region, const std::string& account, const std::string& name,
                                       const std::string& id) {
  if (name.empty() && id.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter KeyName or KeyPairId");
  }
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) -> std::optional<KeyPair> {
    const auto found = id.empty() ? catalog::find_key_pair(txn, region.name, account, name)
                                  : catalog::find_key_pair_by_id(txn, region.name, account, id);
    if (!found) return {};
    remove_all_tags(txn, region, found->id);
    catalog::remove(txn, *found);
    return found;
  });
}

std::vector<KeyPair> key_pairs(Region& region, const std::string& account) {
  return catalog::in_read(region.catalog,
                          [&](catalog::Txn& txn) { return catalog::key_pairs_of(txn, region.name, account); });
}

KeyPair key_pair(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& name) {
  auto found = catalog::find_key_pair(txn, region.name, account, name);
  if (!found) throw ApiError("InvalidKeyPair.NotFound", "The key pair '" + name + "' does not exist");
  return *found;
}

}  // namespace kiln::control
