#include "keys/key_id.h"

#include <algorithm>

#include "base/text.h"

namespace kiln::keys {

std::string KeyId::text() const {
  std::string text = base::to_hex(bytes);
  for (const std::size_t at : {8, 13, 18, 23}) text.insert(at, 1, '-');
  return text;
}

std::optional<KeyId> KeyId::from_text(std::string_view text) {
  if (text.size() != 36) return {};
  std::string hex;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const char c = text[i];
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return {};
    if (!dash) hex += c;
  }
  const auto raw = base::from_hex(hex);
  if (!raw) return {};
  KeyId id;
  std::transform(raw->begin(), raw->end(), id.bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
  return id;
}

}  // namespace kiln::keys
