// CreateSnapshot, DescribeSnapshots, DeleteSnapshot.
#include "control/snapshots.h"

#include "base/api_error.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
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
  std::vector<Tag> tag_set;
  std::string storage_tier = "standard";
  std::optional<std::int64_t> full_snapshot_size_in_bytes;
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
          progress, owner_id, description, volume_size, encrypted, tag_set, storage_tier, full_snapshot_size_in_bytes)
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
                 .tag_set = ec2::to_shape(details.tags)};
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
    operation<create_snapshot>("CreateSnapshot", Access::writes),
    operation<delete_snapshot>("DeleteSnapshot", Access::writes),
    operation<describe_snapshots>("DescribeSnapshots", Access::reads),
};

}  // namespace

std::span<const Operation> snapshot_operations() { return operations; }

}  // namespace kiln::services::ec2
