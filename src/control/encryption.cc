#include "control/encryption.h"

#include "base/api_error.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Txn;

std::string default_key(Txn& txn, const Region& region, const std::string& account) {
  const auto set = catalog::ebs_defaults_of(txn, region.name, account).key_arn;
  if (!set.empty()) return set;
  const auto alias = catalog::find_kms_alias(txn, region.name, account, ebs_alias);
  if (!alias) throw NeedsEbsKey{};
  return catalog::KmsKey{.region = region.name, .id = alias->key_id, .account = account}.arn();
}

// What alias stands for; itself when it stands for nothing.
std::string key_of_alias(Txn& txn, const Region& region, const std::string& account, const std::string& alias) {
  if (const auto found = catalog::find_kms_alias(txn, region.name, account, alias)) {
    return catalog::KmsKey{.region = region.name, .id = found->key_id, .account = account}.arn();
  }
  return "arn:aws:kms:" + region.name + ":" + account + ":" + alias;
}

std::string named_key(Txn& txn, const Region& region, const std::string& account, const std::string& name) {
  if (name == ebs_alias && !catalog::find_kms_alias(txn, region.name, account, ebs_alias)) throw NeedsEbsKey{};
  if (name.starts_with("alias/")) return key_of_alias(txn, region, account, name);
  if (!name.starts_with("arn:")) {
    return catalog::KmsKey{.region = region.name, .id = name, .account = account}.arn();
  }
  const std::string home = "arn:aws:kms:" + region.name + ":";
  const auto alias = name.find(":alias/");
  if (!name.starts_with(home) || alias == std::string::npos || alias < home.size()) return name;
  return key_of_alias(txn, region, name.substr(home.size(), alias - home.size()), name.substr(alias + 1));
}

}  // namespace

std::string choose_key(Txn& txn, const Region& region, const EncryptionChoice& choice) {
  const auto& wish = choice.wish;
  if (!wish.key.empty()) {
    if (!wish.encrypted.value_or(false)) {
      throw ApiError("InvalidParameterDependency",
                     "The parameter KmsKeyId requires the parameter Encrypted to be set.");
    }
    return named_key(txn, region, choice.account, wish.key);
  }
  if (choice.source_encrypted) {
    const bool keeps = choice.without_key == KeyOfSource::keep && choice.source_is_own && !choice.source_key.empty();
    return keeps ? choice.source_key : default_key(txn, region, choice.account);
  }
  const bool wanted =
      wish.encrypted.value_or(false) || catalog::ebs_defaults_of(txn, region.name, choice.account).encrypt;
  return wanted ? default_key(txn, region, choice.account) : std::string();
}

bool takes_encryption_away(const EncryptionWish& wish, bool source_encrypted) {
  return source_encrypted && !wish.encrypted.value_or(true);
}

EncryptionChoice choice_from(const catalog::Snapshot& snapshot, const std::string& account,
                             const EncryptionWish& wish) {
  return {.account = account,
          .wish = wish,
          .source_encrypted = snapshot.encrypted,
          .source_key = snapshot.kms_key_arn,
          .source_is_own = snapshot.account == account};
}

}  // namespace kiln::control
