#pragma once
// Tags between their rows, their wire form and the tag specifications of creating calls. Pure functions.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/tags.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

std::vector<Tag> to_shape(const std::vector<catalog::Tag>& rows);

// Throws InvalidParameterValue when a key is given twice.
std::map<std::string, std::string> tag_map(const std::vector<Tag>& tags);

// The tags that specifications give to resources of a type; throws InvalidParameterValue for a type that is not in
// allowed, which are the types that the operation creates.
std::map<std::string, std::string> tags_for(const std::vector<TagSpecification>& specifications,
                                            std::string_view resource_type,
                                            const std::vector<std::string_view>& allowed);

}  // namespace kiln::services::ec2
