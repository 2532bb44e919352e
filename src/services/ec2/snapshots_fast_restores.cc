// EnableFastSnapshotRestores, DisableFastSnapshotRestores, DescribeFastSnapshotRestores.
#include "base/api_error.h"
#include "control/fast_restores.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct FastSnapshotRestoresRequest {
  std::vector<std::string> availability_zone, availability_zone_id, source_snapshot_id;
};

// Of all three operations.
struct FastSnapshotRestore {
  std::string snapshot_id, availability_zone, state, state_transition_reason, owner_id;
  wire::Timestamp enabling_time;
  std::optional<wire::Timestamp> optimizing_time, enabled_time, disabling_time, disabled_time;
};

struct FastSnapshotRestoreError {
  std::string code, message;
};

struct FastSnapshotRestoreStateError {
  std::string availability_zone;
  FastSnapshotRestoreError error;
};

struct FastSnapshotRestoreErrorItem {
  std::string snapshot_id;
  std::vector<FastSnapshotRestoreStateError> fast_snapshot_restore_state_error_set;
};

struct FastSnapshotRestoresResponse {
  std::vector<FastSnapshotRestore> successful;
  std::vector<FastSnapshotRestoreErrorItem> unsuccessful;
};

struct DescribeFastSnapshotRestoresRequest {
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeFastSnapshotRestoresResponse {
  std::vector<FastSnapshotRestore> fast_snapshot_restore_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::FastSnapshotRestoresRequest, availability_zone, availability_zone_id, source_snapshot_id)
KILN_WIRE(kiln::services::ec2::FastSnapshotRestore, snapshot_id, availability_zone, state, state_transition_reason,
          owner_id, enabling_time, optimizing_time, enabled_time, disabling_time, disabled_time)
KILN_WIRE(kiln::services::ec2::FastSnapshotRestoreError, code, message)
KILN_WIRE(kiln::services::ec2::FastSnapshotRestoreStateError, availability_zone, error)
KILN_WIRE(kiln::services::ec2::FastSnapshotRestoreErrorItem, snapshot_id, fast_snapshot_restore_state_error_set)
KILN_WIRE(kiln::services::ec2::FastSnapshotRestoresResponse, successful, unsuccessful)
KILN_WIRE(kiln::services::ec2::DescribeFastSnapshotRestoresRequest, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeFastSnapshotRestoresResponse, fast_snapshot_restore_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

std::optional<wire::Timestamp> timestamp(const std::optional<base::Micros>& time) {
  return time ? std::optional(wire::Timestamp{*time}) : std::nullopt;
}

FastSnapshotRestore to_shape(const catalog::FastRestore& row) {
  return {.snapshot_id = row.snapshot_id,
          .availability_zone = row.zone,
          .state = row.state,
          .state_transition_reason = row.reason,
          .owner_id = row.account,
          .enabling_time = {row.enabling},
          .optimizing_time = timestamp(row.optimizing),
          .enabled_time = timestamp(row.enabled),
          .disabling_time = timestamp(row.disabling),
          .disabled_time = timestamp(row.disabled)};
}

// Zone ids are the zones' own names here.
control::FastRestoreWish wish_of(const FastSnapshotRestoresRequest& request) {
  if (!request.availability_zone.empty() && !request.availability_zone_id.empty()) {
    throw ApiError("InvalidParameterCombination", "Specify either AvailabilityZones or AvailabilityZoneIds, not both.");
  }
  return {.snapshot_ids = request.source_snapshot_id,
          .zones = request.availability_zone.empty() ? request.availability_zone_id : request.availability_zone};
}

FastSnapshotRestoresResponse to_shape(const control::FastRestoreOutcome& outcome) {
  FastSnapshotRestoresResponse response;
  for (const auto& row : outcome.successful) response.successful.push_back(to_shape(row));
  for (const auto& refusal : outcome.unsuccessful) {
    auto& items = response.unsuccessful;
    if (items.empty() || items.back().snapshot_id != refusal.snapshot_id) {
      items.push_back({.snapshot_id = refusal.snapshot_id, .fast_snapshot_restore_state_error_set = {}});
    }
    items.back().fast_snapshot_restore_state_error_set.push_back(
        {.availability_zone = refusal.zone, .error = {.code = refusal.code, .message = refusal.message}});
  }
  return response;
}

FastSnapshotRestoresResponse enable(Call& call, const FastSnapshotRestoresRequest& request) {
  return to_shape(control::enable_fast_restores(call.region, call.principal, wish_of(request)));
}

FastSnapshotRestoresResponse disable(Call& call, const FastSnapshotRestoresRequest& request) {
  return to_shape(control::disable_fast_restores(call.region, call.principal, wish_of(request)));
}

constexpr Filterable<FastSnapshotRestore> restore_filters[] = {
    {"availability-zone", [](const FastSnapshotRestore& r) { return one(r.availability_zone); }},
    {"availability-zone-id", [](const FastSnapshotRestore& r) { return one(r.availability_zone); }},
    {"owner-id", [](const FastSnapshotRestore& r) { return one(r.owner_id); }},
    {"snapshot-id", [](const FastSnapshotRestore& r) { return one(r.snapshot_id); }},
    {"state", [](const FastSnapshotRestore& r) { return one(r.state); }},
};

DescribeFastSnapshotRestoresResponse describe(Call& call, const DescribeFastSnapshotRestoresRequest& request) {
  const PageRequest wanted{.max_results = request.max_results, .next_token = request.next_token};
  page_start(wanted);
  std::vector<FastSnapshotRestore> all;
  for (const auto& row : control::describe_fast_restores(call.region, call.principal)) all.push_back(to_shape(row));
  keep_matching<FastSnapshotRestore>(all, restore_filters, request.filter);
  auto page = paginate(std::move(all), wanted, [](const FastSnapshotRestore& r) {
    return r.snapshot_id + " " + r.availability_zone + " " + r.owner_id;
  });
  return {std::move(page.items), std::move(page.next_token)};
}

constexpr Operation operations[] = {
    operation<describe>("DescribeFastSnapshotRestores", Access::reads),
    operation<disable>("DisableFastSnapshotRestores", Access::writes),
    operation<enable>("EnableFastSnapshotRestores", Access::writes),
};

}  // namespace

std::span<const Operation> fast_restore_operations() { return operations; }

}  // namespace kiln::services::ec2
