#pragma once
// Key pairs: made here, or imported; the private half is shown once and never kept.

#include <string>
#include <vector>

#include "catalog/keys.h"
#include "control/region.h"

namespace kiln::control {

struct NewKeyPair {
  catalog::KeyPair key;
  std::string private_key;  // PEM (rsa) or OpenSSH (ed25519)
};

// Throws InvalidKeyPair.Duplicate, InvalidParameterValue.
NewKeyPair create_key_pair(Region& region, const std::string& account, const std::string& name,
                           const std::string& key_type);
// public_key: an OpenSSH line, or base64 DER, or PEM. Throws InvalidKey.Format too.
catalog::KeyPair import_key_pair(Region& region, const std::string& account, const std::string& name,
                                 const std::string& public_key);
// By name or by id; true when it was there.
std::optional<catalog::KeyPair> delete_key_pair(Region& region, const std::string& account, const std::string& name,
                                                const std::string& id);
std::vector<catalog::KeyPair> key_pairs(Region& region, const std::string& account);
// For a launch. Throws InvalidKeyPair.NotFound.
catalog::KeyPair key_pair(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& name);

}  // namespace kiln::control
