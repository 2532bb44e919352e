#include "control/parameter_checks.h"

#include <algorithm>
#include <boost/regex.hpp>
#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "control/parameter_names.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::size_t standard_bytes = 4096, advanced_bytes = 8192;
constexpr std::string_view types[] = {"String", "StringList", "SecureString"};
constexpr std::string_view tiers[] = {"Standard", "Advanced", "Intelligent-Tiering"};

template <std::size_t count>
bool is_one_of(const std::string& text, const std::string_view (&all)[count]) {
  return std::ranges::find(all, text) != std::end(all);
}

void check_length(const std::optional<std::string>& text, std::size_t most, const char* member) {
  if (text && text->size() > most) {
    refuse_member(*text, member, "Member must have length less than or equal to " + std::to_string(most));
  }
}

}  // namespace

void check_new_parameter(const NewParameterVersion& what) {
  check_new_parameter_name(what.name);
  if (what.value.empty()) refuse_member("", "value", "Member must have length greater than or equal to 1");
  if (!what.type.empty() && !is_one_of(what.type, types)) {
    refuse_member(what.type, "type", "Member must satisfy enum value set: [SecureString, StringList, String]");
  }
  if (!what.tier.empty() && !is_one_of(what.tier, tiers)) {
    refuse_member(what.tier, "tier", "Member must satisfy enum value set: [Standard, Advanced, Intelligent-Tiering]");
  }
  if (!what.data_type.empty() && what.data_type != "text" && what.data_type != image_data_type) {
    throw ApiError("ValidationException", "The following data type is not supported: " + what.data_type +
                                              " (Data type names are all lowercase.)");
  }
  if (what.data_type == image_data_type && !base::is_id("ami", what.value)) {
    throw ApiError("ValidationException", "Invalid value: " + what.value +
                                              " of the data type aws:ec2:image. Expected the id of an AMI: ami-...");
  }
  check_length(what.description, 1024, "description");
  check_length(what.allowed_pattern, 1024, "allowedPattern");
  check_length(what.key, 256, "keyId");
  if (!what.key.empty() && !what.type.empty() && what.type != "SecureString") {
    throw ApiError("ValidationException", "KeyId is required for SecureString type parameter only.");
  }
  if (!what.tags.empty() && what.overwrite) {
    throw ApiError("ValidationException",
                   "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, "
                   "please remove overwrite flag. To update tags for an existing parameter, please use "
                   "AddTagsToResource or RemoveTagsFromResource.");
  }
  check_parameter_tags(what.tags);
  if (!what.policies.empty() && what.policies != "[]") {
    throw ApiError("InvalidPolicyTypeException", "Parameter policies are not served here.");
  }
}

void check_parameter_tags(const std::map<std::string, std::string>& tags) {
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > 128) refuse_member(key, "tags.key", "Member must have a length of 1 to 128");
    if (value.size() > 256) refuse_member(value, "tags.value", "Member must have length less than or equal to 256");
    if (key.starts_with("aws:"))
      throw ApiError("ValidationException", "aws: prefixed tag key names are not allowed: " + key);
  }
}

std::string choose_tier(const NewParameterVersion& what, const catalog::ParameterVersion* before) {
  const bool was_advanced = before != nullptr && before->tier == "Advanced";
  if (what.tier == "Standard" && was_advanced) {
    throw ApiError("ValidationException",
                   "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
                   "advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced "
                   "parameter and recreate it as a standard parameter.");
  }
  const bool fits_standard = what.value.size() <= standard_bytes;
  const bool advanced =
      was_advanced || what.tier == "Advanced" || (what.tier == "Intelligent-Tiering" && !fits_standard);
  if (!advanced && !fits_standard) {
    throw ApiError("ValidationException",
                   "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger "
                   "parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, "
                   "see https://docs.aws.amazon.com/systems-manager/latest/userguide/"
                   "parameter-store-advanced-parameters.html");
  }
  if (what.value.size() > advanced_bytes) {
    throw ApiError("ValidationException",
                   "Advanced tier parameters support a maximum parameter value of 8192 characters.");
  }
  return advanced ? "Advanced" : "Standard";
}

void check_allowed_pattern(const std::string& pattern, const std::string& value) {
  if (pattern.empty()) return;
  bool matches = false;
  try {
    // As in Java, which AWS uses, the pattern may match any part of the value. Boost's matcher counts its steps and
    // throws when a pattern would take for ever.
    matches = boost::regex_search(value, boost::regex(pattern));
  } catch (const boost::regex_error&) {
    throw ApiError("InvalidAllowedPatternException", "The request doesn't meet the regular expression requirement.");
  } catch (const std::runtime_error&) {
    throw ApiError("InvalidAllowedPatternException", "The regular expression takes too long for this value.");
  }
  if (!matches) {
    throw ApiError("ParameterPatternMismatchException",
                   "Parameter value, cannot match with allowedPattern: " + pattern);
  }
}

}  // namespace kiln::control
