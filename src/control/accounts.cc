#include "control/accounts.h"

#include <cstring>

#include "base/api_error.h"
#include "base/ids.h"
#include "control/sealed_secrets.h"
#include "control/sharing.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Account;
using catalog::Txn;

constexpr std::size_t longest_name = 50;

std::string random_account_id() {
  std::uint64_t random = 0;
  base::fill_random(std::as_writable_bytes(std::span(&random, 1)));
  // The first digit is not 0: programs have read such ids as numbers.
  return std::to_string(100'000'000'000 + random % 900'000'000'000);
}

void check_name(Txn& txn, const std::string& name) {
  if (name.empty() || name.size() > longest_name) {
    throw ApiError("InvalidParameterValue", "an account's name has 1 to 50 characters: '" + name + "'");
  }
  if (catalog::select_one<Account>(txn, "WHERE name = $1", {name})) {
    throw ApiError("InvalidParameterValue", "there is an account named '" + name + "'");
  }
}

// Sealed outside of the transaction, which waits for no other file.
catalog::AccessKey sealed_root_key(Region& region, const NewAccessKey& made) {
  return {.id = made.id,
          .secret = seal_secret(region.key_store, made.id, made.secret),
          .account = {},
          .principal = {},
          .active = true,
          .created = region.clock.now(),
          .user_id = {},
          .sealed = true};
}

void add_root_key(Txn& txn, catalog::AccessKey key, const std::string& account) {
  key.account = account;
  key.principal = "arn:aws:iam::" + account + ":root";
  catalog::insert(txn, key);
}

}  // namespace

Account create_account(Txn& txn, base::Micros now, const std::string& name) {
  Account account{.id = random_account_id(), .name = name, .created = now};
  while (catalog::find_account(txn, account.id)) account.id = random_account_id();
  catalog::insert(txn, account);
  return account;
}

CreatedAccount create_account_with_key(Region& region, const std::string& name) {
  const auto made = new_access_key("AKIA");
  const auto key = sealed_root_key(region, made);
  const auto account = catalog::in_txn(region.catalog, [&](Txn& txn) {
    check_name(txn, name);
    auto row = create_account(txn, region.clock.now(), name);
    add_root_key(txn, key, row.id);
    return row;
  });
  return {.account = account, .root_key = made};
}

NewAccessKey create_root_key(Region& region, const std::string& account) {
  const auto made = new_access_key("AKIA");
  const auto key = sealed_root_key(region, made);
  region.catalog.run_in_txn([&](Txn& txn) {
    if (!is_account_id(account) || !catalog::find_account(txn, account)) {
      throw ApiError("InvalidParameterValue", "there is no account '" + account + "'");
    }
    add_root_key(txn, key, account);
  });
  return made;
}

std::vector<Account> accounts(Region& region) {
  return catalog::in_read(region.catalog, [](Txn& txn) { return catalog::select<Account>(txn, "ORDER BY id"); });
}

}  // namespace kiln::control
