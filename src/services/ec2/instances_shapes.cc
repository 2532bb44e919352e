#include "services/ec2/instances_shapes.h"

#include <array>
#include <utility>

#include "control/instance_state.h"
#include "control/instance_types.h"
#include "control/metadata.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {
namespace {

constexpr std::array<std::pair<std::string_view, int>, 6> state_codes{
    {{"pending", 0}, {"running", 16}, {"shutting-down", 32}, {"terminated", 48}, {"stopping", 64}, {"stopped", 80}}};

std::vector<GroupIdentifier> groups_of(const control::InstanceDetails& details) {
  std::vector<GroupIdentifier> groups;
  for (const auto& group : details.groups) groups.push_back({group.id, group.name});
  return groups;
}

InstanceNetworkInterface network_interface_of(const Instance& shape, const catalog::Instance& row) {
  InstanceNetworkInterface nic;
  nic.network_interface_id = row.eni_id;
  nic.subnet_id = row.subnet_id;
  nic.vpc_id = row.vpc_id;
  nic.owner_id = row.account;
  nic.mac_address = row.mac;
  nic.private_ip_address = row.private_ip;
  nic.private_dns_name = shape.private_dns_name;
  nic.group_set = shape.group_set;
  nic.attachment.attach_time = {row.created};
  nic.attachment.attachment_id = "eni-attach" + row.eni_id.substr(row.eni_id.find('-'));
  nic.private_ip_addresses_set = {{true, shape.private_dns_name, row.private_ip}};
  return nic;
}

// What only an instance that has not been terminated has: its place in the network, and its disks.
void add_live_members(Instance& shape, const control::Region& region, const control::InstanceDetails& details) {
  const catalog::Instance& row = details.instance;
  shape.private_dns_name = control::private_dns_name(region.name, row.private_ip);
  shape.subnet_id = row.subnet_id;
  shape.vpc_id = row.vpc_id;
  shape.private_ip_address = row.private_ip;
  shape.source_dest_check = true;
  shape.group_set = groups_of(details);
  if (details.profile) shape.iam_instance_profile = {details.profile->profile_arn, details.profile->profile_id};
  shape.network_interface_set = {network_interface_of(shape, row)};
  for (const auto& disk : details.disks) {
    const auto& attachment = disk.attachment;
    shape.block_device_mapping.push_back({.device_name = attachment.device_name,
                                          .ebs = {.attach_time = {attachment.attached},
                                                  .delete_on_termination = attachment.delete_on_termination,
                                                  .status = attachment.state,
                                                  .volume_id = attachment.volume_id}});
  }
}

}  // namespace

int state_code(std::string_view name) {
  for (const auto& [state, code] : state_codes) {
    if (state == name) return code;
  }
  return 0;
}

InstanceState to_state(const std::string& name) { return {state_code(name), name}; }

InstanceMetadataOptions metadata_options_of(const catalog::Instance& row) {
  InstanceMetadataOptions options;
  options.state = row.state == control::instance_state::pending ? "pending" : "applied";
  options.http_tokens = row.tokens_required ? "required" : "optional";
  options.http_put_response_hop_limit = row.hop_limit;
  options.http_endpoint = row.metadata_enabled ? "enabled" : "disabled";
  return options;
}

Instance to_shape(const control::Region& region, const control::InstanceDetails& details) {
  const catalog::Instance& row = details.instance;
  const catalog::Image& image = details.image;
  const bool is_windows = image.platform == "windows";
  Instance shape;
  shape.instance_id = row.id;
  shape.image_id = row.image_id;
  shape.instance_state = to_state(row.state);
  shape.reason = row.transition_reason;
  if (!row.key_name.empty()) shape.key_name = row.key_name;
  shape.ami_launch_index = row.launch_index;
  shape.instance_type = row.instance_type;
  shape.launch_time = {row.launched};
  shape.placement.availability_zone = row.zone;
  shape.architecture = image.architecture;
  shape.root_device_name = row.root_device_name;
  shape.client_token = row.client_token;
  shape.tag_set = to_shape(details.tags);
  shape.ena_support = image.ena_support;
  if (is_windows) shape.platform = "windows";
  shape.platform_details = is_windows ? "Windows" : "Linux/UNIX";
  shape.usage_operation = is_windows ? "RunInstances:0002" : "RunInstances";
  shape.usage_operation_update_time = {row.created};
  shape.metadata_options = metadata_options_of(row);
  if (!image.boot_mode.empty()) shape.boot_mode = image.boot_mode;
  if (!image.tpm_support.empty()) shape.tpm_support = image.tpm_support;
  shape.current_instance_boot_mode = "legacy-bios";  // the firmware that every guest gets
  if (const auto* type = control::find_instance_type(row.instance_type)) shape.cpu_options.core_count = type->vcpus;
  if (row.state == control::instance_state::pending) {
    shape.state_reason = StateReason{"pending", "pending"};
  } else if (!row.state_reason_code.empty()) {
    shape.state_reason = StateReason{row.state_reason_code, row.state_reason_message};
  }
  if (row.state != control::instance_state::terminated) add_live_members(shape, region, details);
  shape.reservation_id = row.reservation_id;
  shape.owner_id = row.account;
  return shape;
}

}  // namespace kiln::services::ec2
