#pragma once
// Key pairs. Only the public half is kept.

#include "catalog/table.h"

namespace kiln::catalog {

struct KeyPair {
  std::string region, account, name;
  std::string id;           // key-...
  std::string key_type;     // rsa ed25519
  std::string fingerprint;
  std::string public_key;   // one OpenSSH authorized_keys line
  base::Micros created = 0;
};

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::KeyPair, "key_pair", 3, region, account, name, id, key_type, fingerprint, public_key, created)
