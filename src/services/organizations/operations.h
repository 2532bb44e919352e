#pragma once
// The operation tables of the service, each at the foot of its family's file, and what the families share.

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "control/organizations.h"
#include "services/service.h"

namespace kiln::services::organizations {

std::span<const Operation> account_operations();
std::span<const Operation> handshake_operations();
std::span<const Operation> organization_operations();
std::span<const Operation> unit_operations();

struct Empty {};

// Of every list: at most 20 at a time. A token is the id of the last one shown.
struct PageRequest {
  std::string next_token;
  std::optional<int> max_results;
};

template <class Item, class IdOf>
std::optional<std::string> cut_page(std::vector<Item>& items, const PageRequest& page, IdOf id_of) {
  const int most = page.max_results.value_or(20);
  if (most < 1 || most > 20) {
    throw base::ApiError("InvalidInputException", "You specified an invalid value: MaxResults is 1 to 20.", 400,
                         "MAX_VALUE_EXCEEDED");
  }
  std::ranges::sort(items, {}, id_of);
  if (!page.next_token.empty()) {
    std::erase_if(items, [&](const Item& item) { return id_of(item) <= page.next_token; });
  }
  if (items.size() <= static_cast<std::size_t>(most)) return {};
  items.resize(static_cast<std::size_t>(most));
  return id_of(items.back());
}

}  // namespace kiln::services::organizations

KILN_WIRE_EMPTY(kiln::services::organizations::Empty)
