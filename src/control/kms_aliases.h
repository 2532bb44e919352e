#pragma once
// Aliases: names that an account gives its keys, and may point elsewhere later. Refusals are KMS's own codes. Request
// threads.

#include <string>
#include <vector>

#include "catalog/kms_keys.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

// Throws AlreadyExistsException, InvalidAliasNameException, NotAuthorizedException for alias/aws/.
void create_key_alias(Region& region, const Principal& caller, const std::string& alias, const std::string& key_name);
void update_key_alias(Region& region, const Principal& caller, const std::string& alias, const std::string& key_name);
void delete_key_alias(Region& region, const Principal& caller, const std::string& alias);
// By name; with a key's name those of it alone.
std::vector<catalog::KmsAlias> key_aliases(Region& region, const Principal& caller, const std::string& key_name);

}  // namespace kiln::control
