#pragma once
// A job's named values as its row keeps them: one JSON object of strings. Pure functions.

#include <map>
#include <string>

namespace kiln::jobs {

using Arguments = std::map<std::string, std::string>;

std::string format_arguments(const Arguments& arguments);
// Throws std::runtime_error when text is not an object of strings.
Arguments parse_arguments(const std::string& text);

}  // namespace kiln::jobs
