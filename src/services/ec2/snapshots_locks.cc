// LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots.
#include "base/api_error.h"
#include "control/snapshot_locks.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct LockSnapshotRequest {
  std::string snapshot_id, lock_mode;
  std::optional<int> cool_off_period, lock_duration;
  std::optional<wire::Timestamp> expiration_date;
};

// LockSnapshot's answer, and with the owner DescribeLockedSnapshots' item.
struct LockSnapshotResponse {
  std::string snapshot_id, lock_state;
  int lock_duration = 0;
  std::optional<int> cool_off_period;
  std::optional<wire::Timestamp> cool_off_period_expires_on;
  wire::Timestamp lock_created_on;
  std::optional<wire::Timestamp> lock_expires_on, lock_duration_start_time;
};

struct LockedSnapshotsInfo {
  std::string owner_id, snapshot_id, lock_state;
  int lock_duration = 0;
  std::optional<int> cool_off_period;
  std::optional<wire::Timestamp> cool_off_period_expires_on;
  wire::Timestamp lock_created_on;
  std::optional<wire::Timestamp> lock_expires_on, lock_duration_start_time;
};

struct UnlockSnapshotRequest {
  std::string snapshot_id;
};

struct UnlockSnapshotResponse {
  std::string snapshot_id;
};

struct DescribeLockedSnapshotsRequest {
  std::vector<Filter> filter;
  std::vector<std::string> snapshot_id;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeLockedSnapshotsResponse {
  std::vector<LockedSnapshotsInfo> snapshot_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::LockSnapshotRequest, snapshot_id, lock_mode, cool_off_period, lock_duration,
          expiration_date)
KILN_WIRE(kiln::services::ec2::LockSnapshotResponse, snapshot_id, lock_state, lock_duration, cool_off_period,
          cool_off_period_expires_on, lock_created_on, lock_expires_on, lock_duration_start_time)
KILN_WIRE(kiln::services::ec2::LockedSnapshotsInfo, owner_id, snapshot_id, lock_state, lock_duration, cool_off_period,
          cool_off_period_expires_on, lock_created_on, lock_expires_on, lock_duration_start_time)
KILN_WIRE(kiln::services::ec2::UnlockSnapshotRequest, snapshot_id)
KILN_WIRE(kiln::services::ec2::UnlockSnapshotResponse, snapshot_id)
KILN_WIRE(kiln::services::ec2::DescribeLockedSnapshotsRequest, filter, snapshot_id, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeLockedSnapshotsResponse, snapshot_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

void require(const std::string& value, const std::string& parameter) {
  if (value.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
}

std::optional<wire::Timestamp> timestamp(const std::optional<base::Micros>& time) {
  return time ? std::optional(wire::Timestamp{*time}) : std::nullopt;
}

// Both shapes have these members.
template <class Shape>
void fill(Shape& shape, const control::LockDetails& details) {
  shape.snapshot_id = details.snapshot.id;
  shape.lock_state = details.state;
  shape.lock_duration = static_cast<int>(details.lock.duration_days);
  if (details.lock.cool_off_hours) shape.cool_off_period = static_cast<int>(*details.lock.cool_off_hours);
  shape.cool_off_period_expires_on = timestamp(details.cool_off_expires);
  shape.lock_created_on = {details.lock.created};
  shape.lock_expires_on = timestamp(details.expires);
  shape.lock_duration_start_time = timestamp(details.counted_from);
}

LockSnapshotResponse lock(Call& call, const LockSnapshotRequest& request) {
  require(request.snapshot_id, "SnapshotId");
  require(request.lock_mode, "LockMode");
  control::NewLock what{
      .mode = request.lock_mode, .cool_off_hours = request.cool_off_period, .duration_days = request.lock_duration};
  if (request.expiration_date) what.expiration = request.expiration_date->micros;
  LockSnapshotResponse response;
  fill(response, control::lock_snapshot(call.region, call.principal, request.snapshot_id, what));
  return response;
}

UnlockSnapshotResponse unlock(Call& call, const UnlockSnapshotRequest& request) {
  require(request.snapshot_id, "SnapshotId");
  control::unlock_snapshot(call.region, call.principal, request.snapshot_id);
  return {request.snapshot_id};
}

constexpr Filterable<LockedSnapshotsInfo> lock_filters[] = {
    {"lock-state", [](const LockedSnapshotsInfo& each) { return one(each.lock_state); }},
};

DescribeLockedSnapshotsResponse describe(Call& call, const DescribeLockedSnapshotsRequest& request) {
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.snapshot_id.empty()};
  page_start(wanted);
  std::vector<LockedSnapshotsInfo> locks;
  for (const auto& details : control::describe_locks(call.region, call.principal, request.snapshot_id)) {
    fill(locks.emplace_back(LockedSnapshotsInfo{.owner_id = details.snapshot.account}), details);
  }
  keep_matching<LockedSnapshotsInfo>(locks, lock_filters, request.filter);
  auto page = paginate(std::move(locks), wanted, [](const LockedSnapshotsInfo& each) { return each.snapshot_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

constexpr Operation operations[] = {
    operation<describe>("DescribeLockedSnapshots", Access::reads),
    operation<lock>("LockSnapshot", Access::writes),
    operation<unlock>("UnlockSnapshot", Access::writes),
};

}  // namespace

std::span<const Operation> snapshot_lock_operations() { return operations; }

}  // namespace kiln::services::ec2
