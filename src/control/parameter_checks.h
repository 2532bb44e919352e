#pragma once
// What may be said of a parameter: its members one by one, before anything is looked up. Pure functions, which throw
// Systems Manager's own codes.

#include <map>
#include <string>

#include "control/parameters.h"

namespace kiln::control {

// Everything that can be judged without the version before.
void check_new_parameter(const NewParameterVersion& what);
void check_parameter_tags(const std::map<std::string, std::string>& tags);
// Standard or Advanced: as asked for, as big as the value needs, as it was. A parameter never goes back to Standard.
std::string choose_tier(const NewParameterVersion& what, const catalog::ParameterVersion* before);
// Throws InvalidAllowedPatternException, ParameterPatternMismatchException. Empty: anything is allowed.
void check_allowed_pattern(const std::string& pattern, const std::string& value);

}  // namespace kiln::control
