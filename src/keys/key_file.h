#pragma once
// The files of the local key store, byte by byte: the root key's, a key's, and the text that a key encrypted.
// docs/formats/keys.md
//
//   root            | magic | version | 0 | root id | secret | SHA-256 |
//   <key id>.key    | magic | version | 0 | key id | root id | nonce | material, encrypted by the root key | tag |
//   ciphertext      | version | key id | salt | nonce | encrypted | tag |
//
// Pure codecs; any thread. Decoders take any bytes, read only those that are there, and refuse what is not exactly one
// of these with Fault::corrupt, or Fault::unsupported for a version that this program does not know.

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "keys/aes_gcm.h"
#include "keys/key_id.h"
#include "keys/secret.h"

namespace kiln::keys {

constexpr std::uint32_t key_format = 1;
constexpr std::size_t root_file_bytes = 96;
constexpr std::size_t key_file_bytes = 108;
constexpr std::size_t ciphertext_head_bytes = 45;

struct RootKey {
  KeyId id;
  Secret secret;
  bool operator==(const RootKey&) const = default;
};

base::Bytes encode(const RootKey& root);
base::Result<RootKey> decode_root(std::span<const std::byte> bytes);

// A key as it lies in its file: encrypted.
struct KeyFile {
  KeyId key, root;
  Nonce nonce{};
  std::array<std::byte, Secret::size_bytes + tag_bytes> sealed{};
  bool operator==(const KeyFile&) const = default;
};

base::Bytes encode(const KeyFile& file);
base::Result<KeyFile> decode_key_file(std::span<const std::byte> bytes);

// The nonce is the caller's: random.
KeyFile seal_key(const KeyId& key, const Secret& material, const RootKey& root, const Nonce& nonce);
base::Result<Secret> open_key(const KeyFile& file, const RootKey& root);

// What encrypt() of a key gives out. Every one has an AES key of its own, made of the material and the salt, so that
// the number of them under one key has no limit.
struct Ciphertext {
  KeyId key;
  std::array<std::byte, 16> salt{};
  Nonce nonce{};
  base::Bytes sealed;
  bool operator==(const Ciphertext&) const = default;
};

base::Bytes encode(const Ciphertext& text);
base::Result<Ciphertext> decode_ciphertext(std::span<const std::byte> bytes);

// context is bound to the text: the same is needed to decrypt.
Ciphertext encrypt_with(const KeyId& key, const Secret& material, std::span<const std::byte> plain,
                        std::string_view context);
base::Result<SecretBytes> decrypt_with(const Secret& material, const Ciphertext& text, std::string_view context);

}  // namespace kiln::keys
