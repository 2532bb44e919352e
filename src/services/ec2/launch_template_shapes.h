#pragma once
// What a launch template says, in both directions: as it is asked for and as it is answered. Members that a launch does
// not use here are kept and told all the same.

#include <optional>
#include <string>
#include <vector>

#include "control/instances.h"
#include "services/ec2/shapes_common.h"
#include "wire/params.h"

namespace kiln::services::ec2 {

struct TemplateIamInstanceProfile {
  std::optional<std::string> arn, name;
};

struct TemplateMonitoring {
  std::optional<bool> enabled;
};

struct TemplatePlacement {
  std::optional<std::string> availability_zone, affinity, group_name, host_id, tenancy, spread_domain;
};

struct TemplateCpuOptions {
  std::optional<int> core_count, threads_per_core;
};

struct TemplateCreditSpecification {
  std::optional<std::string> cpu_credits;
};

struct TemplateMetadataOptions {
  std::optional<std::string> http_tokens;
  std::optional<int> http_put_response_hop_limit;
  std::optional<std::string> http_endpoint, http_protocol_ipv6, instance_metadata_tags;
};

struct TemplateHibernationOptions {
  std::optional<bool> configured;
};

struct TemplateEnclaveOptions {
  std::optional<bool> enabled;
};

struct TemplateMaintenanceOptions {
  std::optional<std::string> auto_recovery;
};

struct TemplateNetworkInterfaceRequest {
  std::optional<bool> associate_public_ip_address, delete_on_termination;
  std::optional<std::string> description;
  std::optional<int> device_index;
  std::vector<std::string> security_group_id;
  std::optional<std::string> interface_type, network_interface_id, private_ip_address, subnet_id;
};

struct RequestLaunchTemplateData {
  std::optional<bool> ebs_optimized;
  std::optional<TemplateIamInstanceProfile> iam_instance_profile;
  std::vector<BlockDeviceMapping> block_device_mapping;
  std::vector<TemplateNetworkInterfaceRequest> network_interface;
  std::optional<std::string> image_id, instance_type, key_name;
  std::optional<TemplateMonitoring> monitoring;
  std::optional<TemplatePlacement> placement;
  std::optional<bool> disable_api_termination;
  std::optional<std::string> instance_initiated_shutdown_behavior, user_data;
  std::vector<TagSpecification> tag_specification;
  std::vector<std::string> security_group_id, security_group;
  std::optional<TemplateCreditSpecification> credit_specification;
  std::optional<TemplateCpuOptions> cpu_options;
  std::optional<TemplateHibernationOptions> hibernation_options;
  std::optional<TemplateMetadataOptions> metadata_options;
  std::optional<TemplateEnclaveOptions> enclave_options;
  std::optional<TemplateMaintenanceOptions> maintenance_options;
  std::optional<bool> disable_api_stop;
};

// A list whose elements are <groupId>, where those of all others are <item>: an interface has at most 16 groups.
struct TemplateGroupSet {
  std::optional<std::string> group_1, group_2, group_3, group_4, group_5, group_6, group_7, group_8, group_9, group_10,
      group_11, group_12, group_13, group_14, group_15, group_16;
};

struct TemplateNetworkInterface {
  std::optional<bool> associate_public_ip_address, delete_on_termination;
  std::optional<std::string> description;
  std::optional<int> device_index;
  TemplateGroupSet group_set;
  std::optional<std::string> interface_type, network_interface_id, private_ip_address, subnet_id;
};

struct TemplateTagSpecification {
  std::string resource_type;
  std::vector<Tag> tag_set;
};

struct ResponseLaunchTemplateData {
  std::optional<bool> ebs_optimized;
  std::optional<TemplateIamInstanceProfile> iam_instance_profile;
  std::vector<BlockDeviceMapping> block_device_mapping_set;
  std::vector<TemplateNetworkInterface> network_interface_set;
  std::optional<std::string> image_id, instance_type, key_name;
  std::optional<TemplateMonitoring> monitoring;
  std::optional<TemplatePlacement> placement;
  std::optional<bool> disable_api_termination;
  std::optional<std::string> instance_initiated_shutdown_behavior, user_data;
  std::vector<TemplateTagSpecification> tag_specification_set;
  std::vector<std::string> security_group_id_set, security_group_set;
  std::optional<TemplateCreditSpecification> credit_specification;
  std::optional<TemplateCpuOptions> cpu_options;
  std::optional<TemplateHibernationOptions> hibernation_options;
  std::optional<TemplateMetadataOptions> metadata_options;
  std::optional<TemplateEnclaveOptions> enclave_options;
  std::optional<TemplateMaintenanceOptions> maintenance_options;
  std::optional<bool> disable_api_stop;
};

TemplateGroupSet to_group_set(const std::vector<std::string>& groups);
// Of the parameters that a version keeps; image_id in place of theirs.
ResponseLaunchTemplateData to_template_data(const wire::Params& parameters, const std::string& image_id);
// What would launch another instance like this one.
ResponseLaunchTemplateData to_template_data(const control::InstanceDetails& details);

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::TemplateIamInstanceProfile, arn, name)
KILN_WIRE(kiln::services::ec2::TemplateMonitoring, enabled)
KILN_WIRE(kiln::services::ec2::TemplatePlacement, availability_zone, affinity, group_name, host_id, tenancy,
          spread_domain)
KILN_WIRE(kiln::services::ec2::TemplateCpuOptions, core_count, threads_per_core)
KILN_WIRE(kiln::services::ec2::TemplateCreditSpecification, cpu_credits)
KILN_WIRE(kiln::services::ec2::TemplateMetadataOptions, http_tokens, http_put_response_hop_limit, http_endpoint,
          http_protocol_ipv6, instance_metadata_tags)
KILN_WIRE(kiln::services::ec2::TemplateHibernationOptions, configured)
KILN_WIRE(kiln::services::ec2::TemplateEnclaveOptions, enabled)
KILN_WIRE(kiln::services::ec2::TemplateMaintenanceOptions, auto_recovery)
KILN_WIRE(kiln::services::ec2::TemplateNetworkInterfaceRequest, associate_public_ip_address, delete_on_termination,
          description, device_index, security_group_id, interface_type, network_interface_id, private_ip_address,
          subnet_id)
KILN_WIRE(kiln::services::ec2::RequestLaunchTemplateData, ebs_optimized, iam_instance_profile, block_device_mapping,
          network_interface, image_id, instance_type, key_name, monitoring, placement, disable_api_termination,
          instance_initiated_shutdown_behavior, user_data, tag_specification, security_group_id, security_group,
          credit_specification, cpu_options, hibernation_options, metadata_options, enclave_options,
          maintenance_options, disable_api_stop)
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_1, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_2, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_3, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_4, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_5, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_6, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_7, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_8, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_9, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_10, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_11, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_12, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_13, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_14, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_15, "groupId")
KILN_WIRE_NAME(kiln::services::ec2::TemplateGroupSet, group_16, "groupId")
KILN_WIRE(kiln::services::ec2::TemplateGroupSet, group_1, group_2, group_3, group_4, group_5, group_6, group_7, group_8,
          group_9, group_10, group_11, group_12, group_13, group_14, group_15, group_16)
KILN_WIRE(kiln::services::ec2::TemplateNetworkInterface, associate_public_ip_address, delete_on_termination,
          description, device_index, group_set, interface_type, network_interface_id, private_ip_address, subnet_id)
KILN_WIRE(kiln::services::ec2::TemplateTagSpecification, resource_type, tag_set)
KILN_WIRE(kiln::services::ec2::ResponseLaunchTemplateData, ebs_optimized, iam_instance_profile,
          block_device_mapping_set, network_interface_set, image_id, instance_type, key_name, monitoring, placement,
          disable_api_termination, instance_initiated_shutdown_behavior, user_data, tag_specification_set,
          security_group_id_set, security_group_set, credit_specification, cpu_options, hibernation_options,
          metadata_options, enclave_options, maintenance_options, disable_api_stop)
