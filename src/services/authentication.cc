#include "services/authentication.h"

#include "base/digest.h"
#include "catalog/accounts.h"
#include "catalog/iam.h"
#include "control/access_keys.h"
#include "control/sessions.h"

namespace kiln::services {
namespace {

using base::ApiError;
using wire::Protocol;
using Why = wire::SignatureError::Why;

constexpr const char* not_validated = "AWS was not able to validate the provided access credentials";

constexpr std::string_view temporary_prefix = "ASIA";

bool is_json(Protocol protocol) { return !wire::is_query(protocol); }

// Whose a key is, and what it signs with.
struct Known {
  std::string secret;
  control::Principal principal;
  base::Micros expires = 0;  // of temporary credentials
};

Known find_key(catalog::Database& catalog, keys::KeyStore& keys, const wire::Claim& claim) {
  std::optional<catalog::AccessKey> key;
  std::optional<catalog::IamIdentity> user;
  catalog.read([&](catalog::Txn& txn) {
    key = catalog::find_access_key(txn, claim.access_key);
    user = key && !key->user_id.empty() ? catalog::find_identity(txn, key->user_id) : std::nullopt;
  });
  if (!key || !key->active || (!key->user_id.empty() && !user)) throw UnknownKey(claim.access_key);
  const auto secret = control::secret_of(keys, *key);
  if (!secret) throw UnknownKey(claim.access_key);
  Known known{.secret = *secret,
              .principal = {.account = key->account,
                            .arn = key->principal,
                            .user_id = key->principal.ends_with(":root") ? key->account : key->id,
                            .access_key = key->id}};
  if (user) {
    known.principal.arn = user->arn();
    known.principal.user_id = known.principal.identity_id = user->id;
    known.principal.user_name = user->name;
  }
  return known;
}

Known find_session(catalog::Database& catalog, keys::KeyStore& keys, const wire::SignedParts& request,
                   const wire::Claim& claim) {
  auto session = control::open_session(keys, claim.access_key, wire::session_token(request));
  if (!session) throw UnknownKey(claim.access_key);
  const auto& id = session->principal.identity_id;
  const bool gone = !id.empty() && !catalog::in_read(catalog, [&](catalog::Txn& txn) {
                                      return catalog::find_identity(txn, id);
                                    }).has_value();
  if (gone) throw UnknownKey(claim.access_key);
  return {.secret = session->secret, .principal = std::move(session->principal), .expires = session->expires};
}

}  // namespace

Caller authenticate(catalog::Database& catalog, keys::KeyStore& keys, const wire::SignedParts& request,
                    const wire::Claim& claim, std::optional<std::string_view> body, Payload payload, base::Micros now) {
  auto known = claim.access_key.starts_with(temporary_prefix) ? find_session(catalog, keys, request, claim)
                                                              : find_key(catalog, keys, claim);
  wire::Verification with{.secret = known.secret,
                          .now = now,
                          .allow_unsigned_body = payload == Payload::streamed,
                          .temporary = known.expires != 0};
  if (body) with.body_digest = base::sha256(*body).hex();
  auto body_digest = wire::verify(request, claim, with);
  // After the signature, so that nobody else learns whether the credentials were ever good.
  if (known.expires != 0 && known.expires <= now) throw ExpiredKey(claim.access_key);
  return {.principal = std::move(known.principal), .body_digest = std::move(body_digest)};
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

ApiError refusal_of_expired_key(Protocol protocol) {
  if (protocol == Protocol::ec2) return {"RequestExpired", "Request has expired.", 400};
  return {is_json(protocol) ? "ExpiredTokenException" : "ExpiredToken",
          "The security token included in the request is expired", is_json(protocol) ? 400 : 403};
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
