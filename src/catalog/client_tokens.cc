#include "catalog/client_tokens.h"

namespace kiln::catalog {

std::optional<ClientToken> find_client_token(Txn& txn, const std::string& region, const std::string& account,
                                             const std::string& operation, const std::string& token) {
  return select_one<ClientToken>(txn, "WHERE region = $1 AND account = $2 AND operation = $3 AND token = $4",
                                 {region, account, operation, token});
}

void remember_client_token(Txn& txn, const ClientToken& token) { insert(txn, token); }

std::int64_t forget_client_tokens(Txn& txn, const std::string& region, base::Micros created_before) {
  return txn.execute("DELETE FROM client_token WHERE region = $1 AND created < $2", {region, created_before});
}

}  // namespace kiln::catalog
