#pragma once
// From a signature to a principal, and from a bad signature to the words of the service that was called.
//
// Pure but for one read of the catalog; request threads.

#include <optional>

#include "base/api_error.h"
#include "base/time.h"
#include "catalog/database.h"
#include "control/principal.h"
#include "keys/key_store.h"
#include "services/operation.h"
#include "wire/protocol.h"
#include "wire/sigv4.h"

namespace kiln::services {

// No key of that name, one that was switched off, or temporary ones that nobody here made or whose user or role has
// gone.
class UnknownKey : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Temporary credentials whose time is over.
class ExpiredKey : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Caller {
  control::Principal principal;
  std::optional<std::string> body_digest;  // in hex: what a body that is yet to be read has to have; none if unsigned
};

// Who signed. body is nothing when it is yet to be read. Throws wire::SignatureError, UnknownKey,
// ExpiredKey.
Caller authenticate(catalog::Database& catalog, keys::KeyStore& keys, const wire::SignedParts& request,
                    const wire::Claim& claim, std::optional<std::string_view> body, Payload payload, base::Micros now);

// EC2 answers AuthFailure (401) to nearly everything; query services and JSON services are more exact (403).
base::ApiError refusal_of(wire::Protocol protocol, const wire::SignatureError& error);
base::ApiError refusal_of_unknown_key(wire::Protocol protocol);
base::ApiError refusal_of_expired_key(wire::Protocol protocol);
base::ApiError refusal_of_unsigned(wire::Protocol protocol);
base::ApiError refusal_of_region(wire::Protocol protocol, const std::string& region);

}  // namespace kiln::services
