#include "catalog/keys.h"

namespace kiln::catalog {

std::optional<KeyPair> find_key_pair(Txn& txn, const std::string& region, const std::string& account,
                                     const std::string& name) {
  return select_one<KeyPair>(txn, "WHERE region = $1 AND account = $2 AND name = $3", {region, account, name});
}

std::optional<KeyPair> find_key_pair_by_id(Txn& txn, const std::string& region, const std::string& account,
                                           const std::string& id) {
  return select_one<KeyPair>(txn, "WHERE region = $1 AND account = $2 AND id = $3", {region, account, id});
}

std::vector<KeyPair> key_pairs_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<KeyPair>(txn, "WHERE region = $1 AND account = $2 ORDER BY name", {region, account});
}

}  // namespace kiln::catalog
