#pragma once
// Tokens that were given out for something and until some time, and are good for nothing else.
//
// base64 of: end, 8 bytes; value, 8 bytes; the first 24 bytes of HMAC-SHA-256 over the purpose and both. The secret is
// <region>/token-key, 32 random bytes in hex that the first use makes; it is as secret as the disks beside it. Request
// threads.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control/region.h"

namespace kiln::control {

class BlockTokens {
 public:
  // Throws std::runtime_error when the secret can be neither read nor made.
  explicit BlockTokens(Region& region);

  std::string make(std::string_view purpose, std::uint64_t value, base::Micros end) const;
  // The value of a token that was made for this purpose and has not ended; nothing for any other text.
  std::optional<std::uint64_t> check(std::string_view purpose, std::string_view token, base::Micros now) const;

 private:
  std::string mac(std::string_view purpose, std::string_view fields) const;
  std::string secret_;
};

}  // namespace kiln::control
