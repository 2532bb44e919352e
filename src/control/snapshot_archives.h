#pragma once
// What the requests about the archive tier and its jobs have in common (snapshot_tiers.h says what they do).

#include <string>
#include <string_view>

#include "catalog/lifecycle.h"
#include "control/region.h"

namespace kiln::control {

// As DescribeSnapshotTierStatus writes them: archival-in-progress, temporary-restore-failed.
namespace tier_operation {
constexpr std::string_view archival = "archival", permanent = "permanent-restore", temporary = "temporary-restore";
constexpr std::string_view in_progress = "-in-progress", completed = "-completed", failed = "-failed";
}  // namespace tier_operation
inline std::string operation_text(std::string_view what, std::string_view how) {
  return std::string(what) + std::string(how);
}

namespace tier_job {
constexpr const char* archive = "archive-snapshot";
constexpr const char* restore = "restore-snapshot";
constexpr const char* remove = "remove-archive";
}  // namespace tier_job

void start_tier_job(catalog::Txn& txn, Region& region, const char* kind, const std::string& snapshot_id);
// The disk is a root: temporarily when the row has restore_days, else for good, and the archive goes.
void restored(catalog::Txn& txn, Region& region, catalog::SnapshotTier& tier);
// Throws InvalidSnapshot.InUse while an image that is not disabled names the snapshot.
void check_not_in_use(catalog::Txn& txn, const Region& region, const std::string& snapshot_id);

}  // namespace kiln::control
