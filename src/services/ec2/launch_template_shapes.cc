#include "services/ec2/launch_template_shapes.h"

#include "wire/query.h"

namespace kiln::services::ec2 {
namespace {

TemplateNetworkInterface to_shape(const TemplateNetworkInterfaceRequest& asked) {
  return {.associate_public_ip_address = asked.associate_public_ip_address,
          .delete_on_termination = asked.delete_on_termination,
          .description = asked.description,
          .device_index = asked.device_index,
          .group_set = to_group_set(asked.security_group_id),
          .interface_type = asked.interface_type,
          .network_interface_id = asked.network_interface_id,
          .private_ip_address = asked.private_ip_address,
          .subnet_id = asked.subnet_id};
}

std::optional<std::string> if_any(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

}  // namespace

TemplateGroupSet to_group_set(const std::vector<std::string>& groups) {
  TemplateGroupSet set;
  std::optional<std::string>* const places[] = {&set.group_1,  &set.group_2,  &set.group_3,  &set.group_4,
                                                &set.group_5,  &set.group_6,  &set.group_7,  &set.group_8,
                                                &set.group_9,  &set.group_10, &set.group_11, &set.group_12,
                                                &set.group_13, &set.group_14, &set.group_15, &set.group_16};
  for (std::size_t i = 0; i < groups.size() && i < std::size(places); ++i) *places[i] = groups[i];
  return set;
}

ResponseLaunchTemplateData to_template_data(const wire::Params& parameters, const std::string& image_id) {
  RequestLaunchTemplateData asked;
  wire::decode_query(parameters, wire::Lists::flattened, wire::type_of<RequestLaunchTemplateData>(), &asked);
  ResponseLaunchTemplateData data{.ebs_optimized = asked.ebs_optimized,
                                  .iam_instance_profile = asked.iam_instance_profile,
                                  .block_device_mapping_set = std::move(asked.block_device_mapping),
                                  .network_interface_set = {},
                                  .image_id = if_any(image_id),
                                  .instance_type = asked.instance_type,
                                  .key_name = asked.key_name,
                                  .monitoring = asked.monitoring,
                                  .placement = asked.placement,
                                  .disable_api_termination = asked.disable_api_termination,
                                  .instance_initiated_shutdown_behavior = asked.instance_initiated_shutdown_behavior,
                                  .user_data = asked.user_data,
                                  .tag_specification_set = {},
                                  .security_group_id_set = std::move(asked.security_group_id),
                                  .security_group_set = std::move(asked.security_group),
                                  .credit_specification = asked.credit_specification,
                                  .cpu_options = asked.cpu_options,
                                  .hibernation_options = asked.hibernation_options,
                                  .metadata_options = asked.metadata_options,
                                  .enclave_options = asked.enclave_options,
                                  .maintenance_options = asked.maintenance_options,
                                  .disable_api_stop = asked.disable_api_stop};
  for (const auto& nic : asked.network_interface) data.network_interface_set.push_back(to_shape(nic));
  for (auto& each : asked.tag_specification) {
    data.tag_specification_set.push_back({.resource_type = each.resource_type, .tag_set = std::move(each.tag)});
  }
  return data;
}

ResponseLaunchTemplateData to_template_data(const control::InstanceDetails& details) {
  const auto& row = details.instance;
  ResponseLaunchTemplateData data;
  data.ebs_optimized = false;
  data.image_id = row.image_id;
  data.instance_type = row.instance_type;
  data.key_name = if_any(row.key_name);
  data.user_data = if_any(row.user_data);
  data.monitoring = TemplateMonitoring{.enabled = false};
  data.placement = TemplatePlacement{.availability_zone = row.zone,
                                     .affinity = {},
                                     .group_name = {},
                                     .host_id = {},
                                     .tenancy = "default",
                                     .spread_domain = {}};
  data.disable_api_termination = row.termination_protection;
  data.instance_initiated_shutdown_behavior = row.shutdown_behavior;
  data.metadata_options = TemplateMetadataOptions{.http_tokens = row.tokens_required ? "required" : "optional",
                                                  .http_put_response_hop_limit = row.hop_limit,
                                                  .http_endpoint = row.metadata_enabled ? "enabled" : "disabled",
                                                  .http_protocol_ipv6 = {},
                                                  .instance_metadata_tags = {}};
  for (const auto& disk : details.disks) {
    EbsBlockDevice ebs;
    ebs.snapshot_id = if_any(disk.volume.snapshot_id);
    ebs.volume_size = static_cast<int>(disk.volume.size_gib);
    ebs.volume_type = disk.volume.volume_type;
    ebs.delete_on_termination = disk.attachment.delete_on_termination;
    ebs.encrypted = disk.volume.encrypted;
    ebs.iops = disk.volume.iops;
    ebs.throughput = disk.volume.throughput;
    data.block_device_mapping_set.push_back(
        {.device_name = disk.attachment.device_name, .virtual_name = {}, .ebs = std::move(ebs), .no_device = {}});
  }
  TemplateNetworkInterface nic{.associate_public_ip_address = {},
                               .delete_on_termination = true,
                               .description = {},
                               .device_index = 0,
                               .group_set = {},
                               .interface_type = {},
                               .network_interface_id = {},
                               .private_ip_address = {},
                               .subnet_id = row.subnet_id};
  std::vector<std::string> groups;
  for (const auto& group : details.groups) groups.push_back(group.id);
  nic.group_set = to_group_set(groups);
  data.network_interface_set.push_back(std::move(nic));
  TemplateTagSpecification tags{.resource_type = "instance", .tag_set = {}};
  for (const auto& tag : details.tags) {
    if (!tag.key.starts_with("aws:")) tags.tag_set.push_back({tag.key, tag.value});
  }
  if (!tags.tag_set.empty()) data.tag_specification_set.push_back(std::move(tags));
  return data;
}

}  // namespace kiln::services::ec2
