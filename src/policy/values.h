#pragma once
// Numbers, times and addresses as conditions compare them. Pure; any thread. Nothing when the text is none.

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "base/time.h"

namespace kiln::policy {

std::optional<double> parse_number(std::string_view text);

// 2026-01-02, 2026-01-02T03:04Z, 2026-01-02T03:04:05.6+07:00, and seconds since 1970.
std::optional<base::Micros> parse_date(std::string_view text);

std::optional<bool> parse_boolean(std::string_view text);

// Addresses with the same first bits: 10.0.0.0/8, 2001:db8::/32, or one address. Version 4 is kept as ::ffff:a.b.c.d.
struct AddressRange {
  std::array<std::byte, 16> address{};
  unsigned bits = 128;

  bool holds(const AddressRange& one) const;
};
std::optional<AddressRange> parse_addresses(std::string_view text);

}  // namespace kiln::policy
