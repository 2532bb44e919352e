#pragma once
// The shapes of images on the wire: transcripts of the EC2 API Reference, and how rows become them.

#include <optional>
#include <string>
#include <vector>

#include "control/images.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

struct Image {
  std::string image_id, image_location, image_state, image_owner_id;
  std::string creation_date;  // text, not a timestamp, in the API too
  bool is_public = false;
  std::string architecture, image_type = "machine";
  std::optional<std::string> platform;
  std::string platform_details, usage_operation;
  std::string name;
  std::optional<std::string> description;
  std::string root_device_type = "ebs", root_device_name;
  std::vector<BlockDeviceMapping> block_device_mapping;
  std::string virtualization_type, hypervisor = "xen";  // KVM images say so too
  bool ena_support = false;
  std::optional<std::string> sriov_net_support, boot_mode, tpm_support, imds_support;
  std::optional<StateReason> state_reason;
  std::vector<Tag> tag_set;
  std::optional<std::string> source_instance_id, source_image_id, source_image_region, last_launched_time,
      deprecation_time;
  std::string deregistration_protection = "disabled";
  bool image_allowed = true, free_tier_eligible = false;
};

struct AttributeValue {
  std::string value;
};

struct LaunchPermission {
  std::optional<std::string> user_id, group, organization_arn, organizational_unit_arn;
};

struct LaunchPermissionModifications {
  std::vector<LaunchPermission> add, remove;
};

// disabled, enabled-with-cooldown, enabled-without-cooldown
std::string deregistration_protection_of(const catalog::Image& image);
Image to_shape(const control::ImageDetails& details);
std::vector<BlockDeviceMapping> to_shape(const std::vector<catalog::ImageDevice>& devices);
std::vector<LaunchPermission> to_shape(const std::vector<catalog::LaunchPermission>& permissions);
std::vector<control::ImageDeviceRequest> device_requests(const std::vector<BlockDeviceMapping>& mappings);

// Removes the images that do not match. Throws InvalidParameterValue for a filter that DescribeImages does not have.
void keep_matching_images(std::vector<Image>& images, const std::vector<Filter>& filters);

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::Image, image_id, image_location, image_state, image_owner_id, creation_date, is_public,
          architecture, image_type, platform, platform_details, usage_operation, name, description, root_device_type,
          root_device_name, block_device_mapping, virtualization_type, hypervisor, ena_support, sriov_net_support,
          boot_mode, tpm_support, imds_support, state_reason, tag_set, source_instance_id, source_image_id,
          source_image_region, last_launched_time, deprecation_time, deregistration_protection, image_allowed,
          free_tier_eligible)
KILN_WIRE(kiln::services::ec2::AttributeValue, value)
KILN_WIRE(kiln::services::ec2::LaunchPermission, user_id, group, organization_arn, organizational_unit_arn)
KILN_WIRE(kiln::services::ec2::LaunchPermissionModifications, add, remove)
