#include "control/kms_tags.h"

#include "base/api_error.h"
#include "control/kms_keys.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Txn;

constexpr std::size_t most_tags = 50;

catalog::KmsKey key_to_tag(Txn& txn, const Region& region, const Principal& caller, const std::string& name,
                           const std::string& action) {
  auto key = find_key(txn, region, {.account = caller.account, .principal = &caller}, name, action);
  if (key.state == "PendingDeletion") {
    throw ApiError("KMSInvalidStateException", key.arn() + " is pending deletion.");
  }
  return key;
}

}  // namespace

void check_key_tags(const std::map<std::string, std::string>& tags) {
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > 128)
      throw ApiError("TagException", "A tag key has 1 to 128 characters: '" + key + "'");
    if (value.size() > 256) throw ApiError("TagException", "A tag value has at most 256 characters: '" + value + "'");
    if (key.starts_with("aws:")) throw ApiError("TagException", "aws: prefixed tag key names are not allowed: " + key);
  }
}

void add_key_tags(Txn& txn, const catalog::KmsKey& key, const std::map<std::string, std::string>& tags) {
  for (const auto& [name, value] : tags) {
    catalog::upsert(txn, catalog::KmsTag{.region = key.region, .key_id = key.id, .key = name, .value = value});
  }
  if (catalog::kms_tags_of(txn, key.region, key.id).size() > most_tags) {
    throw ApiError("LimitExceededException", "A key has at most 50 tags");
  }
}

void tag_key(Region& region, const Principal& caller, const std::string& name,
             const std::map<std::string, std::string>& tags) {
  check_key_tags(tags);
  region.catalog.run_in_txn(
      [&](Txn& txn) { add_key_tags(txn, key_to_tag(txn, region, caller, name, "kms:TagResource"), tags); });
}

void untag_key(Region& region, const Principal& caller, const std::string& name, const std::vector<std::string>& keys) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto key = key_to_tag(txn, region, caller, name, "kms:UntagResource");
    for (const auto& tag : keys) {
      catalog::remove(txn, catalog::KmsTag{.region = key.region, .key_id = key.id, .key = tag, .value = {}});
    }
  });
}

std::vector<catalog::KmsTag> key_tags(Region& region, const Principal& caller, const std::string& name) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const auto key =
        find_key(txn, region, {.account = caller.account, .principal = &caller}, name, "kms:ListResourceTags");
    return catalog::kms_tags_of(txn, region.name, key.id);
  });
}

}  // namespace kiln::control
