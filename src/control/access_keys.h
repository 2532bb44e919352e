#pragma once
// Access keys of users: two at most, whose secrets are told once and lie sealed in the catalog (sealed_secrets.h).
// Refusals are IAM's own codes. Request threads; each call is one transaction.

#include <string>
#include <vector>

#include "catalog/accounts.h"
#include "control/iam_identities.h"
#include "control/region.h"

namespace kiln::control {

// An id of 20 characters and a secret of 40, as AWS makes them, of which nobody has the like.
struct NewAccessKey {
  std::string id, secret;
};
NewAccessKey new_access_key(const std::string& prefix);  // AKIA, or ASIA of temporary ones

NewAccessKey create_access_key(Region& region, const std::string& account, const std::string& user);
void delete_access_key(Region& region, const std::string& account, const std::string& user, const std::string& id);
// status: Active or Inactive.
void set_access_key_status(Region& region, const std::string& account, const std::string& user, const std::string& id,
                           const std::string& status);
std::vector<catalog::AccessKey> access_keys_of_user(Region& region, const std::string& account,
                                                    const std::string& user);

// The secret of a key, whether it lies sealed or, of a catalog from before there were seals, not. Nothing when the seal
// cannot be opened.
std::optional<std::string> secret_of(keys::KeyStore& keys, const catalog::AccessKey& key);

}  // namespace kiln::control
