#pragma once
// The name of a pack: a UUID of version 7, which is a millisecond time and 74 random bits.
//
// The name says nothing of the content: a name derived from the content would let the deletion of a pack and the
// writing of an equal one race. A value; nothing here is shared.

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::blocks {

struct PackId {
  std::array<std::byte, 16> bytes{};

  auto operator<=>(const PackId&) const = default;
  // "01890a5d-ac96-774b-bcce-b302099a8057": the form of pack file names and of the catalog's rows.
  std::string text() const;
  static std::optional<PackId> from_text(std::string_view text);
  static PackId make();
};

}  // namespace kiln::blocks

template <>
struct std::hash<kiln::blocks::PackId> {
  // The last 8 bytes are random.
  std::size_t operator()(const kiln::blocks::PackId& id) const noexcept {
    std::size_t value;
    __builtin_memcpy(&value, id.bytes.data() + 8, sizeof value);
    return value;
  }
};
