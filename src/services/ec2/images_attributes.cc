#include "services/ec2/images_attributes.h"

#include "base/api_error.h"
#include "base/text.h"
#include "base/time.h"

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

[[noreturn]] void unknown_attribute(const std::string& name) {
  throw ApiError("InvalidParameterValue",
                 "Value (" + name + ") for parameter attribute is invalid. Unknown attribute.");
}

AttributeValue value(const std::string& text) { return {text}; }

catalog::Image image_seen(Call& call, const std::string& id) {
  return catalog::in_read(call.region.catalog, [&](catalog::Txn& txn) {
    return control::visible_image(txn, call.region, call.principal, id);
  });
}

std::vector<control::Grantee> grantees_of(const std::vector<LaunchPermission>& items) {
  std::vector<control::Grantee> grantees;
  for (const auto& item : items) {
    if (item.user_id) grantees.push_back({"account", *item.user_id});
    if (item.group) grantees.push_back({"group", *item.group});
    if (item.organization_arn) grantees.push_back({"organization", *item.organization_arn});
    if (item.organizational_unit_arn) grantees.push_back({"organizational-unit", *item.organizational_unit_arn});
  }
  return grantees;
}

control::ShareChanges read_permissions(const ModifyImageAttributeRequest& request) {
  if (request.launch_permission) {
    // Packer repeats the same accounts as UserId.N and UserGroup.N, without an OperationType: those mean nothing.
    return {.add = grantees_of(request.launch_permission->add),
            .remove = grantees_of(request.launch_permission->remove)};
  }
  const auto operation = base::lower(request.operation_type);
  if (operation.empty()) throw ApiError("MissingParameter", "The request must contain the parameter operationType");
  if (operation != "add" && operation != "remove") {
    throw ApiError(
        "InvalidParameterValue",
        "Value (" + request.operation_type + ") for parameter operationType is invalid. Expected: 'add' or 'remove'.");
  }
  std::vector<control::Grantee> grantees;
  for (const auto& account : request.user_id) grantees.push_back({"account", account});
  for (const auto& group : request.user_group) grantees.push_back({"group", group});
  for (const auto& arn : request.organization_arn) grantees.push_back({"organization", arn});
  for (const auto& arn : request.organizational_unit_arn) grantees.push_back({"organizational-unit", arn});
  if (grantees.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter userId or userGroup");
  }
  return operation == "add" ? control::ShareChanges{.add = std::move(grantees)}
                            : control::ShareChanges{.remove = std::move(grantees)};
}

// Which attribute a change is about, whatever shape it has. Lower case.
std::string attribute_of(const ModifyImageAttributeRequest& request) {
  const int shapes = int(request.description.has_value()) + int(request.imds_support.has_value()) +
                     int(request.launch_permission.has_value());
  if (shapes > 1) {
    throw ApiError("InvalidParameterCombination", "Fields for multiple attribute types specified");
  }
  if (request.description) return "description";
  if (request.imds_support) return "imdssupport";
  if (request.launch_permission) return "launchpermission";
  if (!request.attribute.empty()) return base::lower(request.attribute);
  if (!request.operation_type.empty() || !request.user_id.empty() || !request.user_group.empty()) {
    return "launchpermission";
  }
  throw ApiError("MissingParameter", "The request must contain the parameter attribute");
}

}  // namespace

ImageAttribute describe_image_attribute(Call& call, const DescribeImageAttributeRequest& request) {
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter imageId");
  if (request.attribute.empty()) throw ApiError("MissingParameter", "The request must contain the parameter attribute");
  const auto name = base::lower(request.attribute);
  const auto image = image_seen(call, request.image_id);
  ImageAttribute shape{.image_id = image.id};
  if (name == "launchpermission") {
    shape.launch_permission = to_shape(control::image_permissions(call.region, call.principal, image.id));
  } else if (name == "description") {
    shape.description = value(image.description);
  } else if (name == "bootmode") {
    if (!image.boot_mode.empty()) shape.boot_mode = value(image.boot_mode);
  } else if (name == "tpmsupport") {
    if (!image.tpm_support.empty()) shape.tpm_support = value(image.tpm_support);
  } else if (name == "imdssupport") {
    if (!image.imds_support.empty()) shape.imds_support = value(image.imds_support);
  } else if (name == "sriovnetsupport") {
    if (!image.sriov_net_support.empty()) shape.sriov_net_support = value(image.sriov_net_support);
  } else if (name == "lastlaunchedtime") {
    if (image.last_launched) shape.last_launched_time = value(base::to_iso8601(*image.last_launched));
  } else if (name == "uefidata") {
    if (!image.uefi_data.empty()) shape.uefi_data = value(image.uefi_data);
  } else if (name == "productcodes") {
    shape.product_codes.emplace();
  } else if (name == "deregistrationprotection") {
    shape.deregistration_protection = value(deregistration_protection_of(image));
  } else if (name == "blockdevicemapping") {
    // As on AWS, where the attribute is deprecated: the mapping is in DescribeImages.
    throw ApiError("AuthFailure", "Unauthorized attempt to access restricted resource");
  } else if (name != "kernel" && name != "ramdisk") {
    unknown_attribute(request.attribute);
  }
  return shape;
}

Done modify_image_attribute(Call& call, const ModifyImageAttributeRequest& request) {
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter imageId");
  control::ImageChanges changes;
  const auto name = attribute_of(request);
  if (name == "description") {
    changes.description = request.description ? request.description->value : request.value;
  } else if (name == "imdssupport") {
    changes.imds_support = request.imds_support ? request.imds_support->value : request.value;
  } else if (name == "launchpermission") {
    changes.shares = read_permissions(request);
  } else if (name == "productcodes") {
    throw ApiError("UnsupportedOperation", "Images have no product codes in this region.");
  } else {
    unknown_attribute(request.attribute);
  }
  control::change_image(call.region, call.principal, request.image_id, changes);
  return {};
}

Done reset_image_attribute(Call& call, const ResetImageAttributeRequest& request) {
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter imageId");
  if (request.attribute.empty()) throw ApiError("MissingParameter", "The request must contain the parameter attribute");
  if (base::lower(request.attribute) != "launchpermission") {
    throw ApiError("InvalidParameterValue", "Value (" + request.attribute +
                                                ") for parameter attribute is invalid. Only launchPermission can be "
                                                "reset.");
  }
  control::reset_image_permissions(call.region, call.principal, request.image_id);
  return {};
}

Done cancel_image_launch_permission(Call& call, const CancelImageLaunchPermissionRequest& request) {
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter imageId");
  control::cancel_image_permission(call.region, call.principal, request.image_id);
  return {};
}

}  // namespace kiln::services::ec2
