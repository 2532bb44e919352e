#pragma once
// Where keys are: made, used and destroyed by name, and never handed out. The seam at which another key service can be
// put in place of the local store.
//
// Lent by reference to rules and jobs; every call is thread-safe and may wait for a disk or a network. What a key is
// for, whose it is and whether it may be used now is the caller's to know: a store knows names and material.
// After a crash: a key that create() returned for is there, and one that destroy() returned for has gone for good. A
// call that did not return is called again.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "keys/key_id.h"
#include "keys/secret.h"

namespace kiln::keys {

class KeyStore {
 public:
  virtual ~KeyStore() = default;

  // New random material of that name. Fault::exists when there is such a key.
  virtual base::Status create(const KeyId& key) = 0;

  // Encrypts up to a few KiB; the result names its key. context is bound to it: decrypt() needs the same.
  // Fault::not_found when there is no such key.
  virtual base::Result<base::Bytes> encrypt(const KeyId& key, std::span<const std::byte> plain,
                                            std::string_view context) = 0;
  // Fault::corrupt when this key did not encrypt it with that context.
  virtual base::Result<SecretBytes> decrypt(const KeyId& key, std::span<const std::byte> ciphertext,
                                            std::string_view context) = 0;

  // The material, and with it everything that it encrypted, is lost. What is not there is destroyed already.
  virtual base::Status destroy(const KeyId& key) = 0;

  virtual base::Result<std::vector<KeyId>> list() = 0;  // sorted
};

// The key that a ciphertext says it is of; nothing when it is no ciphertext of any.
std::optional<KeyId> key_of(std::span<const std::byte> ciphertext);

}  // namespace kiln::keys
