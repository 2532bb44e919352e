#include "control/kms_keys.h"

#include <algorithm>
#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "control/key_domains.h"
#include "control/key_policy.h"
#include "control/kms_tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::KmsKey;
using catalog::Txn;

constexpr std::int64_t fewest_days = 7, most_days = 30;
constexpr base::Micros day = base::seconds(24 * 3600);

void must(const base::Status& done) {
  if (!done) throw std::runtime_error(done.error().message());
}

// A key by any of its names: which account's, and its id or alias.
struct KeyName {
  std::string account, id, alias;
  std::string arn;
};

KeyName read_name(const Region& region, const std::string& account, const std::string& name) {
  const std::string home = "arn:aws:kms:" + region.name + ":";
  if (name.starts_with("alias/")) {
    return {.account = account, .id = {}, .alias = name, .arn = home + account + ":" + name};
  }
  if (!name.starts_with("arn:")) {
    if (!keys::KeyId::from_text(name)) throw ApiError("NotFoundException", "Invalid keyId '" + name + "'");
    return {.account = account, .id = name, .alias = {}, .arn = home + account + ":key/" + name};
  }
  const auto parts = base::split(name, ':');
  if (parts.size() != 6 || parts[2] != "kms") throw ApiError("InvalidArnException", "Invalid ARN " + name);
  if (parts[3] != region.name) throw ApiError("NotFoundException", "Invalid arn " + std::string(parts[3]));
  KeyName read{.account = std::string(parts[4]), .id = {}, .alias = {}, .arn = name};
  if (parts[5].starts_with("key/")) {
    read.id = parts[5].substr(4);
  } else if (parts[5].starts_with("alias/")) {
    read.alias = parts[5];
  } else {
    throw ApiError("InvalidArnException", "Invalid ARN " + name);
  }
  return read;
}

std::optional<KmsKey> look_up(Txn& txn, const Region& region, const KeyName& name) {
  std::string id = name.id;
  if (!name.alias.empty()) {
    const auto alias = catalog::find_kms_alias(txn, region.name, name.account, name.alias);
    if (!alias) return {};
    id = alias->key_id;
  }
  auto key = catalog::find_kms_key(txn, region.name, id);
  if (!key || !key->is_known() || key->account != name.account) return {};
  return key;
}

// Whatever is done to a key that its owner manages.
KmsKey change_key(Region& region, const Principal& caller, const std::string& name, const std::string& action,
                  const std::function<void(KmsKey&)>& change) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto key = find_key(txn, region, {.account = caller.account, .principal = &caller}, name, action);
    change(key);
    catalog::update(txn, key);
    return key;
  });
}

// What became of the key is committed; who asks for its domain from here on is refused.
KmsKey put_away(Region& region, KmsKey key) {
  forget_domain_of(region, key.arn());
  return key;
}

void refuse_pending(const KmsKey& key) {
  if (key.state == "PendingDeletion") {
    throw ApiError("KMSInvalidStateException", key.arn() + " is pending deletion.");
  }
}

void check_new_policy(const std::string& policy, const std::string& account, bool bypass_lockout_check) {
  check_policy(policy);
  if (bypass_lockout_check ||
      policy_allows(policy, {.account = account, .action = "kms:PutKeyPolicy", .via_service = {}}))
    return;
  throw ApiError("MalformedPolicyDocumentException",
                 "The new key policy will not allow you to update the key policy in the future.");
}

void check_description(const std::string& description) {
  if (description.size() > 8192) {
    throw ApiError("ValidationException",
                   "1 validation error detected: Value at 'description' failed to satisfy "
                   "constraint: Member must have length less than or equal to 8192");
  }
}

// Makes the key, with an alias that must not be there; the alias's own key when another was faster.
KmsKey make(Region& region, KmsKey key, const std::map<std::string, std::string>& tags, const std::string& alias) {
  key.state = "Creating";
  region.catalog.run_in_txn([&](Txn& txn) { catalog::insert(txn, key); });
  const auto made = region.key_store.create(stored_id(key));
  if (!made) {
    region.catalog.run_in_txn([&](Txn& txn) { catalog::remove(txn, key); });
    throw std::runtime_error(made.error().message());
  }
  key.state = "Enabled";
  const auto other = catalog::in_txn(region.catalog, [&](Txn& txn) -> std::optional<KmsKey> {
    if (!alias.empty()) {
      const auto taken = look_up(txn, region, {.account = key.account, .id = {}, .alias = alias, .arn = {}});
      if (taken) return taken;
      catalog::upsert(txn, catalog::KmsAlias{.region = region.name,
                                             .account = key.account,
                                             .name = alias,
                                             .key_id = key.id,
                                             .created = key.created,
                                             .updated = key.created});
    }
    catalog::update(txn, key);
    add_key_tags(txn, key, tags);
    return {};
  });
  if (!other) return key;
  must(region.key_store.destroy(stored_id(key)));
  region.catalog.run_in_txn([&](Txn& txn) { catalog::remove(txn, key); });
  return *other;
}

void destroy(Region& region, const KmsKey& key) {
  put_away(region, key);
  must(region.key_store.destroy(stored_id(key)));
  region.catalog.run_in_txn([&](Txn& txn) { catalog::remove(txn, key); });
  base::log_warning("control", "the key {} of {} is destroyed, and all that it encrypted with it", key.arn(),
                    key.account);
}

}  // namespace

keys::KeyId stored_id(const KmsKey& key) {
  const auto id = keys::KeyId::from_text(key.id);
  if (!id) throw std::runtime_error("'" + key.id + "' is no key id");
  return *id;
}

KmsKey find_key(Txn& txn, const Region& region, const KeyCaller& caller, const std::string& name,
                const std::string& action) {
  if (name.empty())
    throw ApiError("ValidationException",
                   "1 validation error detected: Value null at 'keyId' failed to "
                   "satisfy constraint: Member must not be null");
  const auto wanted = read_name(region, caller.account, name);
  const auto key = look_up(txn, region, wanted);
  const bool own = wanted.account == caller.account;
  if (!key && own) {
    throw ApiError("NotFoundException", wanted.alias.empty() ? "Key '" + wanted.arn + "' does not exist"
                                                             : "Alias " + wanted.arn + " is not found.");
  }
  const KeyUse use{.account = caller.account,
                   .action = action,
                   .via_service = caller.through.empty() ? "" : caller.through + "." + region.name + ".amazonaws.com",
                   .principal = caller.principal,
                   .place = catalog::place_of(txn, caller.account)};
  const auto who = caller.principal != nullptr ? caller.principal->arn : "arn:aws:iam::" + caller.account + ":root";
  // Of another account's, whether there is such a key is not told either.
  if (!key || !policy_allows(key->policy, use)) {
    throw ApiError("AccessDeniedException", "User: " + who + " is not authorized to perform: " + action +
                                                " on resource: " + (key ? key->arn() : wanted.arn) +
                                                " because no resource-based policy allows the " + action + " action");
  }
  return *key;
}

KmsKey find_key(Region& region, const KeyCaller& caller, const std::string& name, const std::string& action) {
  // Naming it makes it, as on AWS.
  for (const std::string alias : {ebs_alias, ssm_alias}) {
    if (name == alias || name == "arn:aws:kms:" + region.name + ":" + caller.account + ":" + alias) {
      service_key(region, caller.account, alias);
    }
  }
  return catalog::in_read(region.catalog, [&](Txn& txn) { return find_key(txn, region, caller, name, action); });
}

void check_enabled(const KmsKey& key) {
  refuse_pending(key);
  if (key.state != "Enabled") throw ApiError("DisabledException", key.arn() + " is disabled.");
}

KmsKey create_key(Region& region, const Principal& owner, const NewKey& what) {
  check_description(what.description);
  const auto policy = what.policy.empty() ? default_key_policy(owner.account) : what.policy;
  check_new_policy(policy, owner.account, what.bypass_lockout_check);
  check_key_tags(what.tags);
  return make(region,
              {.region = region.name,
               .id = base::new_uuid(),
               .account = owner.account,
               .state = {},
               .manager = "CUSTOMER",
               .description = what.description,
               .policy = policy,
               .created = region.clock.now(),
               .deletion = {}},
              what.tags, "");
}

KmsKey service_key(Region& region, const std::string& account, const std::string& alias) {
  const auto there = catalog::in_read(region.catalog, [&](Txn& txn) {
    return look_up(txn, region, {.account = account, .id = {}, .alias = alias, .arn = {}});
  });
  if (there) return *there;
  const bool is_ebs = alias == ebs_alias;
  return make(region,
              {.region = region.name,
               .id = base::new_uuid(),
               .account = account,
               .state = {},
               .manager = "AWS",
               .description = is_ebs ? "Default key that protects my EBS volumes when no other key is defined"
                                     : "Default key that protects my SSM parameters when no other key is defined",
               .policy = is_ebs ? ebs_key_policy(account, region.name) : ssm_key_policy(account, region.name),
               .created = region.clock.now(),
               .deletion = {}},
              {}, alias);
}

std::vector<KmsKey> keys_of(Region& region, const std::string& account) {
  auto keys =
      catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::kms_keys_of(txn, region.name, account); });
  std::erase_if(keys, [](const KmsKey& key) { return !key.is_known(); });
  return keys;
}

KmsKey enable_key(Region& region, const Principal& caller, const std::string& name, bool enable) {
  auto changed = change_key(region, caller, name, enable ? "kms:EnableKey" : "kms:DisableKey", [&](KmsKey& key) {
    refuse_pending(key);
    key.state = enable ? "Enabled" : "Disabled";
  });
  return enable ? changed : put_away(region, std::move(changed));
}

KmsKey describe_key_as(Region& region, const Principal& caller, const std::string& name,
                       const std::string& description) {
  check_description(description);
  return change_key(region, caller, name, "kms:UpdateKeyDescription", [&](KmsKey& key) {
    refuse_pending(key);
    key.description = description;
  });
}

KmsKey schedule_key_deletion(Region& region, const Principal& caller, const std::string& name, std::int64_t days) {
  if (days < fewest_days || days > most_days) {
    throw ApiError("ValidationException", "1 validation error detected: Value '" + std::to_string(days) +
                                              "' at 'pendingWindowInDays' failed to satisfy constraint: a number of "
                                              "days from 7 to 30");
  }
  return put_away(region, change_key(region, caller, name, "kms:ScheduleKeyDeletion", [&](KmsKey& key) {
                    refuse_pending(key);
                    key.state = "PendingDeletion";
                    key.deletion = region.clock.now() + days * day;
                  }));
}

KmsKey cancel_key_deletion(Region& region, const Principal& caller, const std::string& name) {
  return change_key(region, caller, name, "kms:CancelKeyDeletion", [&](KmsKey& key) {
    if (key.state != "PendingDeletion") {
      throw ApiError("KMSInvalidStateException", key.arn() + " is not pending deletion.");
    }
    key.state = "Disabled";
    key.deletion.reset();
  });
}

void put_key_policy(Region& region, const Principal& caller, const std::string& name, const std::string& policy,
                    bool bypass_lockout_check) {
  change_key(region, caller, name, "kms:PutKeyPolicy", [&](KmsKey& key) {
    refuse_pending(key);
    check_new_policy(policy, key.account, bypass_lockout_check);
    key.policy = policy;
  });
}

void destroy_due_keys(Region& region) {
  const auto due = [&](Txn& txn) {
    return catalog::select<KmsKey>(
        txn, "WHERE region = $1 AND (state = 'Deleting' OR (state = 'PendingDeletion' AND deletion <= $2))",
        {region.name, region.clock.now()});
  };
  if (catalog::in_read(region.catalog, due).empty()) return;
  const auto keys = catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto found = due(txn);
    for (auto& key : found) {
      key.state = "Deleting";
      catalog::update(txn, key);
    }
    return found;
  });
  for (const auto& key : keys) destroy(region, key);
}

KmsKey destroy_key_now(Region& region, const std::string& name) {
  const auto key = catalog::in_txn(region.catalog, [&](Txn& txn) {
    const std::string id = name.starts_with("arn:") ? name.substr(name.rfind('/') + 1) : name;
    auto found = catalog::find_kms_key(txn, region.name, id);
    if (!found || (name.starts_with("arn:") && found->arn() != name)) {
      throw ApiError("NotFoundException", "Key '" + name + "' does not exist in " + region.name);
    }
    found->state = "Deleting";
    catalog::update(txn, *found);
    return *found;
  });
  destroy(region, key);
  return key;
}

void finish_key_work(Region& region) {
  const auto keys = catalog::in_read(region.catalog, [&](Txn& txn) {
    return catalog::select<KmsKey>(txn, "WHERE region = $1 AND state = 'Creating'", {region.name});
  });
  for (const auto& key : keys) {
    must(region.key_store.destroy(stored_id(key)));
    region.catalog.run_in_txn([&](Txn& txn) { catalog::remove(txn, key); });
  }
}

}  // namespace kiln::control
