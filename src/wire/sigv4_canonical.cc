// The canonical form of a request: what client and server must write alike, byte for byte.

#include <algorithm>

#include "base/digest.h"
#include "base/text.h"
#include "wire/sigv4.h"

namespace kiln::wire {
namespace {

// "." and ".." and empty segments go, as every SDK does for services other than S3.
std::string normalize(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view segment : base::split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..")
      kept.push_back(segment);
    else if (!kept.empty())
      kept.pop_back();
  }
  std::string out;
  for (const std::string_view segment : kept) (out += '/') += segment;
  if (kept.empty() || path.ends_with('/')) out += '/';
  return out;
}

// The path on the wire is encoded once already; the canonical one is encoded again, each segment by itself.
std::string canonical_path(std::string_view path) {
  const std::string normal = normalize(path);
  std::string out;
  for (const std::string_view segment : base::split(normal, '/')) {
    (out += base::percent_encode(segment)) += '/';
  }
  out.pop_back();
  return out;
}

// However the client spelled a parameter (%7e, +), its canonical spelling is one. What cannot be decoded stays itself.
std::string respell(std::string_view text) {
  const auto decoded = base::percent_decode(text, true);
  return base::percent_encode(decoded ? std::string_view(*decoded) : text);
}

std::string canonical_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!query.empty()) {
    for (const std::string_view part : base::split(query, '&')) {
      const auto equals = part.find('=');
      const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
      auto name = respell(part.substr(0, equals));
      if (part.empty() || name == "X-Amz-Signature") continue;
      pairs.emplace_back(std::move(name), respell(value));
    }
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    ((out += name) += '=') += value;
  }
  return out;
}

// Ends trimmed, runs of spaces made one.
void append_folded(std::string_view value, std::string& out) {
  bool space = false;
  for (const char c : base::trim(value)) {
    const bool is_space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (is_space && space) continue;
    out += is_space ? ' ' : c;
    space = is_space;
  }
}

// One line per signed header; a header that is sent several times has its values joined in order.
std::string canonical_headers(const HeaderList& headers, std::span<const std::string> names) {
  std::string out;
  for (const std::string& name : names) {
    (out += name) += ':';
    bool first = true;
    for (const auto& [sent, value] : headers) {
      if (base::lower(sent) != name) continue;
      if (!first) out += ',';
      first = false;
      append_folded(value, out);
    }
    out += '\n';
  }
  return out;
}

}  // namespace

std::string canonical_request(const SignedParts& request, std::span<const std::string> signed_headers,
                              std::string_view body_digest) {
  std::string out(request.method);
  (out += '\n') += canonical_path(request.path);
  (out += '\n') += canonical_query(request.query);
  (out += '\n') += canonical_headers(request.headers, signed_headers);
  out += '\n';
  for (std::size_t i = 0; i < signed_headers.size(); ++i) {
    if (i > 0) out += ';';
    out += signed_headers[i];
  }
  (out += '\n') += body_digest;
  return out;
}

std::string string_to_sign(const Claim& claim, std::string_view canonical) {
  std::string out = "AWS4-HMAC-SHA256\n";
  (out += base::to_amz_date(claim.time)) += '\n';
  ((((((out += claim.date) += '/') += claim.region) += '/') += claim.service) += "/aws4_request\n");
  return out += base::sha256(canonical).hex();
}

}  // namespace kiln::wire
