#include "control/kms_aliases.h"

#include "base/api_error.h"
#include "control/kms_keys.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::KmsAlias;
using catalog::Txn;

constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/_-";

void check_alias(const std::string& alias) {
  if (!alias.starts_with("alias/") || alias == "alias/") {
    throw ApiError("ValidationException", "Invalid identifier");
  }
  if (alias.size() > 256 || alias.find_first_not_of(allowed) != std::string::npos) {
    throw ApiError("ValidationException", "1 validation error detected: Value '" + alias +
                                              "' at 'aliasName' failed to satisfy constraint: Member must satisfy "
                                              "regular expression pattern: ^[a-zA-Z0-9:/_-]+$");
  }
  if (alias.find(':') != std::string::npos) {
    throw ApiError("InvalidAliasNameException", alias + " contains invalid characters for an alias");
  }
  if (alias.starts_with("alias/aws/")) throw ApiError("NotAuthorizedException", "");
}

// An alias is of its key's account: policies open no way here.
catalog::KmsKey target(Txn& txn, const Region& region, const Principal& caller, const std::string& name,
                       const std::string& action) {
  if (name.starts_with("alias/") || name.find(":alias/") != std::string::npos) {
    throw ApiError("ValidationException", "Aliases must refer to keys. Not aliases");
  }
  auto key = find_key(txn, region, {.account = caller.account, .principal = &caller}, name, action);
  if (key.account != caller.account) {
    throw ApiError("AccessDeniedException",
                   "User: " + caller.arn + " is not authorized to perform: " + action + " on resource: " + key.arn());
  }
  if (key.state == "PendingDeletion") {
    throw ApiError("KMSInvalidStateException", key.arn() + " is pending deletion.");
  }
  if (key.manager == "AWS") {
    throw ApiError("AccessDeniedException",
                   "User: " + caller.arn + " is not authorized to perform: " + action + " on resource: " + key.arn());
  }
  return key;
}

KmsAlias known_alias(Txn& txn, const Region& region, const Principal& caller, const std::string& alias) {
  auto found = catalog::find_kms_alias(txn, region.name, caller.account, alias);
  if (found) return *std::move(found);
  const KmsAlias wanted{.region = region.name, .account = caller.account, .name = alias, .key_id = {}};
  throw ApiError("NotFoundException", "Alias " + wanted.arn() + " is not found.");
}

}  // namespace

void create_key_alias(Region& region, const Principal& caller, const std::string& alias, const std::string& key_name) {
  check_alias(alias);
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto key = target(txn, region, caller, key_name, "kms:CreateAlias");
    const auto now = region.clock.now();
    const KmsAlias made{.region = region.name,
                        .account = caller.account,
                        .name = alias,
                        .key_id = key.id,
                        .created = now,
                        .updated = now};
    if (catalog::find_kms_alias(txn, region.name, caller.account, alias)) {
      throw ApiError("AlreadyExistsException", "An alias with the name " + made.arn() + " already exists");
    }
    catalog::insert(txn, made);
  });
}

void update_key_alias(Region& region, const Principal& caller, const std::string& alias, const std::string& key_name) {
  check_alias(alias);
  region.catalog.run_in_txn([&](Txn& txn) {
    auto found = known_alias(txn, region, caller, alias);
    found.key_id = target(txn, region, caller, key_name, "kms:UpdateAlias").id;
    found.updated = region.clock.now();
    catalog::update(txn, found);
  });
}

void delete_key_alias(Region& region, const Principal& caller, const std::string& alias) {
  check_alias(alias);
  region.catalog.run_in_txn([&](Txn& txn) { catalog::remove(txn, known_alias(txn, region, caller, alias)); });
}

std::vector<KmsAlias> key_aliases(Region& region, const Principal& caller, const std::string& key_name) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    auto aliases = catalog::kms_aliases_of(txn, region.name, caller.account);
    if (!key_name.empty()) {
      const auto key =
          find_key(txn, region, {.account = caller.account, .principal = &caller}, key_name, "kms:ListAliases");
      std::erase_if(aliases, [&](const KmsAlias& alias) { return alias.key_id != key.id; });
    }
    return aliases;
  });
}

}  // namespace kiln::control
