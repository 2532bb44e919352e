#pragma once
// Key pairs. Only the public half is kept.

#include "catalog/table.h"

namespace kiln::catalog {

struct KeyPair {
  std::string region, account, name;
  std::string id;        // key-...
  std::string key_type;  // rsa ed25519
  std::string fingerprint;
  std::string public_key;  // one OpenSSH authorized_keys line
  base::Micros created = 0;
};

std::optional<KeyPair> find_key_pair(Txn& txn, const std::string& region, const std::string& account,
                                     const std::string& name);
std::optional<KeyPair> find_key_pair_by_id(Txn& txn, const std::string& region, const std::string& account,
                                           const std::string& id);
std::vector<KeyPair> key_pairs_of(Txn& txn, const std::string& region, const std::string& account);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::KeyPair, "key_pair", 3, region, account, name, id, key_type, fingerprint, public_key, created)
