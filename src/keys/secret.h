#pragma once
// Bytes that nobody else may see: overwritten when they go. A plain value; owned by whoever holds it.

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include "base/bytes.h"

namespace kiln::keys {

// Overwrites bytes so that no compiler leaves it out.
void wipe(std::span<std::byte> bytes);

// 256 bits of a key.
class Secret {
 public:
  static constexpr std::size_t size_bytes = 32;

  Secret() = default;  // zeros
  // From exactly size_bytes bytes.
  explicit Secret(std::span<const std::byte> from);
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { wipe(bytes_); }

  // From the kernel's random numbers.
  static Secret random();

  std::span<const std::byte> bytes() const { return bytes_; }
  bool operator==(const Secret&) const = default;

 private:
  std::array<std::byte, size_bytes> bytes_{};
};

// The same of any length: what a user encrypts.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(base::Bytes bytes) : bytes_(std::move(bytes)) {}
  SecretBytes(SecretBytes&& from) noexcept : bytes_(std::move(from.bytes_)) {}
  SecretBytes& operator=(SecretBytes&& from) noexcept {
    bytes_.swap(from.bytes_);
    return *this;
  }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(bytes_); }

  static SecretBytes random(std::size_t count);

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  base::Bytes bytes_;
};

}  // namespace kiln::keys
