#pragma once
// Whom an image or a snapshot is shared with: as callers say it, and as rows keep it.
//
// Pure functions, which throw ApiError.

#include <string>
#include <vector>

namespace kiln::control {

struct Grantee {
  std::string kind;   // account, group, organization, organizational-unit: launch_permission.kind
  std::string value;  // 12 digits, "all", an ARN
  bool operator==(const Grantee&) const = default;
};

struct ShareChanges {
  std::vector<Grantee> add = {}, remove = {};
  bool empty() const { return add.empty() && remove.empty(); }
};

bool is_account_id(const std::string& text);
bool is_public(const std::vector<Grantee>& grantees);  // whether the group all is one of them
// Throws InvalidAMIAttributeItemValue.
void check_image_grantees(const ShareChanges& changes);
// Accounts and the group only. Throws InvalidUserID.Malformed and InvalidParameterValue, also for more than 500 entries
// and for additions beside removals, as AWS has it.
void check_snapshot_grantees(const ShareChanges& changes);

}  // namespace kiln::control
