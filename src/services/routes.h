#pragma once
// Which operation of a REST service a method and a path are for. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "services/operation.h"
#include "wire/rest.h"

namespace kiln::services {

// The labels of the route's path when this is a request for it: {snapshotId} matches one segment that is not empty,
// and is given decoded. Nothing when it is for something else.
std::optional<wire::Labels> match_route(const Route& route, std::string_view method, std::string_view path);

}  // namespace kiln::services
