#pragma once
// SHA-256 (the identity of chunks and nodes) and XXH3-64 (the checksum of stored bytes). Pure functions, thread-safe.

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kiln::base {

struct Digest {
  std::array<std::byte, 32> bytes{};

  auto operator<=>(const Digest&) const = default;
  bool is_null() const { return *this == Digest{}; }
  std::string hex() const;
  static std::optional<Digest> from_hex(std::string_view text);
};

Digest sha256(std::span<const std::byte> bytes);
Digest sha256(std::string_view text);

// SHA-256 of what is too large or too scattered for one span.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  Digest finish();  // once

 private:
  void* context_;
};

Digest hmac_sha256(std::string_view key, std::string_view text);

std::uint64_t xxh3_64(std::span<const std::byte> bytes, std::uint64_t seed = 0);

}  // namespace kiln::base

template <>
struct std::hash<kiln::base::Digest> {
  // A digest is uniform already: its first bytes are its hash.
  std::size_t operator()(const kiln::base::Digest& d) const noexcept {
    std::size_t value;
    __builtin_memcpy(&value, d.bytes.data(), sizeof value);
    return value;
  }
};
