#pragma once
// The tree below /latest/: what an instance reads about itself. Pure functions.
//
// A directory answers with the names in it, one a line, those of directories with a slash at the end; with and without
// a slash at the end of its path.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "control/metadata.h"

namespace kiln::services::imds {

// Every leaf by its path, such as "meta-data/placement/region".
using Tree = std::map<std::string, std::string>;
Tree tree_of(const control::GuestMetadata& guest);

// The leaf below which the credentials of the profile's role are. The tree only lists it: what they are, changes.
std::string credentials_path(const control::ProfileOfGuest& profile);

// The leaf or the directory at path, which has no slash at its beginning; nothing when there is neither.
std::optional<std::string> look_up(const Tree& tree, std::string_view path);

}  // namespace kiln::services::imds
