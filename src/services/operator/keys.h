#pragma once
// The operator's look at keys, and the end of one. Called on a connection's thread.

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "control/region.h"

namespace kiln::services::operators {

using SendLine = std::function<void(const char* kind, boost::json::object content)>;

// One line a key of every account in the region, and one a key whose material no region knows.
void list_keys(const control::Region& region, const SendLine& send);
// By id or ARN, at once; the ARN. Throws NotFoundException.
std::string delete_key(control::Region& region, const std::string& key);

}  // namespace kiln::services::operators
