#include "catalog/kms_keys.h"

namespace kiln::catalog {

std::string KmsKey::arn() const { return "arn:aws:kms:" + region + ":" + account + ":key/" + id; }

std::string KmsAlias::arn() const { return "arn:aws:kms:" + region + ":" + account + ":" + name; }

std::optional<KmsKey> find_kms_key(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<KmsKey>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<KmsKey> kms_keys_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<KmsKey>(txn, "WHERE region = $1 AND account = $2 ORDER BY id", {region, account});
}

std::optional<KmsAlias> find_kms_alias(Txn& txn, const std::string& region, const std::string& account,
                                       const std::string& name) {
  return select_one<KmsAlias>(txn, "WHERE region = $1 AND account = $2 AND name = $3", {region, account, name});
}

std::vector<KmsAlias> kms_aliases_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<KmsAlias>(txn, "WHERE region = $1 AND account = $2 ORDER BY name", {region, account});
}

std::vector<KmsTag> kms_tags_of(Txn& txn, const std::string& region, const std::string& key_id) {
  return select<KmsTag>(txn, "WHERE region = $1 AND key_id = $2 ORDER BY key", {region, key_id});
}

std::optional<KeyDomain> find_key_domain(Txn& txn, const std::string& region, const std::string& key_arn) {
  return select_one<KeyDomain>(txn, "WHERE region = $1 AND key_arn = $2", {region, key_arn});
}

EbsDefaults ebs_defaults_of(Txn& txn, const std::string& region, const std::string& account) {
  auto found = select_one<EbsDefaults>(txn, "WHERE region = $1 AND account = $2", {region, account});
  return found ? *std::move(found) : EbsDefaults{.region = region, .account = account, .key_arn = {}};
}

}  // namespace kiln::catalog
