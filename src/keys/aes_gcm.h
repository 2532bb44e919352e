#pragma once
// AES-256-GCM, from OpenSSL. Pure functions; any thread.
//
// A nonce must never serve twice under one key: who calls either takes a random one and few messages, or a key of its
// own for each message.

#include <array>

#include "base/bytes.h"
#include "base/error.h"
#include "keys/secret.h"

namespace kiln::keys {

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
using Nonce = std::array<std::byte, nonce_bytes>;

// plain encrypted, and its tag behind it. bound is authenticated with it and is not in the result.
base::Bytes seal(const Secret& key, const Nonce& nonce, std::span<const std::byte> bound,
                 std::span<const std::byte> plain);

// Fault::corrupt when sealed was not made from this key, nonce and bound.
base::Result<SecretBytes> open(const Secret& key, const Nonce& nonce, std::span<const std::byte> bound,
                               std::span<const std::byte> sealed);

}  // namespace kiln::keys
