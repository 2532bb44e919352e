#pragma once
// Which key a new volume or snapshot is encrypted by: AWS's rules, of what is asked for, what it is made from, and what
// the account wants by default. docs/operating/keys.md has them as a table.
//
// Decided in the transaction that writes the row down, by names alone. Whether the key may be used is found out by the
// job that uses it (key_domains.h), as on AWS: a request with a bad key succeeds, and what it asked for fails.

#include <optional>
#include <stdexcept>
#include <string>

#include "catalog/kms_keys.h"
#include "catalog/snapshots.h"
#include "control/kms_keys.h"
#include "control/region.h"

namespace kiln::control {

// What a request says.
struct EncryptionWish {
  std::optional<bool> encrypted = {};
  std::string key = {};  // id, ARN, alias, ARN of an alias; empty: the account's default key
};

// What something encrypted is made into when no key is named.
enum class KeyOfSource {
  keep,          // its own account's: by the same key. Volumes, images
  take_default,  // by the account's default key. CopySnapshot
};

struct EncryptionChoice {
  std::string account;  // whose the new thing is
  EncryptionWish wish;
  bool source_encrypted = false;
  std::string source_key;  // ARN; empty also when it is of another region
  bool source_is_own = true;
  KeyOfSource without_key = KeyOfSource::keep;
};

// The ARN of the key; empty: not encrypted. A name that leads to no key is made an ARN as if it did. Throws
// InvalidParameterDependency for a key without Encrypted; whoever calls refuses to take encryption away, in its own
// words. Throws NeedsEbsKey.
std::string choose_key(catalog::Txn& txn, const Region& region, const EncryptionChoice& choice);
bool takes_encryption_away(const EncryptionWish& wish, bool source_encrypted);
// The same for a snapshot of this region.
EncryptionChoice choice_from(const catalog::Snapshot& snapshot, const std::string& account, const EncryptionWish& wish);

// The account's alias/aws/ebs is wanted and not there yet, and cannot be made within a transaction.
struct NeedsEbsKey {};

// Runs a request; when it needs the key that the service itself makes, makes it and runs it again.
template <class Body>
auto with_ebs_key(Region& region, const std::string& account, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const NeedsEbsKey&) {
    service_key(region, account, ebs_alias);
    return body();
  }
}

}  // namespace kiln::control
