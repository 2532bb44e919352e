#pragma once
// Accounts that are made while the daemon runs, beside those of the configuration. Their keys lie sealed in the catalog
// (sealed_secrets.h) and are told once. Request threads and the operator's; each call is one transaction.

#include <string>
#include <vector>

#include "catalog/accounts.h"
#include "control/access_keys.h"
#include "control/region.h"

namespace kiln::control {

// An id of 12 digits that no account of this catalog has; written down, without a key, when it returns.
catalog::Account create_account(catalog::Txn& txn, base::Micros now, const std::string& name);

struct CreatedAccount {
  catalog::Account account;
  NewAccessKey root_key;
};
// Of the operator. Throws InvalidParameterValue for a name that is empty, long or taken.
CreatedAccount create_account_with_key(Region& region, const std::string& name);
// One more key of the root user, for an account that has none or whose was lost. Throws InvalidParameterValue.
NewAccessKey create_root_key(Region& region, const std::string& account);
std::vector<catalog::Account> accounts(Region& region);  // by id

}  // namespace kiln::control
