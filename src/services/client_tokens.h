#pragma once
// ClientToken: the same request sent again makes nothing again. Done once for every operation, between dispatch, which
// knows the request, and the rules, which insert the row in the transaction that makes the thing.

#include <optional>
#include <string>

#include "base/clock.h"
#include "catalog/client_tokens.h"
#include "wire/params.h"

namespace kiln::services {

// The row for this request, without its result; nothing when it carries no token. Throws InvalidParameterValue when the
// token is longer than 64 characters or not ASCII.
std::optional<catalog::ClientToken> client_token_of(const wire::Params& params, const std::string& region,
                                                    const std::string& account, const std::string& operation,
                                                    base::Micros now);

// What the token made before: empty when it is new. Throws IdempotentParameterMismatch when it came with other
// parameters.
std::string made_before(catalog::Database& catalog, const catalog::ClientToken& token);

}  // namespace kiln::services
