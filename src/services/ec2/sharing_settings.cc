// What an account allows itself in a region. EnableImageBlockPublicAccess, DisableImageBlockPublicAccess,
// GetImageBlockPublicAccessState, and the same for snapshots. EnableAllowedImagesSettings,
// DisableAllowedImagesSettings, GetAllowedImagesSettings, ReplaceImageCriteriaInAllowedImagesSettings.
#include "base/api_error.h"
#include "control/allowed_images.h"
#include "control/public_access.h"
#include "services/ec2/operations.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

struct SettingsRequest {};

struct ImageBlockPublicAccess {
  std::string image_block_public_access_state;
};

struct ImageBlockPublicAccessState {
  std::string image_block_public_access_state, managed_by = "account";
};

struct SnapshotBlockPublicAccess {
  std::string state;
};

struct SnapshotBlockPublicAccessState {
  std::string state, managed_by = "account";
};

struct AllowedImagesState {
  std::string allowed_images_settings_state;
};

struct CreationDateCondition {
  std::optional<int> maximum_days_since_created;
};

struct DeprecationTimeCondition {
  std::optional<int> maximum_days_since_deprecated;
};

// As it is asked for, and as it is told.
struct ImageCriterionRequest {
  std::vector<std::string> image_provider, marketplace_product_code, image_name;
  std::optional<DeprecationTimeCondition> deprecation_time_condition;
  std::optional<CreationDateCondition> creation_date_condition;
};

struct ImageCriterion {
  std::optional<std::vector<std::string>> image_provider_set, marketplace_product_code_set, image_name_set;
  std::optional<DeprecationTimeCondition> deprecation_time_condition;
  std::optional<CreationDateCondition> creation_date_condition;
};

struct ReplaceImageCriteriaRequest {
  std::vector<ImageCriterionRequest> image_criterion;
};

struct GetAllowedImagesSettingsResponse {
  std::string state;
  std::vector<ImageCriterion> image_criterion_set;
  std::string managed_by = "account";
};

}  // namespace kiln::services::ec2

KILN_WIRE_EMPTY(kiln::services::ec2::SettingsRequest)
KILN_WIRE(kiln::services::ec2::ImageBlockPublicAccess, image_block_public_access_state)
KILN_WIRE(kiln::services::ec2::ImageBlockPublicAccessState, image_block_public_access_state, managed_by)
KILN_WIRE(kiln::services::ec2::SnapshotBlockPublicAccess, state)
KILN_WIRE(kiln::services::ec2::SnapshotBlockPublicAccessState, state, managed_by)
KILN_WIRE(kiln::services::ec2::AllowedImagesState, allowed_images_settings_state)
KILN_WIRE(kiln::services::ec2::CreationDateCondition, maximum_days_since_created)
KILN_WIRE(kiln::services::ec2::DeprecationTimeCondition, maximum_days_since_deprecated)
KILN_WIRE(kiln::services::ec2::ImageCriterionRequest, image_provider, marketplace_product_code, image_name,
          deprecation_time_condition, creation_date_condition)
KILN_WIRE(kiln::services::ec2::ImageCriterion, image_provider_set, marketplace_product_code_set, image_name_set,
          deprecation_time_condition, creation_date_condition)
KILN_WIRE(kiln::services::ec2::ReplaceImageCriteriaRequest, image_criterion)
KILN_WIRE(kiln::services::ec2::GetAllowedImagesSettingsResponse, state, image_criterion_set, managed_by)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;
using control::Shareable;

const std::string& required(const std::string& state, const std::string& parameter) {
  if (state.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
  return state;
}

// To enable nothing is no way to disable it.
const std::string& to_enable(const std::string& state, const std::string& none, const std::string& parameter) {
  if (required(state, parameter) != none) return state;
  throw ApiError("InvalidParameterValue", "Value (" + state + ") for parameter " + parameter + " is invalid.");
}

ImageBlockPublicAccess block_images(Call& call, const ImageBlockPublicAccess& request) {
  const auto& state = to_enable(request.image_block_public_access_state, "unblocked", "ImageBlockPublicAccessState");
  return {control::set_public_access(call.region, call.principal.account, Shareable::images, state)};
}

ImageBlockPublicAccess unblock_images(Call& call, const SettingsRequest&) {
  return {control::set_public_access(call.region, call.principal.account, Shareable::images, "unblocked")};
}

ImageBlockPublicAccessState get_image_block(Call& call, const SettingsRequest&) {
  return {.image_block_public_access_state =
              control::public_access(call.region, call.principal.account, Shareable::images)};
}

SnapshotBlockPublicAccess block_snapshots(Call& call, const SnapshotBlockPublicAccess& request) {
  const auto& state = to_enable(request.state, "unblocked", "State");
  return {control::set_public_access(call.region, call.principal.account, Shareable::snapshots, state)};
}

SnapshotBlockPublicAccess unblock_snapshots(Call& call, const SettingsRequest&) {
  return {control::set_public_access(call.region, call.principal.account, Shareable::snapshots, "unblocked")};
}

SnapshotBlockPublicAccessState get_snapshot_block(Call& call, const SettingsRequest&) {
  return {.state = control::public_access(call.region, call.principal.account, Shareable::snapshots)};
}

AllowedImagesState enable_allowed(Call& call, const AllowedImagesState& request) {
  const auto& state = to_enable(request.allowed_images_settings_state, "disabled", "AllowedImagesSettingsState");
  return {control::set_allowed_images(call.region, call.principal.account, state)};
}

AllowedImagesState disable_allowed(Call& call, const SettingsRequest&) {
  return {control::set_allowed_images(call.region, call.principal.account, "disabled")};
}

std::optional<std::vector<std::string>> if_any(const std::vector<std::string>& list) {
  return list.empty() ? std::nullopt : std::optional(list);
}

GetAllowedImagesSettingsResponse get_allowed(Call& call, const SettingsRequest&) {
  const auto allowed = control::allowed_images(call.region, call.principal.account);
  GetAllowedImagesSettingsResponse response{.state = allowed.state, .image_criterion_set = {}};
  for (const auto& criterion : allowed.criteria) {
    auto& shape = response.image_criterion_set.emplace_back();
    shape.image_provider_set = if_any(criterion.providers);
    shape.marketplace_product_code_set = if_any(criterion.product_codes);
    shape.image_name_set = if_any(criterion.names);
    if (criterion.days_since_deprecated) {
      shape.deprecation_time_condition = DeprecationTimeCondition{criterion.days_since_deprecated};
    }
    if (criterion.days_since_created) {
      shape.creation_date_condition = CreationDateCondition{criterion.days_since_created};
    }
  }
  return response;
}

Done replace_criteria(Call& call, const ReplaceImageCriteriaRequest& request) {
  std::vector<control::ImageCriterion> criteria;
  for (const auto& shape : request.image_criterion) {
    auto& criterion = criteria.emplace_back(control::ImageCriterion{
        .providers = shape.image_provider, .product_codes = shape.marketplace_product_code, .names = shape.image_name});
    if (shape.creation_date_condition) {
      criterion.days_since_created = shape.creation_date_condition->maximum_days_since_created;
    }
    if (shape.deprecation_time_condition) {
      criterion.days_since_deprecated = shape.deprecation_time_condition->maximum_days_since_deprecated;
    }
  }
  control::set_image_criteria(call.region, call.principal.account, criteria);
  return {};
}

constexpr Operation operations[] = {
    operation<disable_allowed>("DisableAllowedImagesSettings", Access::writes),
    operation<unblock_images>("DisableImageBlockPublicAccess", Access::writes),
    operation<unblock_snapshots>("DisableSnapshotBlockPublicAccess", Access::writes),
    operation<enable_allowed>("EnableAllowedImagesSettings", Access::writes),
    operation<block_images>("EnableImageBlockPublicAccess", Access::writes),
    operation<block_snapshots>("EnableSnapshotBlockPublicAccess", Access::writes),
    operation<get_allowed>("GetAllowedImagesSettings", Access::reads),
    operation<get_image_block>("GetImageBlockPublicAccessState", Access::reads),
    operation<get_snapshot_block>("GetSnapshotBlockPublicAccessState", Access::reads),
    operation<replace_criteria>("ReplaceImageCriteriaInAllowedImagesSettings", Access::writes),
};

}  // namespace

std::span<const Operation> sharing_setting_operations() { return operations; }

}  // namespace kiln::services::ec2
