#include "services/authentication.h"

#include "base/digest.h"
#include "catalog/accounts.h"

namespace kiln::services {
namespace {

using base::ApiError;
using wire::Protocol;
using Why = wire::SignatureError::Why;

constexpr const char* not_validated = "AWS was not able to validate the provided access credentials";

bool is_json(Protocol protocol) { return !wire::is_query(protocol); }

}  // namespace

Caller authenticate(catalog::Database& catalog, const wire::SignedParts& request, const wire::Claim& claim,
                    std::optional<std::string_view> body, Payload payload, base::Micros now) {
  const auto key =
      catalog::in_read(catalog, [&](catalog::Txn& txn) { return catalog::find_access_key(txn, claim.access_key); });
  if (!key || !key->active) throw UnknownKey(claim.access_key);
  wire::Verification with{.secret = key->secret, .now = now, .allow_unsigned_body = payload == Payload::streamed};
  if (body) with.body_digest = base::sha256(*body).hex();
  auto body_digest = wire::verify(request, claim, with);
  const bool is_root = key->principal.ends_with(":root");
  return {.principal = {.account = key->account,
                        .arn = key->principal,
                        .user_id = is_root ? key->account : key->id,
                        .access_key = key->id},
          .body_digest = std::move(body_digest)};
}

ApiError refusal_of(Protocol protocol, const wire::SignatureError& error) {
  const Why why = error.why();
  if (why == Why::incomplete) return {"IncompleteSignature", error.what(), 400};
  if (protocol == Protocol::ec2) {
    if (why == Why::expired || why == Why::not_yet) return {"RequestExpired", "Request has expired.", 400};
    return {"AuthFailure", not_validated, 401};
  }
  if (why == Why::session_token) {
    return {is_json(protocol) ? "UnrecognizedClientException" : "InvalidClientTokenId", error.what(), 403};
  }
  return {is_json(protocol) ? "InvalidSignatureException" : "SignatureDoesNotMatch", error.what(), 403};
}

ApiError refusal_of_unknown_key(Protocol protocol) {
  if (protocol == Protocol::ec2) return {"AuthFailure", not_validated, 401};
  return {is_json(protocol) ? "UnrecognizedClientException" : "InvalidClientTokenId",
          "The security token included in the request is invalid.", 403};
}

ApiError refusal_of_unsigned(Protocol protocol) {
  return {is_json(protocol) ? "MissingAuthenticationTokenException" : "MissingAuthenticationToken",
          "Request is missing Authentication Token", 403};
}

ApiError refusal_of_region(Protocol protocol, const std::string& region) {
  const std::string message = "Credential should be scoped to a valid region, not '" + region + "'.";
  if (protocol == Protocol::ec2) return {"AuthFailure", message, 401};
  return {is_json(protocol) ? "InvalidSignatureException" : "SignatureDoesNotMatch", message, 403};
}

}  // namespace kiln::services
