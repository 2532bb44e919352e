#pragma once
// Shapes of instances: Reservation, Instance and what hangs on them, and RunInstances' request.
//
// Transcripts of the EC2 API Reference. An Instance also knows its reservation and owner, which are not on the wire
// inside it but can be filtered by.

#include <optional>
#include <string>
#include <vector>

#include "control/instances.h"
#include "services/ec2/shapes_common.h"
#include "wire/table.h"

namespace kiln::services::ec2 {

struct InstanceState {
  int code = 0;
  std::string name;
};

struct Placement {
  std::string availability_zone;
  std::string group_name;
  std::string tenancy = "default";
};

struct Monitoring {
  std::string state = "disabled";
};

struct GroupIdentifier {
  std::string group_id, group_name;
};

struct EbsInstanceBlockDevice {
  wire::Timestamp attach_time;
  bool delete_on_termination = false;
  std::string status;
  std::string volume_id;
};

struct InstanceBlockDeviceMapping {
  std::string device_name;
  EbsInstanceBlockDevice ebs;
};

struct InstanceNetworkInterfaceAttachment {
  wire::Timestamp attach_time;
  std::string attachment_id;
  bool delete_on_termination = true;
  int device_index = 0;
  int network_card_index = 0;
  std::string status = "attached";
};

struct InstancePrivateIpAddress {
  bool primary = true;
  std::string private_dns_name, private_ip_address;
};

struct InstanceNetworkInterface {
  std::string network_interface_id;
  std::string subnet_id, vpc_id;
  std::string description;
  std::string owner_id;
  std::string status = "in-use";
  std::string mac_address;
  std::string private_ip_address, private_dns_name;
  bool source_dest_check = true;
  std::vector<GroupIdentifier> group_set;
  InstanceNetworkInterfaceAttachment attachment;
  std::vector<InstancePrivateIpAddress> private_ip_addresses_set;
  std::string interface_type = "interface";
};

struct CpuOptions {
  int core_count = 1;
  int threads_per_core = 1;
};

struct CapacityReservationSpecification {
  std::string capacity_reservation_preference = "open";
};

struct HibernationOptions {
  bool configured = false;
};

struct EnclaveOptions {
  bool enabled = false;
};

struct InstanceMetadataOptions {
  std::string state;
  std::string http_tokens;
  int http_put_response_hop_limit = 1;
  std::string http_endpoint;
  std::string http_protocol_ipv6 = "disabled";
  std::string instance_metadata_tags = "disabled";
};

struct PrivateDnsNameOptions {
  std::string hostname_type = "ip-name";
  bool enable_resource_name_dns_a_record = false;
  bool enable_resource_name_dns_aaaa_record = false;
};

struct MaintenanceOptions {
  std::string auto_recovery = "default";
};

struct IamInstanceProfile {
  std::string arn, id;
};

struct Instance {
  std::string instance_id, image_id;
  InstanceState instance_state;
  std::string private_dns_name;
  std::string dns_name;  // public: there are none
  std::string reason;
  std::optional<std::string> key_name;
  int ami_launch_index = 0;
  std::string instance_type;
  wire::Timestamp launch_time;
  Placement placement;
  Monitoring monitoring;
  std::optional<std::string> subnet_id, vpc_id, private_ip_address;
  std::optional<bool> source_dest_check;
  std::vector<GroupIdentifier> group_set;
  std::optional<StateReason> state_reason;
  std::string architecture;
  std::string root_device_type = "ebs";
  std::string root_device_name;
  std::vector<InstanceBlockDeviceMapping> block_device_mapping;
  std::string virtualization_type = "hvm";
  std::string client_token;
  std::vector<Tag> tag_set;
  std::string hypervisor = "xen";  // EC2 says xen of KVM guests too
  std::vector<InstanceNetworkInterface> network_interface_set;
  bool ebs_optimized = false;
  bool ena_support = true;
  std::optional<IamInstanceProfile> iam_instance_profile;
  std::optional<std::string> platform;
  std::string platform_details;
  std::string usage_operation;
  wire::Timestamp usage_operation_update_time;
  CpuOptions cpu_options;
  CapacityReservationSpecification capacity_reservation_specification;
  HibernationOptions hibernation_options;
  EnclaveOptions enclave_options;
  InstanceMetadataOptions metadata_options;
  std::optional<std::string> boot_mode;
  std::string current_instance_boot_mode;
  std::optional<std::string> tpm_support;
  PrivateDnsNameOptions private_dns_name_options;
  MaintenanceOptions maintenance_options;

  std::string reservation_id, owner_id;  // not on the wire here
};

struct Reservation {
  std::string reservation_id, owner_id;
  std::vector<GroupIdentifier> group_set;  // of EC2-Classic: always empty
  std::vector<Instance> instances_set;
};

struct PlacementRequest {
  std::string availability_zone;
  std::string tenancy;
};

struct MetadataOptionsRequest {
  std::string http_tokens;
  std::string http_endpoint;
  std::optional<int> http_put_response_hop_limit;
};

struct NetworkInterfaceRequest {
  std::optional<int> device_index;
  std::string network_interface_id;
  std::string subnet_id;
  std::vector<std::string> security_group_id;
  std::string private_ip_address;
};

struct IamInstanceProfileRequest {
  std::string arn, name;
};

struct LaunchTemplateRequest {
  std::string launch_template_id, launch_template_name, version;
};

struct RunInstancesRequest {
  std::string image_id, instance_type;
  std::optional<int> min_count, max_count;
  std::string key_name;
  std::vector<std::string> security_group_id, security_group;
  std::string subnet_id;
  PlacementRequest placement;
  std::string private_ip_address;
  std::string user_data;
  std::vector<BlockDeviceMapping> block_device_mapping;
  std::vector<TagSpecification> tag_specification;
  std::string client_token;
  std::string instance_initiated_shutdown_behavior;
  bool disable_api_termination = false;
  MetadataOptionsRequest metadata_options;
  std::vector<NetworkInterfaceRequest> network_interface;
  IamInstanceProfileRequest iam_instance_profile;
  LaunchTemplateRequest launch_template;
};

int state_code(std::string_view name);
InstanceState to_state(const std::string& name);
Instance to_shape(const control::Region& region, const control::InstanceDetails& details);
InstanceMetadataOptions metadata_options_of(const catalog::Instance& row);

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::InstanceState, code, name)
KILN_WIRE(kiln::services::ec2::Placement, availability_zone, group_name, tenancy)
KILN_WIRE(kiln::services::ec2::Monitoring, state)
KILN_WIRE(kiln::services::ec2::GroupIdentifier, group_id, group_name)
KILN_WIRE(kiln::services::ec2::EbsInstanceBlockDevice, attach_time, delete_on_termination, status, volume_id)
KILN_WIRE(kiln::services::ec2::InstanceBlockDeviceMapping, device_name, ebs)
KILN_WIRE(kiln::services::ec2::InstanceNetworkInterfaceAttachment, attach_time, attachment_id, delete_on_termination,
          device_index, network_card_index, status)
KILN_WIRE(kiln::services::ec2::InstancePrivateIpAddress, primary, private_dns_name, private_ip_address)
KILN_WIRE(kiln::services::ec2::InstanceNetworkInterface, network_interface_id, subnet_id, vpc_id, description, owner_id,
          status, mac_address, private_ip_address, private_dns_name, source_dest_check, group_set, attachment,
          private_ip_addresses_set, interface_type)
KILN_WIRE(kiln::services::ec2::CpuOptions, core_count, threads_per_core)
KILN_WIRE(kiln::services::ec2::CapacityReservationSpecification, capacity_reservation_preference)
KILN_WIRE(kiln::services::ec2::HibernationOptions, configured)
KILN_WIRE(kiln::services::ec2::EnclaveOptions, enabled)
KILN_WIRE(kiln::services::ec2::InstanceMetadataOptions, state, http_tokens, http_put_response_hop_limit, http_endpoint,
          http_protocol_ipv6, instance_metadata_tags)
KILN_WIRE_NAME(kiln::services::ec2::PrivateDnsNameOptions, enable_resource_name_dns_a_record,
               "enableResourceNameDnsARecord")
KILN_WIRE_NAME(kiln::services::ec2::PrivateDnsNameOptions, enable_resource_name_dns_aaaa_record,
               "enableResourceNameDnsAAAARecord")
KILN_WIRE(kiln::services::ec2::PrivateDnsNameOptions, hostname_type, enable_resource_name_dns_a_record,
          enable_resource_name_dns_aaaa_record)
KILN_WIRE(kiln::services::ec2::MaintenanceOptions, auto_recovery)
KILN_WIRE(kiln::services::ec2::IamInstanceProfile, arn, id)
KILN_WIRE(kiln::services::ec2::Instance, instance_id, image_id, instance_state, private_dns_name, dns_name, reason,
          key_name, ami_launch_index, instance_type, launch_time, placement, monitoring, subnet_id, vpc_id,
          private_ip_address, source_dest_check, group_set, state_reason, architecture, root_device_type,
          root_device_name, block_device_mapping, virtualization_type, client_token, tag_set, hypervisor,
          network_interface_set, ebs_optimized, ena_support, iam_instance_profile, platform, platform_details,
          usage_operation, usage_operation_update_time, cpu_options, capacity_reservation_specification,
          hibernation_options, enclave_options, metadata_options, boot_mode, current_instance_boot_mode, tpm_support,
          private_dns_name_options, maintenance_options)
KILN_WIRE(kiln::services::ec2::Reservation, reservation_id, owner_id, group_set, instances_set)

KILN_WIRE(kiln::services::ec2::PlacementRequest, availability_zone, tenancy)
KILN_WIRE(kiln::services::ec2::MetadataOptionsRequest, http_tokens, http_endpoint, http_put_response_hop_limit)
KILN_WIRE(kiln::services::ec2::NetworkInterfaceRequest, device_index, network_interface_id, subnet_id,
          security_group_id, private_ip_address)
KILN_WIRE(kiln::services::ec2::IamInstanceProfileRequest, arn, name)
KILN_WIRE(kiln::services::ec2::LaunchTemplateRequest, launch_template_id, launch_template_name, version)
KILN_WIRE(kiln::services::ec2::RunInstancesRequest, image_id, instance_type, min_count, max_count, key_name,
          security_group_id, security_group, subnet_id, placement, private_ip_address, user_data, block_device_mapping,
          tag_specification, client_token, instance_initiated_shutdown_behavior, disable_api_termination,
          metadata_options, network_interface, iam_instance_profile, launch_template)
