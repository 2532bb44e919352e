#pragma once
// Names for images: the operator's public parameters (/aws/service/kiln/debian-12), and resolve:ssm: in place of an
// image's id.
//
// An alias is a parameter of no account, whose versions each name an image. What it says to a caller is the newest
// version whose image that caller could launch then: an image that was deregistered, disabled or made private leaves
// the one before it, and without any the alias is not there.

#include <optional>
#include <string>
#include <vector>

#include "catalog/parameters.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

// debian-12 is /aws/service/kiln/debian-12. Throws InvalidParameterValue.
std::string alias_parameter(const std::string& alias);

struct AliasChange {
  catalog::ParameterVersion row;
  bool is_public = false;  // the image: else only those that it is shared with have the alias
};
// Of the operator. Throws InvalidAMIID.NotFound, InvalidAMIID.Unavailable unless the image can be launched.
AliasChange set_image_alias(Region& region, const Principal& by, const std::string& alias, const std::string& image_id);
// False when there was none.
bool delete_image_alias(Region& region, const std::string& alias);
std::vector<catalog::ParameterVersion> image_aliases(Region& region);  // the latest version of each, by name

// Whether the caller could launch the image that an alias's version names.
bool alias_serves(catalog::Txn& txn, const Region& region, const Principal& caller,
                  const catalog::ParameterVersion& version);

// What follows resolve:ssm: in an image's id; nothing when it is no such name.
std::optional<std::string> image_parameter(const std::string& image_id);
// The id that is meant: image_id itself, or what the parameter names. Throws SsmInvalidParameter, and SsmAccessDenied
// unless the caller's policies let it read the parameter (ssm:GetParameters).
std::string resolve_image_id(catalog::Txn& txn, const Region& region, const Principal& caller,
                             const std::string& image_id);

}  // namespace kiln::control
