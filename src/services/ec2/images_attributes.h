#pragma once
// DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute: one attribute of an image at a time.
// CancelImageLaunchPermission.
//
// Clients write a change in three shapes, and some mix them: Attribute with OperationType and UserId.N, UserGroup.N,
// OrganizationArn.N, OrganizationalUnitArn.N; LaunchPermission.Add.N and .Remove.N; Description.Value. Names of
// attributes are taken in any case.

#include "services/call.h"
#include "services/ec2/images_shapes.h"

namespace kiln::services::ec2 {

struct DescribeImageAttributeRequest {
  std::string image_id, attribute;
};

struct ImageAttribute {
  std::string image_id;
  std::optional<std::vector<LaunchPermission>> launch_permission;
  std::optional<std::vector<ProductCode>> product_codes;  // none: there is no marketplace
  std::optional<AttributeValue> description, boot_mode, tpm_support, uefi_data, imds_support, sriov_net_support,
      last_launched_time;
  std::optional<AttributeValue> deregistration_protection;
};

struct ModifyImageAttributeRequest {
  std::string image_id, attribute, operation_type, value;
  std::optional<AttributeValue> description, imds_support;
  std::optional<LaunchPermissionModifications> launch_permission;
  std::vector<std::string> user_id, user_group, organization_arn, organizational_unit_arn, product_code;
};

struct ResetImageAttributeRequest {
  std::string image_id, attribute;
};

struct CancelImageLaunchPermissionRequest {
  std::string image_id;
};

ImageAttribute describe_image_attribute(Call& call, const DescribeImageAttributeRequest& request);
Done modify_image_attribute(Call& call, const ModifyImageAttributeRequest& request);
Done reset_image_attribute(Call& call, const ResetImageAttributeRequest& request);
Done cancel_image_launch_permission(Call& call, const CancelImageLaunchPermissionRequest& request);

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::DescribeImageAttributeRequest, image_id, attribute)
KILN_WIRE(kiln::services::ec2::ImageAttribute, image_id, launch_permission, product_codes, description, boot_mode,
          tpm_support, uefi_data, imds_support, sriov_net_support, last_launched_time, deregistration_protection)
KILN_WIRE(kiln::services::ec2::ResetImageAttributeRequest, image_id, attribute)
KILN_WIRE(kiln::services::ec2::CancelImageLaunchPermissionRequest, image_id)
KILN_WIRE(kiln::services::ec2::ModifyImageAttributeRequest, image_id, attribute, operation_type, value, description,
          imds_support, launch_permission, user_id, user_group, organization_arn, organizational_unit_arn, product_code)
