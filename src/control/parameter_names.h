#pragma once
// How parameters are named: paths of at most 15 levels, what may stand in them, and what callers say to get at one of
// their versions. Pure functions, which throw Systems Manager's own codes.

#include <string>
#include <vector>

#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

// Below it are the operator's parameters, which everybody may read and no user may write.
inline constexpr const char* public_parameters = "/aws/service/";
bool is_public_parameter(const std::string& name);

// Of a parameter that is to be written. Throws ValidationException, AccessDeniedException,
// HierarchyLevelLimitExceededException.
void check_new_parameter_name(const std::string& name);
// Of a path that is asked for: begins with a slash. Throws ValidationException.
void check_parameter_path(const std::string& path);
// Letters, digits, . - _; begins with no digit, aws or ssm; at most 100 characters.
bool is_parameter_label(const std::string& label);

// A name, or an ARN, and what follows it behind a colon.
struct ParameterName {
  std::string account;  // '' of the operator's
  std::string name;
  std::string other_name = {};  // an ARN does not tell /name from name
  std::string selector;         // ":3", ":label"; empty: the latest version
};
// Throws ValidationException for what is too long or empty, ParameterNotFound for an ARN of elsewhere.
ParameterName read_parameter_name(const Region& region, const Principal& caller, const std::string& text);
// What a policy knows it by.
std::string arn_of(const Region& region, const ParameterName& name);

// "1 validation error detected: Value '...' at 'name' failed to satisfy constraint: ..."
[[noreturn]] void refuse_member(const std::string& value, const std::string& member, const std::string& constraint);

}  // namespace kiln::control
