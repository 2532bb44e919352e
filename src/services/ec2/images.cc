// RegisterImage, CreateImage, CopyImage, DeregisterImage, DescribeImages. Attributes are in images_attributes.cc.
#include "control/images.h"

#include <algorithm>

#include "base/api_error.h"
#include "control/image_copies.h"
#include "services/ec2/filter.h"
#include "services/ec2/images_attributes.h"
#include "services/ec2/images_shapes.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct RegisterImageRequest {
  std::string name, description, architecture, virtualization_type, root_device_name;
  std::string boot_mode, imds_support, tpm_support, uefi_data, sriov_net_support;
  std::string image_location, kernel_id, ramdisk_id;
  std::optional<bool> ena_support;
  std::vector<BlockDeviceMapping> block_device_mapping;
  std::vector<TagSpecification> tag_specification;
};

struct CreateImageRequest {
  std::string instance_id, name, description;
  std::optional<bool> no_reboot;
  std::vector<BlockDeviceMapping> block_device_mapping;
  std::vector<TagSpecification> tag_specification;
};

struct CopyImageRequest {
  std::string source_region, source_image_id, name, description, destination_outpost_arn, kms_key_id;
  std::string destination_availability_zone, destination_availability_zone_id;
  std::optional<bool> encrypted, copy_image_tags;
  std::vector<TagSpecification> tag_specification;
};

struct ImageIdResponse {
  std::string image_id;
};

struct DeregisterImageRequest {
  std::string image_id;
  std::optional<bool> delete_associated_snapshots;
};

struct DeleteSnapshotResult {
  std::string snapshot_id, return_code;
};

struct DeregisterImageResponse {
  bool return_ = true;
  std::vector<DeleteSnapshotResult> delete_snapshot_result_set;
};

struct DescribeImagesRequest {
  std::vector<std::string> executable_by, image_id, owner;
  std::optional<bool> include_deprecated, include_disabled;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeImagesResponse {
  std::vector<Image> images_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::RegisterImageRequest, name, description, architecture, virtualization_type,
          root_device_name, boot_mode, imds_support, tpm_support, uefi_data, sriov_net_support, image_location,
          kernel_id, ramdisk_id, ena_support, block_device_mapping, tag_specification)
KILN_WIRE(kiln::services::ec2::CreateImageRequest, instance_id, name, description, no_reboot, block_device_mapping,
          tag_specification)
KILN_WIRE(kiln::services::ec2::CopyImageRequest, source_region, source_image_id, name, description,
          destination_outpost_arn, kms_key_id, destination_availability_zone, destination_availability_zone_id,
          encrypted, copy_image_tags, tag_specification)
KILN_WIRE(kiln::services::ec2::ImageIdResponse, image_id)
KILN_WIRE(kiln::services::ec2::DeregisterImageRequest, image_id, delete_associated_snapshots)
KILN_WIRE(kiln::services::ec2::DeleteSnapshotResult, snapshot_id, return_code)
KILN_WIRE(kiln::services::ec2::DeregisterImageResponse, return_, delete_snapshot_result_set)
KILN_WIRE(kiln::services::ec2::DescribeImagesRequest, executable_by, image_id, owner, include_deprecated,
          include_disabled, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeImagesResponse, images_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

void require(const std::string& value, const std::string& parameter) {
  if (value.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
}

ImageIdResponse register_image(Call& call, const RegisterImageRequest& request) {
  const bool of_snapshots =
      std::ranges::any_of(request.block_device_mapping, [](const auto& m) { return m.ebs && m.ebs->snapshot_id; });
  if (!request.image_location.empty() && !of_snapshots) {
    throw ApiError("UnsupportedOperation",
                   "Images whose manifest is in S3 cannot be registered; give a snapshot in the block device mapping.");
  }
  if (!request.kernel_id.empty() || !request.ramdisk_id.empty()) {
    throw ApiError("UnsupportedOperation",
                   "Kernel and RAM disk images belong to paravirtual images, which cannot be launched here.");
  }
  const auto image = control::register_image(call.region, call.principal,
                                             {.name = request.name,
                                              .description = request.description,
                                              .architecture = request.architecture,
                                              .virtualization_type = request.virtualization_type,
                                              .root_device_name = request.root_device_name,
                                              .boot_mode = request.boot_mode,
                                              .imds_support = request.imds_support,
                                              .tpm_support = request.tpm_support,
                                              .sriov_net_support = request.sriov_net_support,
                                              .uefi_data = request.uefi_data,
                                              .location = request.image_location,
                                              .ena_support = request.ena_support.value_or(false),
                                              .devices = device_requests(request.block_device_mapping),
                                              .tags = tags_for(request.tag_specification, "image", {"image"})});
  return {image.id};
}

ImageIdResponse create_image(Call& call, const CreateImageRequest& request) {
  require(request.instance_id, "instanceId");
  require(request.name, "name");
  const auto image =
      control::create_image(call.region, call.principal,
                            {.instance_id = request.instance_id,
                             .name = request.name,
                             .description = request.description,
                             .reboot = request.no_reboot.value_or(false) ? control::Reboot::no : control::Reboot::yes,
                             .devices = device_requests(request.block_device_mapping),
                             .image_tags = tags_for(request.tag_specification, "image", {"image", "snapshot"}),
                             .snapshot_tags = tags_for(request.tag_specification, "snapshot", {"image", "snapshot"})});
  return {image.id};
}

ImageIdResponse copy_image(Call& call, const CopyImageRequest& request) {
  if (!call.made_before.empty()) return {call.made_before};
  require(request.source_region, "SourceRegion");
  require(request.source_image_id, "SourceImageId");
  require(request.name, "Name");
  if (!request.destination_outpost_arn.empty()) throw ApiError("UnsupportedOperation", "There are no Outposts here.");
  if (!request.destination_availability_zone.empty() || !request.destination_availability_zone_id.empty()) {
    throw ApiError("UnsupportedOperation", "There are no Local Zones here.");
  }
  const bool with_tags = request.copy_image_tags.value_or(false);
  const auto image =
      control::copy_image(call.region, call.principal,
                          {.source_region = request.source_region,
                           .source_image_id = request.source_image_id,
                           .name = request.name,
                           .description = request.description,
                           .encryption = {.encrypted = request.encrypted, .key = request.kms_key_id},
                           .copy_tags = with_tags ? control::CopyImageTags::yes : control::CopyImageTags::no,
                           .image_tags = tags_for(request.tag_specification, "image", {"image", "snapshot"}),
                           .snapshot_tags = tags_for(request.tag_specification, "snapshot", {"image", "snapshot"}),
                           .client_token = call.client_token});
  return {image.id};
}

DeregisterImageResponse deregister_image(Call& call, const DeregisterImageRequest& request) {
  require(request.image_id, "imageId");
  const bool with_snapshots = request.delete_associated_snapshots.value_or(false);
  DeregisterImageResponse response;
  for (const auto& deleted :
       control::deregister_image(call.region, call.principal, request.image_id,
                                 with_snapshots ? control::WithSnapshots::yes : control::WithSnapshots::no)) {
    response.delete_snapshot_result_set.push_back({deleted.snapshot_id, deleted.code});
  }
  return response;
}

DescribeImagesResponse describe_images(Call& call, const DescribeImagesRequest& request) {
  const PageRequest wanted{.max_results = request.max_results,
                           .next_token = request.next_token,
                           .has_ids = !request.image_id.empty(),
                           .least = 1};
  control::ImageQuery query{.ids = request.image_id,
                            .owners = request.owner,
                            .executable_users = request.executable_by,
                            .include_deprecated = request.include_deprecated.value_or(false),
                            .include_disabled = request.include_disabled.value_or(false),
                            .after = page_start(wanted)};
  // One more than the page shows that there is another one.
  const auto enough = request.max_results ? static_cast<std::size_t>(*request.max_results) + 1 : std::size_t(-1);
  if (request.max_results && request.filter.empty()) query.most = *request.max_results + 1;
  std::vector<Image> images;
  keep_matching_images(images, request.filter);  // says what is wrong with them even when there is no image
  do {
    auto batch = control::describe_image_batch(call.region, call.principal, query);
    std::vector<Image> shapes;
    for (const auto& details : batch.images) shapes.push_back(to_shape(details));
    keep_matching_images(shapes, request.filter);
    std::ranges::move(shapes, std::back_inserter(images));
    query.after = batch.next;
  } while (!query.after.empty() && images.size() < enough);
  auto page = paginate(std::move(images), wanted, [](const Image& i) { return i.image_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

constexpr Operation operations[] = {
    operation<cancel_image_launch_permission>("CancelImageLaunchPermission", Access::writes),
    operation<copy_image>("CopyImage", Access::writes),
    operation<create_image>("CreateImage", Access::writes),
    operation<deregister_image>("DeregisterImage", Access::writes),
    operation<describe_image_attribute>("DescribeImageAttribute", Access::reads),
    operation<describe_images>("DescribeImages", Access::reads),
    operation<modify_image_attribute>("ModifyImageAttribute", Access::writes),
    operation<register_image>("RegisterImage", Access::writes),
    operation<reset_image_attribute>("ResetImageAttribute", Access::writes),
};

}  // namespace

std::span<const Operation> image_operations() { return operations; }

}  // namespace kiln::services::ec2
