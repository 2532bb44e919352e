#pragma once
// Keys of the key management service and what hangs on them: their aliases and tags, the domains of stored disks that
// they protect, and what each account wants encrypted by default. The material of a key is not here (keys/).

#include "catalog/table.h"

namespace kiln::catalog {

struct KmsKey {
  std::string region;
  std::string id;  // a UUID
  std::string account;
  // Enabled, Disabled, PendingDeletion; and, seen by nobody, Creating while its material is made and Deleting while it
  // is destroyed.
  std::string state;
  std::string manager;  // CUSTOMER, or AWS: made by the service itself
  std::string description;
  std::string policy;  // JSON
  base::Micros created = 0;
  std::optional<base::Micros> deletion;  // of PendingDeletion: when

  // What users know it by: state is one of the first three.
  bool is_known() const { return state != "Creating" && state != "Deleting"; }
  std::string arn() const;
};

struct KmsAlias {
  std::string region, account, name;  // alias/...
  std::string key_id;
  base::Micros created = 0, updated = 0;

  std::string arn() const;
};

struct KmsTag {
  std::string region, key_id, key;
  std::string value;
};

// A domain of stored chunks (blocks/key_domain.h), which a key protects.
struct KeyDomain {
  std::string region, id;  // 32 hex digits
  std::string key_arn;
  std::string secret;  // base64 of the domain's secret, encrypted by the key
  base::Micros created = 0;
};

// What an account said of its new volumes; no row: nothing.
struct EbsDefaults {
  std::string region, account;
  bool encrypt = false;
  std::string key_arn;  // empty: the key that the service itself makes
};

std::optional<KmsKey> find_kms_key(Txn& txn, const std::string& region, const std::string& id);
std::vector<KmsKey> kms_keys_of(Txn& txn, const std::string& region, const std::string& account);  // by id
std::optional<KmsAlias> find_kms_alias(Txn& txn, const std::string& region, const std::string& account,
                                       const std::string& name);
std::vector<KmsAlias> kms_aliases_of(Txn& txn, const std::string& region, const std::string& account);  // by name
std::vector<KmsTag> kms_tags_of(Txn& txn, const std::string& region, const std::string& key_id);        // by key
std::optional<KeyDomain> find_key_domain(Txn& txn, const std::string& region, const std::string& key_arn);
EbsDefaults ebs_defaults_of(Txn& txn, const std::string& region, const std::string& account);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::KmsKey, "kms_key", 2, region, id, account, state, manager, description, policy, created,
         deletion)
KILN_ROW(kiln::catalog::KmsAlias, "kms_alias", 3, region, account, name, key_id, created, updated)
KILN_ROW(kiln::catalog::KmsTag, "kms_tag", 3, region, key_id, key, value)
KILN_ROW(kiln::catalog::KeyDomain, "key_domain", 2, region, id, key_arn, secret, created)
KILN_ROW(kiln::catalog::EbsDefaults, "ebs_defaults", 2, region, account, encrypt, key_arn)
