#include "services/imds/tokens.h"

#include "base/bytes.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/text.h"

namespace kiln::services::imds {
namespace {

constexpr std::size_t end_bytes = sizeof(base::Micros);

std::string signature(const std::string& secret, const std::string& instance_id, std::string_view end) {
  const auto digest = base::hmac_sha256(secret, instance_id + std::string(end));
  return std::string(base::as_text(digest.bytes));
}

// In a time that does not depend on where they differ.
bool equal(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

Tokens::Tokens() : secret_(base::random_hex(32)) {}

std::string Tokens::make(const std::string& instance_id, base::Micros now, int seconds) const {
  base::Bytes end;
  base::append_int(end, now + base::seconds(seconds));
  const std::string text(base::as_text(end));
  return base::to_base64(text + signature(secret_, instance_id, text));
}

bool Tokens::is_good(std::string_view token, const std::string& instance_id, base::Micros now) const {
  const auto bytes = base::from_base64(token);
  if (!bytes || bytes->size() <= end_bytes) return false;
  const std::string end = bytes->substr(0, end_bytes);
  if (!equal(bytes->substr(end_bytes), signature(secret_, instance_id, end))) return false;
  base::Reader reader(base::as_bytes(end));
  return now < reader.read_int<base::Micros>();
}

}  // namespace kiln::services::imds
