#pragma once
// Tags of keys, which are the key's owner's. Refusals are KMS's own codes. Request threads.

#include <map>
#include <string>
#include <vector>

#include "catalog/kms_keys.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

// Throws TagException.
void check_key_tags(const std::map<std::string, std::string>& tags);
void add_key_tags(catalog::Txn& txn, const catalog::KmsKey& key, const std::map<std::string, std::string>& tags);

void tag_key(Region& region, const Principal& caller, const std::string& name,
             const std::map<std::string, std::string>& tags);
void untag_key(Region& region, const Principal& caller, const std::string& name, const std::vector<std::string>& keys);
std::vector<catalog::KmsTag> key_tags(Region& region, const Principal& caller, const std::string& name);

}  // namespace kiln::control
