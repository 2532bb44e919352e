#pragma once
// Idempotency: what a client token was first used for, and what that call made.

#include "catalog/table.h"

namespace kiln::catalog {

struct ClientToken {
  std::string region, account, operation, token;
  std::string parameters;  // SHA-256 of the request's other parameters
  std::string result;      // id of what was made: a reservation, a volume
  base::Micros created = 0;
};

std::optional<ClientToken> find_client_token(Txn& txn, const std::string& region, const std::string& account,
                                             const std::string& operation, const std::string& token);
// DatabaseError::Kind::constraint when the token is known for this operation.
void remember_client_token(Txn& txn, const ClientToken& token);
// Those used for the first time before that moment; how many they were.
std::int64_t forget_client_tokens(Txn& txn, const std::string& region, base::Micros created_before);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::ClientToken, "client_token", 4, region, account, operation, token, parameters, result, created)
