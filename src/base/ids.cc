#include "base/ids.h"

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstdlib>

#include "base/text.h"

namespace kiln::base {

void fill_random(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got > 0) {
      out = out.subspan(static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      std::abort();  // without random numbers, ids and secrets would be guessable
    }
  }
}

std::string random_hex(std::size_t count) {
  std::string bytes(count, '\0');
  fill_random(std::as_writable_bytes(std::span(bytes)));
  return to_hex(std::as_bytes(std::span(bytes)));
}

std::string new_id(std::string_view prefix) { return std::string(prefix) + "-" + random_hex(9).substr(0, 17); }

bool is_id(std::string_view prefix, std::string_view text) {
  if (!text.starts_with(prefix) || text.size() <= prefix.size() || text[prefix.size()] != '-') return false;
  const auto digits = text.substr(prefix.size() + 1);
  if (digits.size() != 8 && digits.size() != 17) return false;
  return digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string new_uuid() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  hex[16] = "89ab"[static_cast<unsigned>(hex[16]) % 4];
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

}  // namespace kiln::base
