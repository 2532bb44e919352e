#include "control/sharing.h"

#include <algorithm>

#include "base/api_error.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::size_t most_snapshot_grantees = 500;  // in one call

struct ItemType {
  std::string_view kind, name;  // the name is the API's
};
constexpr ItemType item_types[] = {{"account", "userId"},
                                   {"group", "group"},
                                   {"organization", "organizationArn"},
                                   {"organizational-unit", "organizationalUnitArn"}};

std::string_view item_type(const std::string& kind) {
  const auto* const found = std::ranges::find(item_types, std::string_view(kind), &ItemType::kind);
  return found == std::end(item_types) ? "item" : found->name;
}

// arn:aws:organizations::123456789012:ou/o-a1b2c3d4e5/ou-ab12-11111111. It need not be there: those of the
// configuration are of other systems.
bool is_organizations_arn(const std::string& text, const std::string& resource) {
  const auto service = text.find(":organizations::");
  if (!text.starts_with("arn:") || service == std::string::npos) return false;
  const auto account = service + std::string_view(":organizations::").size();
  if (!is_account_id(text.substr(account, 12))) return false;
  const auto path = text.substr(account + 12);
  return path.starts_with(resource) && path.size() > resource.size() &&
         path.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-/", 1) == std::string::npos;
}

bool is_image_grantee(const Grantee& grantee) {
  if (grantee.kind == "account") return is_account_id(grantee.value);
  if (grantee.kind == "group") return grantee.value == "all";
  if (grantee.kind == "organization") return is_organizations_arn(grantee.value, ":organization/o-");
  return is_organizations_arn(grantee.value, ":ou/o-");
}

}  // namespace

bool is_account_id(const std::string& text) {
  return text.size() == 12 && text.find_first_not_of("0123456789") == std::string::npos;
}

bool is_public(const std::vector<Grantee>& grantees) {
  return std::ranges::any_of(grantees, [](const Grantee& each) { return each.kind == "group"; });
}

void check_image_grantees(const ShareChanges& changes) {
  for (const auto* list : {&changes.add, &changes.remove}) {
    for (const auto& grantee : *list) {
      if (is_image_grantee(grantee)) continue;
      throw ApiError("InvalidAMIAttributeItemValue", "Invalid attribute item value \"" + grantee.value + "\" for " +
                                                         std::string(item_type(grantee.kind)) + " item type.");
    }
  }
}

void check_snapshot_grantees(const ShareChanges& changes) {
  if (!changes.add.empty() && !changes.remove.empty()) {
    throw ApiError("InvalidParameterCombination",
                   "Permissions can be added or removed in one request, and not both in the same.");
  }
  for (const auto* list : {&changes.add, &changes.remove}) {
    if (list->size() > most_snapshot_grantees) {
      throw ApiError("InvalidParameterValue", "At most " + std::to_string(most_snapshot_grantees) +
                                                  " permissions can be changed in one request.");
    }
    for (const auto& grantee : *list) {
      if (grantee.kind == "account" && !is_account_id(grantee.value)) {
        throw ApiError("InvalidUserID.Malformed", "Invalid user id: \"" + grantee.value + "\"");
      }
      if (grantee.kind == "group" && grantee.value != "all") {
        throw ApiError("InvalidParameterValue",
                       "Value (" + grantee.value + ") for parameter groupName is invalid. Expected: 'all'.");
      }
    }
  }
}

}  // namespace kiln::control
