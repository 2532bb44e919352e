#include "control/access_keys.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/sealed_secrets.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::AccessKey;
using catalog::Txn;

constexpr std::size_t most_keys = 2;

std::vector<AccessKey> keys_of_user(Txn& txn, const catalog::IamIdentity& user) {
  return catalog::select<AccessKey>(txn, "WHERE user_id = $1 ORDER BY created, id", {user.id});
}

AccessKey key_of_user(Txn& txn, const catalog::IamIdentity& user, const std::string& id) {
  auto found = catalog::find_access_key(txn, id);
  if (!found || found->user_id != user.id) {
    throw ApiError("NoSuchEntity", "The Access Key with id " + id + " cannot be found.", 404);
  }
  return *std::move(found);
}

}  // namespace

NewAccessKey new_access_key(const std::string& prefix) {
  const auto random = base::from_hex(base::random_hex(30));
  const auto id = new_iam_id(prefix);
  return {.id = id.substr(0, 20), .secret = base::to_base64(*random)};
}

NewAccessKey create_access_key(Region& region, const std::string& account, const std::string& user) {
  const auto made = new_access_key("AKIA");
  // Outside of the transaction, which waits for no other file.
  const auto sealed = seal_secret(region.key_store, made.id, made.secret);
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = identity(txn, account, user_kind, user);
    if (keys_of_user(txn, row).size() >= most_keys) {
      throw ApiError("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409);
    }
    catalog::insert(txn, AccessKey{.id = made.id,
                                   .secret = sealed,
                                   .account = account,
                                   .principal = row.arn(),
                                   .active = true,
                                   .created = region.clock.now(),
                                   .user_id = row.id,
                                   .sealed = true});
  });
  return made;
}

void delete_access_key(Region& region, const std::string& account, const std::string& user, const std::string& id) {
  region.catalog.run_in_txn(
      [&](Txn& txn) { catalog::remove(txn, key_of_user(txn, identity(txn, account, user_kind, user), id)); });
}

void set_access_key_status(Region& region, const std::string& account, const std::string& user, const std::string& id,
                           const std::string& status) {
  if (status != "Active" && status != "Inactive") {
    throw ApiError("ValidationError", "1 validation error detected: Value '" + status +
                                          "' at 'status' failed to satisfy constraint: Member must satisfy enum value "
                                          "set: [Active, Inactive]");
  }
  region.catalog.run_in_txn([&](Txn& txn) {
    auto key = key_of_user(txn, identity(txn, account, user_kind, user), id);
    key.active = status == "Active";
    catalog::update(txn, key);
  });
}

std::vector<AccessKey> access_keys_of_user(Region& region, const std::string& account, const std::string& user) {
  return catalog::in_read(region.catalog,
                          [&](Txn& txn) { return keys_of_user(txn, identity(txn, account, user_kind, user)); });
}

std::optional<std::string> secret_of(keys::KeyStore& keys, const AccessKey& key) {
  if (!key.sealed) return key.secret;
  return open_secret(keys, key.id, key.secret);
}

}  // namespace kiln::control
