#pragma once
// What of a REST request or response is not in its body: members in the path, the query string and headers. Pure.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/params.h"
#include "wire/table.h"

namespace kiln::wire {

using Labels = std::vector<std::pair<std::string, std::string>>;  // of a path's template, decoded

// Lends all of it.
struct RestSource {
  const Labels& labels;
  const Params& query;
  std::function<std::optional<std::string_view>(std::string_view name)> header;
};

// Fills the members of a structure that are bound to one of these; what is absent stays as it is. Throws ApiError
// (ValidationException) that names the member.
void decode_bound(const RestSource& source, const Type& type, void* value);

// Appends the members that are bound to headers; empty texts and absent members are left out.
void encode_bound(const Type& type, const void* value, std::vector<std::pair<std::string, std::string>>& headers);

}  // namespace kiln::wire
