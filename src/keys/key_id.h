#pragma once
// The name of a key: a UUID, as AWS writes it. A plain value.

#include <array>
#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::keys {

struct KeyId {
  std::array<std::byte, 16> bytes{};

  auto operator<=>(const KeyId&) const = default;
  std::string text() const;                                      // 1234abcd-12ab-34cd-56ef-1234567890ab
  static std::optional<KeyId> from_text(std::string_view text);  // lower-case digits, dashes where they belong
};

}  // namespace kiln::keys
