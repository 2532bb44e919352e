// CreateSnapshot, CreateSnapshots, CopySnapshot, DescribeSnapshots, DeleteSnapshot.
#include "control/snapshots.h"

#include "base/api_error.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_sets.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/regions.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct CreateSnapshotRequest {
  std::string volume_id, description;
  std::vector<TagSpecification> tag_specification;
};

struct Snapshot {
  std::string snapshot_id, volume_id, status;
  std::optional<std::string> status_message;
  wire::Timestamp start_time;
  std::optional<wire::Timestamp> completion_time;
  std::string progress, owner_id, description;
  int volume_size = 0;
  bool encrypted = false;
  std::optional<std::string> kms_key_id;
  std::vector<Tag> tag_set;
  std::string storage_tier = "standard";
  std::optional<wire::Timestamp> restore_expiry_time;
  std::optional<std::int64_t> full_snapshot_size_in_bytes;
};

struct InstanceSpecification {
  std::string instance_id;
  bool exclude_boot_volume = false;
  std::vector<std::string> exclude_data_volume_id;
};

struct CreateSnapshotsRequest {
  InstanceSpecification instance_specification;
  std::string description, copy_tags_from_source, outpost_arn;
  std::vector<TagSpecification> tag_specification;
};

struct SnapshotInfo {
  std::string snapshot_id, volume_id, state, progress, owner_id, description;
  wire::Timestamp start_time;
  int volume_size = 0;
  bool encrypted = false;
  std::vector<Tag> tag_set;
};

struct CreateSnapshotsResponse {
  std::vector<SnapshotInfo> snapshot_set;
};

struct CopySnapshotRequest {
  std::string source_region, source_snapshot_id, description, destination_outpost_arn, kms_key_id, destination_region;
  std::string presigned_url;  // a second request, signed for the source's region, which nobody sends here
  std::optional<bool> encrypted;
  std::vector<TagSpecification> tag_specification;
};

struct CopySnapshotResponse {
  std::string snapshot_id;
  std::vector<Tag> tag_set;
};

struct DescribeSnapshotsRequest {
  std::vector<std::string> snapshot_id, owner, restorable_by;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeSnapshotsResponse {
  std::vector<Snapshot> snapshot_set;
  std::optional<std::string> next_token;
};

struct DeleteSnapshotRequest {
  std::string snapshot_id;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::CreateSnapshotRequest, volume_id, description, tag_specification)
KILN_WIRE(kiln::services::ec2::Snapshot, snapshot_id, volume_id, status, status_message, start_time, completion_time,
          progress, owner_id, description, volume_size, encrypted, kms_key_id, tag_set, storage_tier,
          restore_expiry_time, full_snapshot_size_in_bytes)
KILN_WIRE(kiln::services::ec2::InstanceSpecification, instance_id, exclude_boot_volume, exclude_data_volume_id)
KILN_WIRE(kiln::services::ec2::CreateSnapshotsRequest, instance_specification, description, copy_tags_from_source,
          outpost_arn, tag_specification)
KILN_WIRE(kiln::services::ec2::SnapshotInfo, snapshot_id, volume_id, state, progress, owner_id, description, start_time,
          volume_size, encrypted, tag_set)
KILN_WIRE(kiln::services::ec2::CreateSnapshotsResponse, snapshot_set)
KILN_WIRE(kiln::services::ec2::CopySnapshotRequest, source_region, source_snapshot_id, description,
          destination_outpost_arn, kms_key_id, destination_region, presigned_url, encrypted, tag_specification)
KILN_WIRE(kiln::services::ec2::CopySnapshotResponse, snapshot_id, tag_set)
KILN_WIRE(kiln::services::ec2::DescribeSnapshotsRequest, snapshot_id, owner, restorable_by, filter, max_results,
          next_token)
KILN_WIRE(kiln::services::ec2::DescribeSnapshotsResponse, snapshot_set, next_token)
KILN_WIRE(kiln::services::ec2::DeleteSnapshotRequest, snapshot_id)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

Snapshot to_shape(const control::SnapshotDetails& details) {
  const auto& row = details.snapshot;
  Snapshot shape{.snapshot_id = row.id,
                 .volume_id = row.volume_id,
                 .status = row.state,
                 .start_time = {row.started},
                 .progress = row.progress,
                 .owner_id = row.account,
                 .description = row.description,
                 .volume_size = static_cast<int>(row.size_gib),
                 .encrypted = row.encrypted,
                 .kms_key_id = row.encrypted ? std::optional(row.kms_key_arn) : std::nullopt,
                 .tag_set = ec2::to_shape(details.tags)};
  if (details.tier) {
    shape.storage_tier = details.tier->tier;
    if (details.tier->restore_expires) shape.restore_expiry_time = {*details.tier->restore_expires};
  }
  if (!row.state_message.empty()) shape.status_message = row.state_message;
  if (row.completed) {
    shape.completion_time = {*row.completed};
    shape.full_snapshot_size_in_bytes = row.full_bytes;
  }
  return shape;
}

Snapshot create_snapshot(Call& call, const CreateSnapshotRequest& request) {
  if (request.volume_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter volumeId");
  const auto made = control::create_snapshot(call.region, call.principal,
                                             {.volume_id = request.volume_id,
                                              .description = request.description,
                                              .tags = tags_for(request.tag_specification, "snapshot", {"snapshot"})});
  // As it was promised, whatever the upload has reached meanwhile: AWS answers with a pending one.
  auto shape = to_shape(control::SnapshotDetails{.snapshot = made, .tags = {}});
  const auto details = control::describe_snapshots(call.region, call.principal, {.ids = {made.id}});
  if (!details.empty()) shape.tag_set = ec2::to_shape(details.front().tags);
  return shape;
}

CreateSnapshotsResponse create_snapshots(Call& call, const CreateSnapshotsRequest& request) {
  const auto& instance = request.instance_specification;
  if (instance.instance_id.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter InstanceSpecification.InstanceId");
  }
  if (!request.outpost_arn.empty()) throw ApiError("UnsupportedOperation", "There are no Outposts here.");
  const auto& copied = request.copy_tags_from_source;
  if (!copied.empty() && copied != "volume") {
    throw ApiError("InvalidParameterValue",
                   "Value (" + copied + ") for parameter CopyTagsFromSource is invalid. Expected: 'volume'.");
  }
  const auto made =
      control::create_snapshots(call.region, call.principal,
                                {.instance_id = instance.instance_id,
                                 .exclude_boot_volume = instance.exclude_boot_volume,
                                 .exclude_data_volume_ids = instance.exclude_data_volume_id,
                                 .description = request.description,
                                 .copy_tags = copied.empty() ? control::CopyTags::no : control::CopyTags::from_volume,
                                 .tags = tags_for(request.tag_specification, "snapshot", {"snapshot"})});
  CreateSnapshotsResponse response;
  for (const auto& details : made) {
    auto shape = to_shape(details);
    response.snapshot_set.push_back({.snapshot_id = std::move(shape.snapshot_id),
                                     .volume_id = std::move(shape.volume_id),
                                     .state = std::move(shape.status),
                                     .progress = std::move(shape.progress),
                                     .owner_id = std::move(shape.owner_id),
                                     .description = std::move(shape.description),
                                     .start_time = shape.start_time,
                                     .volume_size = shape.volume_size,
                                     .encrypted = shape.encrypted,
                                     .tag_set = std::move(shape.tag_set)});
  }
  return response;
}

// Whatever became of it.
CopySnapshotResponse copied_before(const Call& call) {
  CopySnapshotResponse response{.snapshot_id = call.made_before, .tag_set = {}};
  try {
    const auto details = control::describe_snapshots(call.region, call.principal, {.ids = {call.made_before}});
    if (!details.empty()) response.tag_set = ec2::to_shape(details.front().tags);
  } catch (const ApiError&) {
    // It is deleted.
  }
  return response;
}

CopySnapshotResponse copy_snapshot(Call& call, const CopySnapshotRequest& request) {
  if (!call.made_before.empty()) return copied_before(call);
  for (const auto& [name, value] :
       {std::pair("SourceRegion", request.source_region), std::pair("SourceSnapshotId", request.source_snapshot_id)}) {
    if (value.empty())
      throw ApiError("MissingParameter", "The request must contain the parameter " + std::string(name));
  }
  check_destination(call, request.destination_region);
  if (!request.destination_outpost_arn.empty()) throw ApiError("UnsupportedOperation", "There are no Outposts here.");
  const auto copy = control::copy_snapshot(call.region, call.principal,
                                           {.source_region = request.source_region,
                                            .source_snapshot_id = request.source_snapshot_id,
                                            .description = request.description,
                                            .encryption = {.encrypted = request.encrypted, .key = request.kms_key_id},
                                            .tags = tags_for(request.tag_specification, "snapshot", {"snapshot"}),
                                            .client_token = call.client_token});
  return {.snapshot_id = copy.snapshot.id, .tag_set = ec2::to_shape(copy.tags)};
}

constexpr Filterable<Snapshot> snapshot_filters[] = {
    {"description", [](const Snapshot& s) { return one(s.description); }},
    {"encrypted", [](const Snapshot& s) { return one(s.encrypted); }},
    {"owner-alias", [](const Snapshot&) { return std::vector<std::string>{}; }},
    {"owner-id", [](const Snapshot& s) { return one(s.owner_id); }},
    {"progress", [](const Snapshot& s) { return one(s.progress); }},
    {"snapshot-id", [](const Snapshot& s) { return one(s.snapshot_id); }},
    {"start-time", [](const Snapshot& s) { return one(base::to_iso8601(s.start_time.micros)); }},
    {"status", [](const Snapshot& s) { return one(s.status); }},
    {"storage-tier", [](const Snapshot& s) { return one(s.storage_tier); }},
    {"transfer-type", [](const Snapshot&) { return std::vector<std::string>{}; }},
    {"volume-id", [](const Snapshot& s) { return one(s.volume_id); }},
    {"volume-size", [](const Snapshot& s) { return one(std::to_string(s.volume_size)); }},
};

DescribeSnapshotsResponse describe_snapshots(Call& call, const DescribeSnapshotsRequest& request) {
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.snapshot_id.empty()};
  page_start(wanted);
  std::vector<Snapshot> snapshots;
  const control::SnapshotQuery query{
      .ids = request.snapshot_id, .owners = request.owner, .restorable_by = request.restorable_by};
  for (const auto& details : control::describe_snapshots(call.region, call.principal, query)) {
    snapshots.push_back(to_shape(details));
  }
  keep_matching<Snapshot>(snapshots, snapshot_filters, request.filter);
  auto page = paginate(std::move(snapshots), wanted, [](const Snapshot& s) { return s.snapshot_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

Done delete_snapshot(Call& call, const DeleteSnapshotRequest& request) {
  if (request.snapshot_id.empty())
    throw ApiError("MissingParameter", "The request must contain the parameter snapshotId");
  control::delete_snapshot(call.region, call.principal, request.snapshot_id);
  return {};
}

constexpr Operation operations[] = {
    operation<copy_snapshot>("CopySnapshot", Access::writes),
    operation<create_snapshot>("CreateSnapshot", Access::writes),
    operation<create_snapshots>("CreateSnapshots", Access::writes),
    operation<delete_snapshot>("DeleteSnapshot", Access::writes),
    operation<describe_snapshots>("DescribeSnapshots", Access::reads),
};

}  // namespace

std::span<const Operation> snapshot_operations() { return operations; }

}  // namespace kiln::services::ec2
