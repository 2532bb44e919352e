#pragma once
// The operation tables of the service, each at the foot of its family's file, and what the families share.

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "services/service.h"

namespace kiln::services::kms {

std::span<const Operation> alias_operations();
std::span<const Operation> data_operations();
std::span<const Operation> key_operations();
std::span<const Operation> policy_operations();
std::vector<control::Asked> asked(const AtDoor& request);

struct Tag {
  std::string tag_key, tag_value;
};

// What was asked of a list, and how it is cut.
struct Page {
  std::optional<int> limit;
  std::string marker;
  int usual, most;
};

// Items from the one behind the marker on, which is the name of the last one shown, at most limit of them; the marker
// of the next page, empty when this is the last.
template <class Item, class NameOf>
std::string cut_page(std::vector<Item>& items, const Page& page, NameOf name_of) {
  const int limit = page.limit.value_or(page.usual);
  if (limit < 1 || limit > page.most) {
    throw base::ApiError("ValidationException", "1 validation error detected: Value '" + std::to_string(limit) +
                                                    "' at 'limit' failed to satisfy constraint: a number from 1 to " +
                                                    std::to_string(page.most));
  }
  if (!page.marker.empty()) {
    const auto last = std::ranges::find_if(items, [&](const Item& item) { return name_of(item) == page.marker; });
    if (last == items.end()) throw base::ApiError("InvalidMarkerException", "Could not deserialize marker");
    items.erase(items.begin(), last + 1);
  }
  if (items.size() <= static_cast<std::size_t>(limit)) return {};
  items.erase(items.begin() + limit, items.end());
  return name_of(items.back());
}

}  // namespace kiln::services::kms

KILN_WIRE(kiln::services::kms::Tag, tag_key, tag_value)
