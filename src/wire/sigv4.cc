#include "wire/sigv4.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/text.h"

namespace kiln::wire {
namespace {

using Why = SignatureError::Why;

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";
constexpr base::Micros most_skew = base::seconds(15 * 60);
constexpr std::int64_t longest_lifetime = 7 * 24 * 3600;

[[noreturn]] void incomplete(const std::string& what) { throw SignatureError(Why::incomplete, what); }

// The value of a header that may be sent once; nothing when it is not sent.
std::optional<std::string_view> header(const HeaderList& headers, std::string_view lower_name) {
  std::optional<std::string_view> found;
  for (const auto& [name, value] : headers) {
    if (base::lower(name) != lower_name) continue;
    if (found) incomplete("The header '" + std::string(lower_name) + "' is given more than once.");
    found = base::trim(value);
  }
  return found;
}

bool is_signed(const Claim& claim, std::string_view lower_name) {
  return std::find(claim.signed_headers.begin(), claim.signed_headers.end(), lower_name) != claim.signed_headers.end();
}

void read_scope(std::string_view credential, Claim& claim) {
  const auto parts = base::split(credential, '/');
  if (parts.size() != 5 || parts[0].empty() || parts[4] != "aws4_request") {
    incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request.");
  }
  claim.access_key = parts[0];
  claim.date = parts[1];
  claim.region = parts[2];
  claim.service = parts[3];
}

void read_signed_headers(std::string_view list, Claim& claim) {
  for (const std::string_view name : base::split(list, ';')) claim.signed_headers.push_back(base::lower(name));
  if (!std::is_sorted(claim.signed_headers.begin(), claim.signed_headers.end())) {
    std::sort(claim.signed_headers.begin(), claim.signed_headers.end());
  }
  // Without the host a request could be replayed elsewhere, without the target it could be made another operation.
  if (!is_signed(claim, "host")) incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization.");
}

void read_signature(std::string_view signature, Claim& claim) {
  if (signature.size() != 64 || !base::from_hex(signature)) incomplete("Signature must be 64 hexadecimal digits.");
  claim.signature = base::lower(signature);
}

void read_time(std::string_view amz_date, Claim& claim) {
  const auto time = base::from_amz_date(amz_date);
  if (!time) incomplete("Date must be in ISO-8601 'basic format'. Got '" + std::string(amz_date.substr(0, 64)) + "'.");
  claim.time = *time;
}

// Authorization: AWS4-HMAC-SHA256 Credential=.., SignedHeaders=.., Signature=..
Claim read_header_form(std::string_view authorization, const HeaderList& headers) {
  if (!authorization.starts_with(algorithm) || authorization.substr(algorithm.size(), 1) != " ") {
    incomplete("Unsupported AWS 'algorithm': " + std::string(authorization.substr(0, 32)) + ".");
  }
  std::optional<std::string_view> credential, signed_headers, signature;
  for (std::string_view part : base::split(authorization.substr(algorithm.size()), ',')) {
    part = base::trim(part);
    const auto equals = part.find('=');
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    auto* into = part.starts_with("Credential=")      ? &credential
                 : part.starts_with("SignedHeaders=") ? &signed_headers
                 : part.starts_with("Signature=")     ? &signature
                                                      : nullptr;
    if (into == nullptr) continue;
    if (*into) incomplete("Authorization header gives '" + std::string(part.substr(0, equals)) + "' twice.");
    *into = value;
  }
  if (!credential) incomplete("Authorization header requires 'Credential' parameter.");
  if (!signature) incomplete("Authorization header requires 'Signature' parameter.");
  if (!signed_headers) incomplete("Authorization header requires 'SignedHeaders' parameter.");
  Claim claim;
  read_scope(*credential, claim);
  read_signed_headers(*signed_headers, claim);
  read_signature(*signature, claim);
  auto date = header(headers, "x-amz-date");
  if (!date) date = header(headers, "date");
  if (!date) incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  read_time(*date, claim);
  return claim;
}

// A parameter of the presigned form, decoded; nothing when it is not there.
std::optional<std::string> parameter(std::string_view query, std::string_view wanted) {
  std::optional<std::string> found;
  for (const std::string_view part : base::split(query, '&')) {
    const auto equals = part.find('=');
    if (part.substr(0, equals) != wanted) continue;
    if (found) incomplete("The parameter '" + std::string(wanted) + "' is given more than once.");
    found = base::percent_decode(equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1), true);
    if (!found) incomplete("The parameter '" + std::string(wanted) + "' is malformed.");
  }
  return found;
}

std::string required(std::string_view query, std::string_view wanted) {
  auto found = parameter(query, wanted);
  if (!found) incomplete("AWS query-string parameters must include '" + std::string(wanted) + "'.");
  return std::move(*found);
}

Claim read_presigned(std::string_view query) {
  if (required(query, "X-Amz-Algorithm") != algorithm) incomplete("Unsupported AWS 'algorithm'.");
  Claim claim;
  claim.presigned = true;
  read_scope(required(query, "X-Amz-Credential"), claim);
  read_signed_headers(required(query, "X-Amz-SignedHeaders"), claim);
  read_signature(required(query, "X-Amz-Signature"), claim);
  read_time(required(query, "X-Amz-Date"), claim);
  const std::string lifetime = parameter(query, "X-Amz-Expires").value_or("900");
  const auto [end, error] = std::from_chars(lifetime.data(), lifetime.data() + lifetime.size(), claim.lifetime_seconds);
  if (error != std::errc() || end != lifetime.data() + lifetime.size() || claim.lifetime_seconds < 0 ||
      claim.lifetime_seconds > longest_lifetime) {
    incomplete("X-Amz-Expires must be between 0 and 604800 seconds.");
  }
  return claim;
}

void check_time(const Claim& claim, base::Micros now) {
  const std::string date = base::to_amz_date(claim.time);
  if (date.substr(0, 8) != claim.date) {
    throw SignatureError(Why::wrong_scope,
                         "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                         "date from HTTP: '" +
                             claim.date + "' != '" + date.substr(0, 8) + "'.");
  }
  if (claim.time > now + most_skew) {
    throw SignatureError(Why::not_yet, "Signature not yet current: " + date + " is still later than " +
                                           base::to_amz_date(now + most_skew) + " (" + base::to_amz_date(now) +
                                           " + 15 min.)");
  }
  const base::Micros allowed = claim.presigned ? base::seconds(claim.lifetime_seconds) : most_skew;
  if (claim.time < now - allowed) {
    throw SignatureError(Why::expired, "Signature expired: " + date + " is now earlier than " +
                                           base::to_amz_date(now - allowed) + " (" + base::to_amz_date(now) + " - " +
                                           std::to_string(allowed / base::seconds(60)) + " min.)");
  }
}

std::string signature_of(const Claim& claim, std::string_view secret, std::string_view canonical) {
  base::Digest key = base::hmac_sha256("AWS4" + std::string(secret), claim.date);
  for (const std::string_view part :
       {std::string_view(claim.region), std::string_view(claim.service), std::string_view("aws4_request")}) {
    key = base::hmac_sha256(base::as_text(key.bytes), part);
  }
  return base::hmac_sha256(base::as_text(key.bytes), string_to_sign(claim, canonical)).hex();
}

bool is_digest(std::string_view text) { return text.size() == 64 && base::from_hex(text).has_value(); }

std::string sent_digest(const SignedParts& request, const Claim& claim) {
  if (claim.presigned) {
    if (auto sent = parameter(request.query, "X-Amz-Content-Sha256")) return *sent;
  }
  const auto sent = header(request.headers, "x-amz-content-sha256");
  return sent ? std::string(*sent) : std::string();
}

// The last line of the canonical request. The body that came decides, not what the client says that it sent.
std::string digest_to_check(const SignedParts& request, const Claim& claim, const Verification& with) {
  const std::string sent = sent_digest(request, claim);
  if (sent.empty() || is_digest(sent)) {
    if (with.body_digest) return *with.body_digest;
    if (sent.empty()) throw SignatureError(Why::unsigned_body, "A streamed request must send X-Amz-Content-Sha256.");
    return base::lower(sent);
  }
  if (sent != unsigned_payload) {
    throw SignatureError(Why::unsigned_body, "X-Amz-Content-Sha256 '" + sent.substr(0, 64) + "' is not supported.");
  }
  const bool covered = claim.presigned || is_signed(claim, "x-amz-content-sha256");
  if (!with.allow_unsigned_body || !covered) {
    throw SignatureError(Why::unsigned_body, "UNSIGNED-PAYLOAD is not allowed for this request.");
  }
  return sent;
}

bool is_signed_with(const SignedParts& request, const Claim& claim, std::string_view secret, std::string_view digest) {
  const std::string expected = signature_of(claim, secret, canonical_request(request, claim.signed_headers, digest));
  return expected.size() == claim.signature.size() &&
         CRYPTO_memcmp(expected.data(), claim.signature.data(), expected.size()) == 0;
}

}  // namespace

std::optional<Claim> read_claim(const SignedParts& request) {
  const auto authorization = header(request.headers, "authorization");
  const bool presigned = parameter(request.query, "X-Amz-Signature").has_value();
  if (!authorization && !presigned) return {};
  if (authorization && presigned) incomplete("The request is signed twice: in its header and in its query string.");
  Claim claim = presigned ? read_presigned(request.query) : read_header_form(*authorization, request.headers);
  if (header(request.headers, "x-amz-target") && !is_signed(claim, "x-amz-target")) {
    incomplete("'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.");
  }
  return claim;
}

std::string session_token(const SignedParts& request) {
  const auto sent = std::string(header(request.headers, "x-amz-security-token").value_or(""));
  return sent.empty() ? parameter(request.query, "X-Amz-Security-Token").value_or("") : sent;
}

std::optional<std::string> verify(const SignedParts& request, const Claim& claim, const Verification& with) {
  check_time(claim, with.now);
  if (session_token(request).empty() == with.temporary) {
    throw SignatureError(Why::session_token, "The security token included in the request is invalid.");
  }
  const std::string digest = digest_to_check(request, claim, with);
  // An operation whose model says that its body is not signed: the SDK for Rust, and botocore over TLS, sign
  // UNSIGNED-PAYLOAD without saying so in a header.
  const bool may_be_unsaid = with.allow_unsigned_body && sent_digest(request, claim).empty();
  if (!is_signed_with(request, claim, with.secret, digest) &&
      !(may_be_unsaid && is_signed_with(request, claim, with.secret, unsigned_payload))) {
    throw SignatureError(Why::mismatch,
                         "The request signature we calculated does not match the signature you provided. Check your "
                         "AWS Secret Access Key and signing method. Consult the service documentation for details.");
  }
  if (with.body_digest || digest == unsigned_payload) return {};
  return digest;
}

HeaderList sign(const ToSign& request, const Credentials& credentials, const SigningScope& scope) {
  HeaderList headers = request.headers;
  Claim claim{.access_key = credentials.access_key,
              .date = base::to_amz_date(scope.time).substr(0, 8),
              .region = scope.region,
              .service = scope.service,
              .time = scope.time};
  headers.emplace_back("X-Amz-Date", base::to_amz_date(scope.time));
  if (request.send_digest) headers.emplace_back("X-Amz-Content-Sha256", request.body_digest);
  for (const auto& [name, value] : headers) claim.signed_headers.push_back(base::lower(name));
  std::sort(claim.signed_headers.begin(), claim.signed_headers.end());
  claim.signed_headers.erase(std::unique(claim.signed_headers.begin(), claim.signed_headers.end()),
                             claim.signed_headers.end());
  const SignedParts parts{.method = request.method, .path = request.path, .query = request.query, .headers = headers};
  const std::string canonical = canonical_request(parts, claim.signed_headers, request.body_digest);
  std::string names;
  for (const std::string& name : claim.signed_headers) (names += names.empty() ? "" : ";") += name;
  headers.emplace_back("Authorization", std::string(algorithm) + " Credential=" + claim.access_key + '/' + claim.date +
                                            '/' + claim.region + '/' + claim.service +
                                            "/aws4_request, SignedHeaders=" + names +
                                            ", Signature=" + signature_of(claim, credentials.secret, canonical));
  return headers;
}

std::string presign(const ToSign& request, const Credentials& credentials, const SigningScope& scope,
                    std::int64_t lifetime_seconds) {
  Claim claim{.access_key = credentials.access_key,
              .date = base::to_amz_date(scope.time).substr(0, 8),
              .region = scope.region,
              .service = scope.service,
              .time = scope.time,
              .presigned = true};
  std::string names;
  for (const auto& [name, value] : request.headers) claim.signed_headers.push_back(base::lower(name));
  std::sort(claim.signed_headers.begin(), claim.signed_headers.end());
  for (const std::string& name : claim.signed_headers) (names += names.empty() ? "" : ";") += name;
  std::string query = request.query + (request.query.empty() ? "" : "&");
  query += "X-Amz-Algorithm=" + std::string(algorithm) + "&X-Amz-Credential=" +
           base::percent_encode(claim.access_key + '/' + claim.date + '/' + claim.region + '/' + claim.service +
                                "/aws4_request") +
           "&X-Amz-Date=" + base::to_amz_date(scope.time) + "&X-Amz-Expires=" + std::to_string(lifetime_seconds) +
           "&X-Amz-SignedHeaders=" + base::percent_encode(names);
  const SignedParts parts{.method = request.method, .path = request.path, .query = query, .headers = request.headers};
  const std::string canonical = canonical_request(parts, claim.signed_headers, request.body_digest);
  return query + "&X-Amz-Signature=" + signature_of(claim, credentials.secret, canonical);
}

}  // namespace kiln::wire
