#include "control/parameter_names.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/text.h"
#include "catalog/parameters.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::string_view in_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/";
constexpr std::size_t longest_name = 2048, longest_new_name = 1011, most_levels = 15, longest_label = 100;

constexpr const char* name_rules =
    "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of "
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
    "symbols .-_";
constexpr const char* path_rules =
    "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "
    "\"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the "
    "following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if "
    "specified, must use the forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_.";

bool has_only_name_characters(const std::string& text) {
  return text.find_first_not_of(in_names) == std::string::npos && text.find("//") == std::string::npos;
}

bool begins_with_word(const std::string& name, std::string_view word) {
  return base::lower(name.substr(name.starts_with('/') ? 1 : 0)).starts_with(word);
}

}  // namespace

void refuse_member(const std::string& value, const std::string& member, const std::string& constraint) {
  throw ApiError("ValidationException", "1 validation error detected: Value '" + value + "' at '" + member +
                                            "' failed to satisfy constraint: " + constraint);
}

bool is_public_parameter(const std::string& name) { return name.starts_with(public_parameters); }

void check_new_parameter_name(const std::string& name) {
  if (name.empty() || name.size() > longest_name) {
    refuse_member(name, "name", "Member must have a length of 1 to " + std::to_string(longest_name));
  }
  if (name.size() > longest_new_name) {
    throw ApiError("ValidationException", "The parameter name has more than " + std::to_string(longest_new_name) +
                                              " characters: " + std::to_string(name.size()));
  }
  if (begins_with_word(name, "aws")) {
    throw ApiError("AccessDeniedException", "No access to reserved parameter name: " + name + ".");
  }
  if (begins_with_word(name, "ssm") || !has_only_name_characters(name) || name.ends_with('/')) {
    throw ApiError("ValidationException", name_rules);
  }
  if (!name.starts_with('/') && name.find('/') != std::string::npos) {
    throw ApiError("ValidationException", "Parameter name must be a fully qualified name.");
  }
  if (std::ranges::count(name, '/') > static_cast<std::ptrdiff_t>(most_levels)) {
    throw ApiError("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of 15 levels.");
  }
}

void check_parameter_path(const std::string& path) {
  if (path.empty() || path.size() > longest_name) {
    refuse_member(path, "path", "Member must have a length of 1 to " + std::to_string(longest_name));
  }
  if (!path.starts_with('/') || !has_only_name_characters(path)) throw ApiError("ValidationException", path_rules);
}

bool is_parameter_label(const std::string& label) {
  if (label.empty() || label.size() > longest_label) return false;
  if (label.find_first_not_of(in_names.substr(0, in_names.size() - 1)) != std::string::npos) return false;
  const bool begins_with_digit = label.front() >= '0' && label.front() <= '9';
  return !begins_with_digit && !begins_with_word(label, "aws") && !begins_with_word(label, "ssm");
}

ParameterName read_parameter_name(const Region& region, const Principal& caller, const std::string& text) {
  if (text.empty() || text.size() > longest_name) {
    refuse_member(text, "name", "Member must have a length of 1 to " + std::to_string(longest_name));
  }
  if (!text.starts_with("arn:")) {
    const auto colon = std::min(text.find(':'), text.size());
    auto name = text.substr(0, colon);
    const auto account = is_public_parameter(name) ? std::string() : caller.account;
    return {.account = account, .name = std::move(name), .selector = text.substr(colon)};
  }
  const auto parts = base::split(text, ':');
  constexpr std::string_view kind = "parameter/";
  const bool is_one = parts.size() >= 6 && parts.size() <= 7 && parts[2] == "ssm" && parts[3] == region.name;
  if (!is_one || !parts[5].starts_with(kind) || parts[5] == kind) throw ApiError("ParameterNotFound", "");
  ParameterName read{.account = std::string(parts[4]),
                     .name = std::string(parts[5].substr(kind.size() - 1)),
                     .selector = parts.size() == 7 ? ":" + std::string(parts[6]) : ""};
  // Nothing is shared between accounts, so another's is not there, whether it is or not.
  if (read.account.empty() ? !is_public_parameter(read.name) : read.account != caller.account) {
    throw ApiError("ParameterNotFound", "");
  }
  if (std::ranges::count(read.name, '/') == 1) read.other_name = read.name.substr(1);
  return read;
}

std::string arn_of(const Region& region, const ParameterName& name) {
  return catalog::parameter_arn(region.name, name.account, name.name);
}

}  // namespace kiln::control
