#include "services/ec2/filter.h"

namespace kiln::services::ec2 {

using base::ApiError;

bool any_matches(const std::vector<std::string>& patterns, const std::vector<std::string>& values) {
  for (const auto& pattern : patterns) {
    for (const auto& value : values) {
      if (base::matches_wildcard(pattern, value)) return true;
    }
  }
  return false;
}

std::optional<bool> tag_filter_matches(const Filter& filter, const std::vector<Tag>& tags) {
  constexpr std::string_view by_key = "tag:";
  std::vector<std::string> values;
  if (filter.name == "tag-key") {
    for (const auto& tag : tags) values.push_back(tag.key);
  } else if (filter.name.starts_with(by_key)) {
    for (const auto& tag : tags) {
      if (tag.key == std::string_view(filter.name).substr(by_key.size())) values.push_back(tag.value);
    }
  } else {
    return {};
  }
  return any_matches(filter.value, values);
}

void refuse_filter(const std::string& name) {
  throw ApiError("InvalidParameterValue", "The filter '" + name + "' is invalid");
}

void check_filters(const std::vector<Filter>& filters) {
  for (const auto& filter : filters) {
    if (filter.name.empty()) throw ApiError("InvalidParameterValue", "The filter 'null' is invalid");
    if (filter.value.empty()) {
      throw ApiError("InvalidParameterValue", "The filter '" + filter.name + "' has no value");
    }
    if (filter.value.size() > 200) {
      throw ApiError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200");
    }
  }
}

std::string page_start(const PageRequest& request) {
  if (request.max_results && request.has_ids) {
    throw ApiError("InvalidParameterCombination", "The parameter MaxResults cannot be used with a list of ids");
  }
  if (request.max_results && (*request.max_results < request.least || *request.max_results > request.most)) {
    throw ApiError("InvalidParameterValue", "Value ( " + std::to_string(*request.max_results) +
                                                " ) for parameter maxResults is invalid. Expecting a value between " +
                                                std::to_string(request.least) + " and " + std::to_string(request.most) +
                                                ".");
  }
  if (!request.next_token) return {};
  const auto decoded = base::from_base64(*request.next_token);
  if (!decoded || !decoded->starts_with("after:")) {
    throw ApiError("InvalidNextToken", "The token '" + *request.next_token + "' is invalid");
  }
  return decoded->substr(6);
}

std::string page_token(const std::string& last_id) { return base::to_base64("after:" + last_id); }

}  // namespace kiln::services::ec2
