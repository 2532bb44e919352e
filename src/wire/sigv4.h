#pragma once
// AWS Signature Version 4: verifying requests, and signing them. Pure functions; any thread.
//
// Verification has two halves, because the secret is in a database that this layer does not know:
//
//   const auto claim = read_claim(request);                     // which key claims to have signed, and what
//   ... look up claim->access_key ...
//   verify(request, *claim, {.secret = ..., .now = ...});       // throws SignatureError
//
// Both the Authorization header and the presigned query form are read. How each service words a refusal is the caller's
// business: a SignatureError says only what was wrong. Comparison takes the same time wherever the signatures differ.

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace kiln::wire {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// What a signature covers, as it is on the wire. Header names in any case.
struct SignedParts {
  std::string_view method;
  std::string_view path;   // still percent-encoded
  std::string_view query;  // still percent-encoded, without the '?'
  const HeaderList& headers;
};

class SignatureError : public std::runtime_error {
 public:
  enum class Why {
    incomplete,     // malformed, or parts are missing
    expired,        // older than the clock skew, or than a presigned request's own lifetime
    not_yet,        // from the future
    wrong_scope,    // the credential's date is not the request's
    session_token,  // a token with keys that have none, or none with keys that need one
    unsigned_body,  // UNSIGNED-PAYLOAD where the operation does not allow it, or the header is not signed
    mismatch,       // computed and given signature differ
  };
  SignatureError(Why why, const std::string& message) : std::runtime_error(message), why_(why) {}
  Why why() const { return why_; }

 private:
  Why why_;
};

// What the request says of its own signature.
struct Claim {
  std::string access_key, date, region, service;  // the credential scope
  std::vector<std::string> signed_headers;        // lower case, ascending
  std::string signature;                          // 64 hex digits
  base::Micros time = 0;
  bool presigned = false;
  std::int64_t lifetime_seconds = 0;  // of a presigned request
};

// Nothing when the request is not signed at all. Throws SignatureError.
std::optional<Claim> read_claim(const SignedParts& request);

// The session token that came with the request; empty without.
std::string session_token(const SignedParts& request);

struct Verification {
  std::string_view secret;
  base::Micros now = 0;
  // SHA-256 of the body, in hex; nothing when it is streamed and not known yet.
  std::optional<std::string> body_digest;
  bool allow_unsigned_body = false;  // said in a header, or by the signature alone
  bool temporary = false;            // the keys have a session token, whose content the caller checks
};

// What was proved of the body when it is not known yet: the digest that the client signed (the receiver must compare),
// or nothing for UNSIGNED-PAYLOAD. Throws SignatureError.
std::optional<std::string> verify(const SignedParts& request, const Claim& claim, const Verification& with);

struct Credentials {
  std::string access_key, secret;
};

struct SigningScope {
  std::string region, service;
  base::Micros time = 0;
};

// Adds X-Amz-Date, X-Amz-Content-Sha256 when asked, and Authorization to headers, which must have Host.
struct ToSign {
  std::string method, path, query;
  HeaderList headers;
  std::string body_digest;  // hex, or "UNSIGNED-PAYLOAD"
  bool send_digest = false;
};
HeaderList sign(const ToSign& request, const Credentials& credentials, const SigningScope& scope);

// The query string of a presigned request. headers must have Host and are all signed.
std::string presign(const ToSign& request, const Credentials& credentials, const SigningScope& scope,
                    std::int64_t lifetime_seconds);

// The intermediate texts, for tests and for messages that help a client author.
std::string canonical_request(const SignedParts& request, std::span<const std::string> signed_headers,
                              std::string_view body_digest);
std::string string_to_sign(const Claim& claim, std::string_view canonical);

}  // namespace kiln::wire
