#pragma once
// Accounts and their access keys. Not regional: region '' in every key.

#include "catalog/table.h"

namespace kiln::catalog {

struct Account {
  std::string id;  // 12 digits
  std::string name;
  base::Micros created = 0;
};

struct AccessKey {
  std::string id;  // AKIA...
  std::string secret;
  std::string account;
  std::string principal;  // arn:aws:iam::123456789012:root; of a user's, its ARN when the key was made
  bool active = true;
  base::Micros created = 0;
  std::string user_id = {};  // of a user's key; empty: the root user's
  bool sealed = false;       // secret is not the secret but what it is sealed in (control/sealed_secrets.h)
};

std::optional<Account> find_account(Txn& txn, const std::string& id);
std::optional<AccessKey> find_access_key(Txn& txn, const std::string& id);
std::vector<AccessKey> access_keys_of(Txn& txn, const std::string& account);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Account, "account", 1, id, name, created)
KILN_ROW(kiln::catalog::AccessKey, "access_key", 1, id, secret, account, principal, active, created, user_id, sealed)
