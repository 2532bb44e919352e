#pragma once
// Keys: made, looked up, switched off, and destroyed after a time of waiting. Their material is the key store's
// (keys/key_store.h); what users know of them are rows.
//
//   row Creating -> material made -> row Enabled <-> Disabled
//                                       |  ^            |
//                                       v  | cancelled  v
//                                    PendingDeletion, its time has come -> Deleting -> material destroyed -> no row
//
// A crash between two of these is made good: Creating by finish_key_work() at the next start, Deleting by every
// destroy_due_keys(). Refusals are KMS's own codes. Request and job threads.

#include <map>
#include <string>
#include <vector>

#include "catalog/kms_keys.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

inline constexpr const char *ebs_alias = "alias/aws/ebs", *ssm_alias = "alias/aws/ssm";

// Who asks for the use of a key: a caller, for itself or through another service.
struct KeyCaller {
  std::string account;
  std::string through = {};  // ec2, ssm; empty: for itself
  // Whom the key's policy may name; its own policies allowed the use before (services/kms/asked.cc). Null: the account.
  const Principal* principal = nullptr;
};

// What a user may call a key: its id, its ARN, an alias, an alias's ARN. Throws NotFoundException for what is no key of
// this region, AccessDeniedException when its policy does not let the caller do action (kms:Decrypt). In whatever
// state the key is.
catalog::KmsKey find_key(catalog::Txn& txn, const Region& region, const KeyCaller& caller, const std::string& name,
                         const std::string& action);
catalog::KmsKey find_key(Region& region, const KeyCaller& caller, const std::string& name, const std::string& action);

// Throws DisabledException, KMSInvalidStateException unless the key is enabled.
void check_enabled(const catalog::KmsKey& key);

// What the key store calls it.
keys::KeyId stored_id(const catalog::KmsKey& key);

struct NewKey {
  std::string description;
  std::string policy;  // empty: the owner may do everything
  bool bypass_lockout_check = false;
  std::map<std::string, std::string> tags;
};
catalog::KmsKey create_key(Region& region, const Principal& owner, const NewKey& what);

// The account's key that a service itself makes, by its alias (ebs_alias, ssm_alias); made when it is not there yet.
catalog::KmsKey service_key(Region& region, const std::string& account, const std::string& alias);

// Those that users know of, by id.
std::vector<catalog::KmsKey> keys_of(Region& region, const std::string& account);

catalog::KmsKey enable_key(Region& region, const Principal& caller, const std::string& name, bool enable);
catalog::KmsKey describe_key_as(Region& region, const Principal& caller, const std::string& name,
                                const std::string& description);
catalog::KmsKey schedule_key_deletion(Region& region, const Principal& caller, const std::string& name,
                                      std::int64_t days);
catalog::KmsKey cancel_key_deletion(Region& region, const Principal& caller, const std::string& name);
// Throws MalformedPolicyDocumentException.
void put_key_policy(Region& region, const Principal& caller, const std::string& name, const std::string& policy,
                    bool bypass_lockout_check);

// Destroys the keys whose time has come, and those that a crash or a disk kept from being destroyed. Throws when the
// key store fails; whatever was not done is done by the next call.
void destroy_due_keys(Region& region);
// Of the operator: at once, whoever's it is and in whatever state. By id or ARN.
catalog::KmsKey destroy_key_now(Region& region, const std::string& name);
// At start, before anything else works on keys.
void finish_key_work(Region& region);

}  // namespace kiln::control
