#include "blocks/pack_id.h"

#include <cstring>
#include <span>

#include "base/clock.h"
#include "base/ids.h"
#include "base/text.h"

namespace kiln::blocks {

std::string PackId::text() const {
  const std::string hex = base::to_hex(bytes);
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::optional<PackId> PackId::from_text(std::string_view text) {
  if (text.size() != 36 || text.find_first_not_of("0123456789abcdef-") != text.npos) return {};
  std::string hex;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return {};
    if (!dash) hex += text[i];
  }
  const auto raw = base::from_hex(hex);
  if (!raw || raw->size() != 16) return {};
  PackId id;
  std::memcpy(id.bytes.data(), raw->data(), 16);
  return id;
}

PackId PackId::make() {
  PackId id;
  const auto random = base::from_hex(base::random_hex(16));
  std::memcpy(id.bytes.data(), random->data(), 16);
  const auto millis = static_cast<std::uint64_t>(base::SystemClock().now() / 1000);
  for (int i = 0; i < 6; ++i) id.bytes[static_cast<std::size_t>(i)] = static_cast<std::byte>(millis >> (40 - 8 * i));
  id.bytes[6] = (id.bytes[6] & std::byte{0x0f}) | std::byte{0x70};  // version 7
  id.bytes[8] = (id.bytes[8] & std::byte{0x3f}) | std::byte{0x80};  // the variant of RFC 9562
  return id;
}

}  // namespace kiln::blocks
