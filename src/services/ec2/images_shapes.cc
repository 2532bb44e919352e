#include "services/ec2/images_shapes.h"

#include "base/time.h"
#include "services/ec2/filter.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {
namespace {

std::optional<std::string> if_any(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

template <class Member>
std::vector<std::string> of_volumes(const Image& image, Member member) {
  std::vector<std::string> values;
  for (const auto& mapping : image.block_device_mapping) {
    if (!mapping.ebs) continue;
    for (auto& value : member(*mapping.ebs)) values.push_back(std::move(value));
  }
  return values;
}

std::vector<std::string> nothing() { return {}; }

constexpr Filterable<Image> image_filters[] = {
    {"architecture", [](const Image& i) { return one(i.architecture); }},
    {"block-device-mapping.delete-on-termination",
     [](const Image& i) { return of_volumes(i, [](const auto& v) { return one(v.delete_on_termination); }); }},
    {"block-device-mapping.device-name",
     [](const Image& i) {
       std::vector<std::string> names;
       for (const auto& mapping : i.block_device_mapping) names.push_back(mapping.device_name);
       return names;
     }},
    {"block-device-mapping.encrypted",
     [](const Image& i) { return of_volumes(i, [](const auto& v) { return one(v.encrypted); }); }},
    {"block-device-mapping.snapshot-id",
     [](const Image& i) { return of_volumes(i, [](const auto& v) { return one(v.snapshot_id); }); }},
    {"block-device-mapping.volume-size",
     [](const Image& i) {
       return of_volumes(i,
                         [](const auto& v) { return v.volume_size ? one(std::to_string(*v.volume_size)) : nothing(); });
     }},
    {"block-device-mapping.volume-type",
     [](const Image& i) { return of_volumes(i, [](const auto& v) { return one(v.volume_type); }); }},
    {"boot-mode", [](const Image& i) { return one(i.boot_mode); }},
    {"creation-date", [](const Image& i) { return one(i.creation_date); }},
    {"description", [](const Image& i) { return one(i.description); }},
    {"ena-support", [](const Image& i) { return one(i.ena_support); }},
    {"free-tier-eligible", [](const Image& i) { return one(i.free_tier_eligible); }},
    {"hypervisor", [](const Image& i) { return one(i.hypervisor); }},
    {"image-allowed", [](const Image& i) { return one(i.image_allowed); }},
    {"image-id", [](const Image& i) { return one(i.image_id); }},
    {"image-type", [](const Image& i) { return one(i.image_type); }},
    {"imds-support", [](const Image& i) { return one(i.imds_support); }},
    {"is-public", [](const Image& i) { return one(i.is_public); }},
    {"kernel-id", [](const Image&) { return nothing(); }},
    {"manifest-location", [](const Image& i) { return one(i.image_location); }},
    {"name", [](const Image& i) { return one(i.name); }},
    {"owner-alias", [](const Image&) { return nothing(); }},
    {"owner-id", [](const Image& i) { return one(i.image_owner_id); }},
    {"platform", [](const Image& i) { return one(i.platform); }},
    {"product-code", [](const Image&) { return nothing(); }},
    {"product-code.type", [](const Image&) { return nothing(); }},
    {"ramdisk-id", [](const Image&) { return nothing(); }},
    {"root-device-name", [](const Image& i) { return one(i.root_device_name); }},
    {"root-device-type", [](const Image& i) { return one(i.root_device_type); }},
    {"source-image-id", [](const Image& i) { return one(i.source_image_id); }},
    {"source-image-region", [](const Image& i) { return one(i.source_image_region); }},
    {"source-instance-id", [](const Image& i) { return one(i.source_instance_id); }},
    {"sriov-net-support", [](const Image& i) { return one(i.sriov_net_support); }},
    {"state", [](const Image& i) { return one(i.image_state); }},
    {"state-reason-code", [](const Image& i) { return i.state_reason ? one(i.state_reason->code) : nothing(); }},
    {"state-reason-message", [](const Image& i) { return i.state_reason ? one(i.state_reason->message) : nothing(); }},
    {"tpm-support", [](const Image& i) { return one(i.tpm_support); }},
    {"virtualization-type", [](const Image& i) { return one(i.virtualization_type); }},
};

}  // namespace

std::vector<BlockDeviceMapping> to_shape(const std::vector<catalog::ImageDevice>& devices) {
  std::vector<BlockDeviceMapping> mappings;
  for (const auto& device : devices) {
    auto& mapping = mappings.emplace_back(BlockDeviceMapping{.device_name = device.device_name});
    if (!device.virtual_name.empty()) {
      mapping.virtual_name = device.virtual_name;
      continue;
    }
    mapping.ebs = EbsBlockDevice{.snapshot_id = if_any(device.snapshot_id),
                                 .volume_size = static_cast<int>(device.size_gib),
                                 .volume_type = device.volume_type,
                                 .delete_on_termination = device.delete_on_termination,
                                 .encrypted = device.encrypted,
                                 .iops = device.iops,
                                 .throughput = device.throughput};
  }
  return mappings;
}

std::vector<LaunchPermission> to_shape(const std::vector<catalog::LaunchPermission>& permissions) {
  std::vector<LaunchPermission> shapes;
  for (const auto& permission : permissions) {
    auto& shape = shapes.emplace_back();
    if (permission.kind == "group") shape.group = permission.value;
    if (permission.kind == "account") shape.user_id = permission.value;
    if (permission.kind == "organization") shape.organization_arn = permission.value;
    if (permission.kind == "organizational-unit") shape.organizational_unit_arn = permission.value;
  }
  return shapes;
}

std::string deregistration_protection_of(const catalog::Image& image) {
  return image.deregistration_protection.empty() ? "disabled" : "enabled-" + image.deregistration_protection;
}

Image to_shape(const control::ImageDetails& details) {
  const auto& row = details.image;
  const bool windows = row.platform == "windows";
  Image shape{.image_id = row.id,
              .image_location = row.location,
              .image_state = row.state,
              .image_owner_id = row.account,
              .creation_date = base::to_iso8601(row.created),
              .is_public = details.is_public,
              .architecture = row.architecture,
              .platform_details = windows ? "Windows" : "Linux/UNIX",
              .usage_operation = windows ? "RunInstances:0002" : "RunInstances",
              .name = row.name,
              .description = if_any(row.description),
              .root_device_name = row.root_device_name,
              .block_device_mapping = to_shape(details.devices),
              .virtualization_type = row.virtualization_type,
              .ena_support = row.ena_support,
              .sriov_net_support = if_any(row.sriov_net_support),
              .boot_mode = if_any(row.boot_mode),
              .tpm_support = if_any(row.tpm_support),
              .imds_support = if_any(row.imds_support),
              .tag_set = to_shape(details.tags),
              .source_instance_id = if_any(row.source_instance_id),
              .source_image_id = if_any(row.source_image_id),
              .source_image_region = if_any(row.source_image_region)};
  if (windows) shape.platform = "windows";
  if (!row.state_reason_code.empty()) shape.state_reason = StateReason{row.state_reason_code, row.state_reason_message};
  if (row.deprecation) shape.deprecation_time = base::to_iso8601(*row.deprecation);
  shape.deregistration_protection = deregistration_protection_of(row);
  shape.image_allowed = details.allowed;
  if (row.last_launched) shape.last_launched_time = base::to_iso8601(*row.last_launched);
  return shape;
}

std::vector<control::ImageDeviceRequest> device_requests(const std::vector<BlockDeviceMapping>& mappings) {
  std::vector<control::ImageDeviceRequest> requests;
  for (const auto& mapping : mappings) {
    auto& request = requests.emplace_back();
    request.device_name = mapping.device_name;
    request.no_device = leaves_out(mapping);
    request.virtual_name = mapping.virtual_name.value_or("");
    if (!mapping.ebs) continue;
    request.has_ebs = true;
    request.snapshot_id = mapping.ebs->snapshot_id.value_or("");
    request.size_gib = mapping.ebs->volume_size;
    request.volume_type = mapping.ebs->volume_type.value_or("");
    request.delete_on_termination = mapping.ebs->delete_on_termination;
    request.encrypted = mapping.ebs->encrypted;
    request.iops = mapping.ebs->iops;
    request.throughput = mapping.ebs->throughput;
  }
  return requests;
}

void keep_matching_images(std::vector<Image>& images, const std::vector<Filter>& filters) {
  keep_matching<Image>(images, image_filters, filters);
}

}  // namespace kiln::services::ec2
