// List and Restore of images, snapshots and volumes in the recycle bin. Rules are the service rbin's.
#include "control/recycle_bin.h"

#include "base/api_error.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct ListImagesInRecycleBinRequest {
  std::vector<std::string> image_id;
  std::optional<std::string> next_token;
  std::optional<int> max_results;
};

struct ImageRecycleBinInfo {
  std::string image_id, name, description;
  wire::Timestamp recycle_bin_enter_time, recycle_bin_exit_time;
};

struct ListImagesInRecycleBinResponse {
  std::vector<ImageRecycleBinInfo> image_set;
  std::optional<std::string> next_token;
};

struct RestoreImageFromRecycleBinRequest {
  std::string image_id;
};

struct ListSnapshotsInRecycleBinRequest {
  std::vector<std::string> snapshot_id;
  std::optional<std::string> next_token;
  std::optional<int> max_results;
};

struct SnapshotRecycleBinInfo {
  std::string snapshot_id;
  wire::Timestamp recycle_bin_enter_time, recycle_bin_exit_time;
  std::string description, volume_id;
};

struct ListSnapshotsInRecycleBinResponse {
  std::vector<SnapshotRecycleBinInfo> snapshot_set;
  std::optional<std::string> next_token;
};

struct RestoreSnapshotFromRecycleBinRequest {
  std::string snapshot_id;
};

struct RestoreSnapshotFromRecycleBinResponse {
  std::string snapshot_id, description;
  bool encrypted = false;
  std::string owner_id, progress;
  wire::Timestamp start_time;
  std::string status, volume_id;
  int volume_size = 0;
};

struct ListVolumesInRecycleBinRequest {
  std::vector<std::string> volume_id;
  std::optional<std::string> next_token;
  std::optional<int> max_results;
};

struct VolumeRecycleBinInfo {
  std::string volume_id, volume_type, state;
  int size = 0;
  std::optional<int> iops, throughput;
  std::string availability_zone;
  std::optional<std::string> snapshot_id;
  wire::Timestamp create_time, recycle_bin_enter_time, recycle_bin_exit_time;
};

struct ListVolumesInRecycleBinResponse {
  std::vector<VolumeRecycleBinInfo> volume_set;
  std::optional<std::string> next_token;
};

struct RestoreVolumeFromRecycleBinRequest {
  std::string volume_id;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::ListImagesInRecycleBinRequest, image_id, next_token, max_results)
KILN_WIRE(kiln::services::ec2::ImageRecycleBinInfo, image_id, name, description, recycle_bin_enter_time,
          recycle_bin_exit_time)
KILN_WIRE(kiln::services::ec2::ListImagesInRecycleBinResponse, image_set, next_token)
KILN_WIRE(kiln::services::ec2::RestoreImageFromRecycleBinRequest, image_id)
KILN_WIRE(kiln::services::ec2::ListSnapshotsInRecycleBinRequest, snapshot_id, next_token, max_results)
KILN_WIRE(kiln::services::ec2::SnapshotRecycleBinInfo, snapshot_id, recycle_bin_enter_time, recycle_bin_exit_time,
          description, volume_id)
KILN_WIRE(kiln::services::ec2::ListSnapshotsInRecycleBinResponse, snapshot_set, next_token)
KILN_WIRE(kiln::services::ec2::RestoreSnapshotFromRecycleBinRequest, snapshot_id)
KILN_WIRE(kiln::services::ec2::RestoreSnapshotFromRecycleBinResponse, snapshot_id, description, encrypted, owner_id,
          progress, start_time, status, volume_id, volume_size)
KILN_WIRE(kiln::services::ec2::ListVolumesInRecycleBinRequest, volume_id, next_token, max_results)
KILN_WIRE(kiln::services::ec2::VolumeRecycleBinInfo, volume_id, volume_type, state, size, iops, throughput,
          availability_zone, snapshot_id, create_time, recycle_bin_enter_time, recycle_bin_exit_time)
KILN_WIRE(kiln::services::ec2::ListVolumesInRecycleBinResponse, volume_set, next_token)
KILN_WIRE(kiln::services::ec2::RestoreVolumeFromRecycleBinRequest, volume_id)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

void require(const std::string& value, const std::string& parameter) {
  if (value.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
}

ListImagesInRecycleBinResponse list_images(Call& call, const ListImagesInRecycleBinRequest& request) {
  const PageRequest wanted{.max_results = request.max_results,
                           .next_token = request.next_token,
                           .has_ids = !request.image_id.empty(),
                           .least = 1};
  page_start(wanted);
  std::vector<ImageRecycleBinInfo> images;
  for (const auto& each : control::images_in_bin(call.region, call.principal, request.image_id)) {
    images.push_back({.image_id = each.row.id,
                      .name = each.row.name,
                      .description = each.row.description,
                      .recycle_bin_enter_time = {each.entered},
                      .recycle_bin_exit_time = {each.exits}});
  }
  auto page = paginate(std::move(images), wanted, [](const ImageRecycleBinInfo& each) { return each.image_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

Done restore_image(Call& call, const RestoreImageFromRecycleBinRequest& request) {
  require(request.image_id, "ImageId");
  control::restore_image(call.region, call.principal, request.image_id);
  return {};
}

ListSnapshotsInRecycleBinResponse list_snapshots(Call& call, const ListSnapshotsInRecycleBinRequest& request) {
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.snapshot_id.empty()};
  page_start(wanted);
  std::vector<SnapshotRecycleBinInfo> snapshots;
  for (const auto& each : control::snapshots_in_bin(call.region, call.principal, request.snapshot_id)) {
    snapshots.push_back({.snapshot_id = each.row.id,
                         .recycle_bin_enter_time = {each.entered},
                         .recycle_bin_exit_time = {each.exits},
                         .description = each.row.description,
                         .volume_id = each.row.volume_id});
  }
  auto page =
      paginate(std::move(snapshots), wanted, [](const SnapshotRecycleBinInfo& each) { return each.snapshot_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

RestoreSnapshotFromRecycleBinResponse restore_snapshot(Call& call,
                                                       const RestoreSnapshotFromRecycleBinRequest& request) {
  require(request.snapshot_id, "SnapshotId");
  const auto row = control::restore_snapshot(call.region, call.principal, request.snapshot_id);
  return {.snapshot_id = row.id,
          .description = row.description,
          .encrypted = row.encrypted,
          .owner_id = row.account,
          .progress = row.progress,
          .start_time = {row.started},
          .status = row.state,
          .volume_id = row.volume_id,
          .volume_size = static_cast<int>(row.size_gib)};
}

ListVolumesInRecycleBinResponse list_volumes(Call& call, const ListVolumesInRecycleBinRequest& request) {
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.volume_id.empty()};
  page_start(wanted);
  std::vector<VolumeRecycleBinInfo> volumes;
  for (const auto& each : control::volumes_in_bin(call.region, call.principal, request.volume_id)) {
    const auto& row = each.row;
    volumes.push_back({.volume_id = row.id,
                       .volume_type = row.volume_type,
                       .state = "deleted",
                       .size = static_cast<int>(row.size_gib),
                       .iops = row.iops,
                       .throughput = row.throughput,
                       .availability_zone = row.zone,
                       .snapshot_id = row.snapshot_id.empty() ? std::nullopt : std::optional(row.snapshot_id),
                       .create_time = {row.created},
                       .recycle_bin_enter_time = {each.entered},
                       .recycle_bin_exit_time = {each.exits}});
  }
  auto page = paginate(std::move(volumes), wanted, [](const VolumeRecycleBinInfo& each) { return each.volume_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

Done restore_volume(Call& call, const RestoreVolumeFromRecycleBinRequest& request) {
  require(request.volume_id, "VolumeId");
  control::restore_volume(call.region, call.principal, request.volume_id);
  return {};
}

constexpr Operation operations[] = {
    operation<list_images>("ListImagesInRecycleBin", Access::reads),
    operation<list_snapshots>("ListSnapshotsInRecycleBin", Access::reads),
    operation<list_volumes>("ListVolumesInRecycleBin", Access::reads),
    operation<restore_image>("RestoreImageFromRecycleBin", Access::writes),
    operation<restore_snapshot>("RestoreSnapshotFromRecycleBin", Access::writes),
    operation<restore_volume>("RestoreVolumeFromRecycleBin", Access::writes),
};

}  // namespace

std::span<const Operation> recycle_bin_operations() { return operations; }

}  // namespace kiln::services::ec2
