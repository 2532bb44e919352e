#include "services/ec2/tagging.h"

#include <algorithm>

#include "base/api_error.h"

namespace kiln::services::ec2 {

using base::ApiError;

std::vector<Tag> to_shape(const std::vector<catalog::Tag>& rows) {
  std::vector<Tag> tags;
  for (const auto& row : rows) tags.push_back({row.key, row.value});
  return tags;
}

std::map<std::string, std::string> tag_map(const std::vector<Tag>& tags) {
  std::map<std::string, std::string> map;
  for (const auto& tag : tags) {
    if (!map.emplace(tag.key, tag.value).second) {
      throw ApiError("InvalidParameterValue", "Duplicate tag key '" + tag.key + "' specified.");
    }
  }
  return map;
}

std::map<std::string, std::string> tags_for(const std::vector<TagSpecification>& specifications,
                                            std::string_view resource_type,
                                            const std::vector<std::string_view>& allowed) {
  std::vector<Tag> tags;
  for (const auto& specification : specifications) {
    if (std::find(allowed.begin(), allowed.end(), specification.resource_type) == allowed.end()) {
      throw ApiError("InvalidParameterValue",
                     "'" + specification.resource_type + "' is not a valid taggable resource type for this operation.");
    }
    if (specification.resource_type == resource_type) {
      tags.insert(tags.end(), specification.tag.begin(), specification.tag.end());
    }
  }
  return tag_map(tags);
}

}  // namespace kiln::services::ec2
