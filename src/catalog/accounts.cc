#include "catalog/accounts.h"

namespace kiln::catalog {

std::optional<Account> find_account(Txn& txn, const std::string& id) {
  return select_one<Account>(txn, "WHERE id = $1", {id});
}

std::optional<AccessKey> find_access_key(Txn& txn, const std::string& id) {
  return select_one<AccessKey>(txn, "WHERE id = $1", {id});
}

std::vector<AccessKey> access_keys_of(Txn& txn, const std::string& account) {
  return select<AccessKey>(txn, "WHERE account = $1 ORDER BY created, id", {account});
}

}  // namespace kiln::catalog
