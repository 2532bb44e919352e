#pragma once
// What keys are used for by those who call KMS themselves: encrypting a few KiB, and data keys. Refusals are KMS's own
// codes. Request threads.

#include <map>
#include <string>

#include "catalog/kms_keys.h"
#include "control/kms_keys.h"
#include "control/region.h"
#include "keys/secret.h"

namespace kiln::control {

using EncryptionContext = std::map<std::string, std::string>;

// The context as it is bound to a ciphertext: of each pair, by key, the length and bytes of key and of value.
std::string bound_context(const EncryptionContext& context);

struct Encrypted {
  catalog::KmsKey key;
  std::string ciphertext;
};
struct Decrypted {
  catalog::KmsKey key;
  keys::SecretBytes plain;
};

// action: what the policy has to allow, kms:Encrypt or kms:GenerateDataKey...
Encrypted encrypt(Region& region, const KeyCaller& caller, const std::string& key_name,
                  std::span<const std::byte> plain, const EncryptionContext& context,
                  const std::string& action = "kms:Encrypt");
// key_name empty: the key that the ciphertext names. Throws InvalidCiphertextException, IncorrectKeyException.
Decrypted decrypt(Region& region, const KeyCaller& caller, const std::string& key_name, const std::string& ciphertext,
                  const EncryptionContext& context, const std::string& action = "kms:Decrypt");

}  // namespace kiln::control
