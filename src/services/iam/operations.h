#pragma once
// The operation tables of the service, each at the foot of its family's file, and what the families share.

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "control/iam_identities.h"
#include "services/service.h"

namespace kiln::services::iam {

std::span<const Operation> group_operations();
std::span<const Operation> identity_policy_operations();
std::span<const Operation> policy_operations();
std::span<const Operation> profile_operations();
std::span<const Operation> role_operations();
std::span<const Operation> user_operations();

std::vector<control::Asked> asked(const AtDoor& request);

struct Done {};

struct Tag {
  std::string key, value;
};

inline control::IamTags to_tags(const std::vector<Tag>& tags) {
  control::IamTags found;
  for (const auto& tag : tags) found.emplace_back(tag.key, tag.value);
  return found;
}
std::vector<Tag> tags_of(Call& call, const std::string& owner);

struct Boundary {
  std::string permissions_boundary_type = "Policy", permissions_boundary_arn;
};
std::optional<Boundary> to_boundary(const std::string& arn);

// The page of a list that MaxItems and Marker ask for; the marker is the name of the last item shown. Fills IsTruncated
// and Marker of the response.
template <class Item, class Request, class Response, class NameOf>
void cut_page(std::vector<Item>& items, const Request& request, Response& response, NameOf name_of) {
  const int limit = request.max_items.value_or(100);
  if (limit < 1 || limit > 1000) {
    throw base::ApiError("ValidationError", "1 validation error detected: Value '" + std::to_string(limit) +
                                                "' at 'maxItems' failed to satisfy constraint: Member must have value "
                                                "from 1 to 1000");
  }
  if (!request.marker.empty()) {
    const auto last = std::ranges::find_if(items, [&](const Item& item) { return name_of(item) == request.marker; });
    if (last == items.end()) throw base::ApiError("ValidationError", "Invalid Marker.");
    items.erase(items.begin(), last + 1);
  }
  response.is_truncated = items.size() > static_cast<std::size_t>(limit);
  if (!response.is_truncated) return;
  items.erase(items.begin() + limit, items.end());
  response.marker = name_of(items.back());
}

}  // namespace kiln::services::iam

KILN_WIRE_EMPTY(kiln::services::iam::Done)
KILN_WIRE(kiln::services::iam::Tag, key, value)
KILN_WIRE(kiln::services::iam::Boundary, permissions_boundary_type, permissions_boundary_arn)
