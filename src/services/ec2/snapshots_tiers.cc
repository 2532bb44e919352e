// ModifySnapshotTier, RestoreSnapshotTier, DescribeSnapshotTierStatus.
#include "base/api_error.h"
#include "control/snapshot_tiers.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct ModifySnapshotTierRequest {
  std::string snapshot_id, storage_tier;
};

struct ModifySnapshotTierResponse {
  std::string snapshot_id;
  wire::Timestamp tiering_start_time;
};

struct RestoreSnapshotTierRequest {
  std::string snapshot_id;
  std::optional<int> temporary_restore_days;
  std::optional<bool> permanent_restore;
};

struct RestoreSnapshotTierResponse {
  std::string snapshot_id;
  wire::Timestamp restore_start_time;
  std::optional<int> restore_duration;
  bool is_permanent_restore = false;
};

struct DescribeSnapshotTierStatusRequest {
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct SnapshotTierStatus {
  std::string snapshot_id, volume_id, status, owner_id;
  std::vector<Tag> tag_set;
  std::string storage_tier;
  std::optional<wire::Timestamp> last_tiering_start_time;
  std::optional<int> last_tiering_progress;
  std::optional<std::string> last_tiering_operation_status, last_tiering_operation_status_detail;
  std::optional<wire::Timestamp> archival_complete_time, restore_expiry_time;
};

struct DescribeSnapshotTierStatusResponse {
  std::vector<SnapshotTierStatus> snapshot_tier_status_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::ModifySnapshotTierRequest, snapshot_id, storage_tier)
KILN_WIRE(kiln::services::ec2::ModifySnapshotTierResponse, snapshot_id, tiering_start_time)
KILN_WIRE(kiln::services::ec2::RestoreSnapshotTierRequest, snapshot_id, temporary_restore_days, permanent_restore)
KILN_WIRE(kiln::services::ec2::RestoreSnapshotTierResponse, snapshot_id, restore_start_time, restore_duration,
          is_permanent_restore)
KILN_WIRE(kiln::services::ec2::DescribeSnapshotTierStatusRequest, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::SnapshotTierStatus, snapshot_id, volume_id, status, owner_id, tag_set, storage_tier,
          last_tiering_start_time, last_tiering_progress, last_tiering_operation_status,
          last_tiering_operation_status_detail, archival_complete_time, restore_expiry_time)
KILN_WIRE(kiln::services::ec2::DescribeSnapshotTierStatusResponse, snapshot_tier_status_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

void require(const std::string& value, const std::string& parameter) {
  if (value.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
}

ModifySnapshotTierResponse modify(Call& call, const ModifySnapshotTierRequest& request) {
  require(request.snapshot_id, "SnapshotId");
  // The API's one value, which it also takes for granted.
  if (!request.storage_tier.empty() && request.storage_tier != "archive") {
    throw ApiError("InvalidParameterValue",
                   "Value (" + request.storage_tier + ") for parameter StorageTier is invalid. Expected: 'archive'.");
  }
  const auto tier = control::archive_snapshot(call.region, call.principal, request.snapshot_id);
  return {.snapshot_id = request.snapshot_id, .tiering_start_time = {tier.started}};
}

RestoreSnapshotTierResponse restore(Call& call, const RestoreSnapshotTierRequest& request) {
  require(request.snapshot_id, "SnapshotId");
  const bool permanent = request.permanent_restore.value_or(false);
  const auto tier = control::restore_archived(call.region, call.principal, request.snapshot_id,
                                              {.days = request.temporary_restore_days, .permanent = permanent});
  return {.snapshot_id = request.snapshot_id,
          .restore_start_time = {tier.started},
          .restore_duration = request.temporary_restore_days,
          .is_permanent_restore = permanent};
}

SnapshotTierStatus to_shape(const control::TierDetails& details) {
  const auto& row = details.snapshot;
  SnapshotTierStatus shape{.snapshot_id = row.id,
                           .volume_id = row.volume_id,
                           .status = row.state,
                           .owner_id = row.account,
                           .tag_set = ec2::to_shape(details.tags),
                           .storage_tier = "standard"};
  if (!details.tier) return shape;
  const auto& tier = *details.tier;
  shape.storage_tier = tier.tier;
  shape.last_tiering_start_time = {tier.started};
  shape.last_tiering_progress = static_cast<int>(tier.progress);
  shape.last_tiering_operation_status = tier.operation;
  if (!tier.detail.empty()) shape.last_tiering_operation_status_detail = tier.detail;
  if (tier.archived) shape.archival_complete_time = {*tier.archived};
  if (tier.restore_expires) shape.restore_expiry_time = {*tier.restore_expires};
  return shape;
}

constexpr Filterable<SnapshotTierStatus> tier_filters[] = {
    {"last-tiering-operation",
     [](const SnapshotTierStatus& each) { return one(each.last_tiering_operation_status.value_or("")); }},
    {"snapshot-id", [](const SnapshotTierStatus& each) { return one(each.snapshot_id); }},
    {"volume-id", [](const SnapshotTierStatus& each) { return one(each.volume_id); }},
};

DescribeSnapshotTierStatusResponse describe(Call& call, const DescribeSnapshotTierStatusRequest& request) {
  const PageRequest wanted{.max_results = request.max_results, .next_token = request.next_token};
  page_start(wanted);
  std::vector<SnapshotTierStatus> all;
  for (const auto& details : control::describe_tiers(call.region, call.principal)) all.push_back(to_shape(details));
  keep_matching<SnapshotTierStatus>(all, tier_filters, request.filter);
  auto page = paginate(std::move(all), wanted, [](const SnapshotTierStatus& each) { return each.snapshot_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

constexpr Operation operations[] = {
    operation<describe>("DescribeSnapshotTierStatus", Access::reads),
    operation<modify>("ModifySnapshotTier", Access::writes),
    operation<restore>("RestoreSnapshotTier", Access::writes),
};

}  // namespace

std::span<const Operation> snapshot_tier_operations() { return operations; }

}  // namespace kiln::services::ec2
