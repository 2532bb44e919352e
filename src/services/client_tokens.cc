#include "services/client_tokens.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/digest.h"

namespace kiln::services {
namespace {

constexpr std::size_t longest_token = 64;

// Parameters that say how a request is sent rather than what it asks for.
bool is_about_the_sending(const std::string& name) {
  return name == "Action" || name == "Version" || name == "ClientToken" || name == "DryRun" ||
         name.starts_with("X-Amz-");
}

std::string digest_of(const wire::Params& params) {
  base::Sha256 hash;
  for (const auto& [name, value] : params.all()) {
    if (is_about_the_sending(name)) continue;
    // Lengths stand before the texts, so that no two lists of parameters give the same bytes.
    hash.add(std::to_string(name.size()) + ':' + name + std::to_string(value.size()) + ':' + value);
  }
  return hash.finish().hex();
}

}  // namespace

std::optional<catalog::ClientToken> client_token_of(const wire::Params& params, const std::string& region,
                                                    const std::string& account, const std::string& operation,
                                                    base::Micros now) {
  const auto token = params.find("ClientToken");
  if (!token) return {};
  const bool printable = std::all_of(token->begin(), token->end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (token->size() > longest_token || !printable) {
    throw base::ApiError("InvalidParameterValue",
                         "Invalid value for parameter ClientToken: at most 64 ASCII characters are allowed.");
  }
  return catalog::ClientToken{.region = region,
                              .account = account,
                              .operation = operation,
                              .token = std::string(*token),
                              .parameters = digest_of(params),
                              .result = {},
                              .created = now};
}

std::string made_before(catalog::Database& catalog, const catalog::ClientToken& token) {
  const auto known = catalog::in_read(catalog, [&](catalog::Txn& txn) {
    return catalog::find_client_token(txn, token.region, token.account, token.operation, token.token);
  });
  if (!known) return {};
  if (known->parameters != token.parameters) {
    throw base::ApiError("IdempotentParameterMismatch",
                         "The request uses the same client token as a previous, but non-identical request.");
  }
  return known->result;
}

}  // namespace kiln::services
