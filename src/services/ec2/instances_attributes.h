#pragma once
// DescribeInstanceAttribute, ModifyInstanceAttribute, ModifyInstanceMetadataOptions.

#include <optional>
#include <string>
#include <vector>

#include "services/call.h"
#include "services/ec2/instances_shapes.h"

namespace kiln::services::ec2 {

struct TextAttribute {
  std::optional<std::string> value;
};
struct BooleanAttribute {
  bool value = false;
};

struct DescribeInstanceAttributeRequest {
  std::string instance_id, attribute;
};

struct DescribeInstanceAttributeResponse {
  std::string instance_id;
  std::optional<std::vector<InstanceBlockDeviceMapping>> block_device_mapping;
  std::optional<BooleanAttribute> disable_api_stop, disable_api_termination, ebs_optimized, ena_support;
  std::optional<BooleanAttribute> source_dest_check;
  std::optional<std::vector<GroupIdentifier>> group_set;
  std::optional<TextAttribute> instance_initiated_shutdown_behavior, instance_type, kernel, ramdisk, root_device_name;
  std::optional<TextAttribute> sriov_net_support, user_data;
};

struct AttributeBlockDevice {
  std::optional<bool> delete_on_termination;
};
struct AttributeBlockDeviceMapping {
  std::string device_name;
  std::optional<AttributeBlockDevice> ebs;
};

struct ModifyInstanceAttributeRequest {
  std::string instance_id, attribute;
  std::optional<std::string> value;
  std::vector<AttributeBlockDeviceMapping> block_device_mapping;
  std::optional<BooleanAttribute> disable_api_stop, disable_api_termination, ebs_optimized, ena_support;
  std::optional<BooleanAttribute> source_dest_check;
  std::vector<std::string> group_id;
  std::optional<TextAttribute> instance_initiated_shutdown_behavior, instance_type, sriov_net_support, user_data;
};

struct ModifyInstanceMetadataOptionsRequest {
  std::string instance_id;
  std::string http_tokens, http_endpoint;
  std::optional<int> http_put_response_hop_limit;
};

struct ModifyInstanceMetadataOptionsResponse {
  std::string instance_id;
  InstanceMetadataOptions instance_metadata_options;
};

DescribeInstanceAttributeResponse describe_instance_attribute(Call& call,
                                                              const DescribeInstanceAttributeRequest& request);
Done modify_instance_attribute(Call& call, const ModifyInstanceAttributeRequest& request);
ModifyInstanceMetadataOptionsResponse modify_instance_metadata_options(
    Call& call, const ModifyInstanceMetadataOptionsRequest& request);

// Shared with RunInstances: they throw InvalidParameterValue.
std::string checked_shutdown_behavior(const std::string& text);
control::InstanceChanges checked_metadata_options(const MetadataOptionsRequest& options);

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::TextAttribute, value)
KILN_WIRE(kiln::services::ec2::BooleanAttribute, value)
KILN_WIRE(kiln::services::ec2::DescribeInstanceAttributeRequest, instance_id, attribute)
KILN_WIRE(kiln::services::ec2::DescribeInstanceAttributeResponse, instance_id, block_device_mapping, disable_api_stop,
          disable_api_termination, ebs_optimized, ena_support, source_dest_check, group_set,
          instance_initiated_shutdown_behavior, instance_type, kernel, ramdisk, root_device_name, sriov_net_support,
          user_data)
KILN_WIRE(kiln::services::ec2::AttributeBlockDevice, delete_on_termination)
KILN_WIRE(kiln::services::ec2::AttributeBlockDeviceMapping, device_name, ebs)
KILN_WIRE(kiln::services::ec2::ModifyInstanceAttributeRequest, instance_id, attribute, value, block_device_mapping,
          disable_api_stop, disable_api_termination, ebs_optimized, ena_support, source_dest_check, group_id,
          instance_initiated_shutdown_behavior, instance_type, sriov_net_support, user_data)
KILN_WIRE(kiln::services::ec2::ModifyInstanceMetadataOptionsRequest, instance_id, http_tokens, http_endpoint,
          http_put_response_hop_limit)
KILN_WIRE(kiln::services::ec2::ModifyInstanceMetadataOptionsResponse, instance_id, instance_metadata_options)
