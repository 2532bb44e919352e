#pragma once
// Domains of chunks and the keys that protect them: a domain for each key that something in the region is encrypted
// by, made when it is first needed. Its secret is a row, encrypted by the key; in clear it is only in the keyring of
// the region's store, and in disk servers that were given it.
//
// A key that is disabled, or waits for its deletion, takes its domain out of the keyring; asked for again it is refused
// until the key is enabled. A running guest keeps its disks, as on AWS, because its disk server keeps what it was
// given. Any thread; calls wait for the catalog and the key store.

#include <stdexcept>
#include <string>

#include "blocks/key_domain.h"
#include "blocks/keyring.h"
#include "catalog/database.h"
#include "catalog/kms_keys.h"
#include "control/region.h"
#include "keys/key_store.h"

namespace kiln::control {

// In AWS's words, which become the status message of what fails for it.
class KeyNotAccessible : public std::runtime_error {
 public:
  KeyNotAccessible() : std::runtime_error("Given key ID is not accessible") {}
};

// The same of an instance that does not start for it, in the words that AWS has then: the job fails with
// Client.InternalError. Logs which volume it was.
[[noreturn]] void refuse_boot(const std::string& volume_id, const std::string& why);

// For the keyring of a region's store: a domain that is missed is read from its row. All three must outlive the ring.
blocks::Keyring::Load domain_loader(catalog::Database& catalog, keys::KeyStore& key_store, std::string region);

// Where something new of the account's goes; plain for an empty ARN. Throws KeyNotAccessible unless the key is enabled
// and its policy lets the account use it through EC2.
blocks::DomainId domain_for_new(Region& region, const std::string& account, const std::string& key_arn);
// Where something that is there lies. Throws KeyNotAccessible unless the key is enabled.
blocks::DomainId domain_of(Region& region, const std::string& key_arn);
// The same for something of another account's, that its policy lets this account read.
blocks::DomainId domain_to_read(Region& region, const std::string& account, const std::string& key_arn);

// The domain itself; null for the plain one. Throws KeyNotAccessible.
blocks::DomainPtr keys_of_domain(Region& region, const blocks::DomainId& id);

// After a key was disabled, or is to be deleted: its domain leaves the keyring, with what memory holds of it.
void forget_domain_of(Region& region, const std::string& key_arn);
// Of all keys that are not enabled: a domain that was being read while its key was disabled may have come back.
void forget_lost_domains(Region& region);

}  // namespace kiln::control
