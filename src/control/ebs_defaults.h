#pragma once
// What an account wants of its new volumes and snapshots in a region: encrypted unasked, and by which key. Request
// threads.

#include <string>

#include "catalog/kms_keys.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

catalog::EbsDefaults ebs_defaults(Region& region, const std::string& account);
void encrypt_by_default(Region& region, const std::string& account, bool encrypt);
// The ARN of the key that encrypts from here on when none is named. Throws InvalidParameterValue unless the name is of
// an enabled key that the caller may use. An empty name: the account's alias/aws/ebs again.
std::string set_default_key(Region& region, const Principal& caller, const std::string& name);

}  // namespace kiln::control
