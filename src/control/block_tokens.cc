#include "control/block_tokens.h"

#include <cstring>
#include <stdexcept>

#include "base/digest.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/text.h"

namespace kiln::control {
namespace {

constexpr std::size_t secret_hex = 64, mac_bytes = 24, fields_bytes = 16;

std::string secret_of(Region& region) {
  static base::Mutex making;  // two first requests must not make two secrets
  base::Lock lock(making);
  const auto path = region.directory / "token-key";
  auto found = region.files.read_all(path, secret_hex);
  if (found && found->size() == secret_hex) return *std::move(found);
  if (!found && found.error().fault() != base::Fault::not_found) throw std::runtime_error(found.error().message());
  auto made = base::random_hex(secret_hex / 2);
  if (const auto kept = region.files.replace(path, base::as_bytes(made)); !kept) {
    throw std::runtime_error(kept.error().message());
  }
  return made;
}

std::string fields_of(std::uint64_t value, base::Micros end) {
  std::string fields(fields_bytes, '\0');
  std::memcpy(fields.data(), &end, 8);
  std::memcpy(fields.data() + 8, &value, 8);
  return fields;
}

// In a time that does not depend on where they differ.
bool equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

BlockTokens::BlockTokens(Region& region) : secret_(secret_of(region)) {}

std::string BlockTokens::mac(std::string_view purpose, std::string_view fields) const {
  const auto digest = base::hmac_sha256(secret_, std::string(fields) + std::string(purpose));
  return {reinterpret_cast<const char*>(digest.bytes.data()), mac_bytes};
}

std::string BlockTokens::make(std::string_view purpose, std::uint64_t value, base::Micros end) const {
  const auto fields = fields_of(value, end);
  return base::to_base64(fields + mac(purpose, fields));
}

std::optional<std::uint64_t> BlockTokens::check(std::string_view purpose, std::string_view token,
                                                base::Micros now) const {
  const auto bytes = base::from_base64(token);
  if (!bytes || bytes->size() != fields_bytes + mac_bytes) return {};
  const auto fields = std::string_view(*bytes).substr(0, fields_bytes);
  if (!equal(mac(purpose, fields), std::string_view(*bytes).substr(fields_bytes))) return {};
  base::Micros end = 0;
  std::uint64_t value = 0;
  std::memcpy(&end, fields.data(), 8);
  std::memcpy(&value, fields.data() + 8, 8);
  return now < end ? std::optional(value) : std::nullopt;
}

}  // namespace kiln::control
