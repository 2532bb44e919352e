#include "control/snapshot_tiers.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/log.h"
#include "catalog/blocks.h"
#include "catalog/images.h"
#include "control/ebs_refusals.h"
#include "control/fast_restores.h"
#include "control/snapshot_archives.h"
#include "control/snapshots.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Snapshot;
using catalog::SnapshotTier;
using catalog::Txn;

constexpr std::int64_t most_restore_days = 180;
constexpr base::Micros day = base::seconds(86'400);

void check_idle(const SnapshotTier& tier) {
  if (!tier.operation.ends_with(tier_operation::in_progress)) return;
  throw ApiError("IncorrectState", "The snapshot '" + tier.snapshot_id +
                                       "' is being archived or restored: its last tiering operation is " +
                                       tier.operation + ".");
}

void check_restore(const TierRestore& what) {
  if (what.days && what.permanent) {
    throw ApiError("InvalidParameterCombination",
                   "The parameters TemporaryRestoreDays and PermanentRestore cannot be used together.");
  }
  if (!what.days && !what.permanent) {
    throw ApiError("MissingParameter",
                   "The request must contain either the parameter TemporaryRestoreDays or PermanentRestore");
  }
  if (what.days && (*what.days < 1 || *what.days > most_restore_days)) {
    throw ApiError("InvalidParameterValue", "Value (" + std::to_string(*what.days) +
                                                ") for parameter TemporaryRestoreDays is invalid. Expected: 1 to " +
                                                std::to_string(most_restore_days) + ".");
  }
}

}  // namespace

SnapshotTier archive_snapshot(Region& region, const Principal& caller, const std::string& id) {
  const auto started = catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto snapshot = snapshot_of(txn, region, caller.account, id);
    if (snapshot.state != "completed") {
      throw ApiError("IncorrectState", "Snapshot is in invalid state - " + snapshot.state);
    }
    auto tier = catalog::find_snapshot_tier(txn, region.name, id).value_or(SnapshotTier{});
    tier.region = region.name;
    tier.snapshot_id = id;
    check_idle(tier);
    if (tier.tier == "archive") {
      throw ApiError("IncorrectState", "The snapshot '" + id + "' is already in the archive tier.");
    }
    if (tier.archive_bytes > 0) {
      throw ApiError("IncorrectState",
                     "The snapshot '" + id + "' is temporarily restored, and returns to the archive tier by itself.");
    }
    check_not_in_use(txn, region, id);
    tier.operation = operation_text(tier_operation::archival, tier_operation::in_progress);
    tier.detail.clear();
    tier.progress = 0;
    tier.started = region.clock.now();
    catalog::upsert(txn, tier);
    start_tier_job(txn, region, tier_job::archive, id);
    return tier;
  });
  region.jobs.wake();
  return started;
}

SnapshotTier restore_archived(Region& region, const Principal& caller, const std::string& id, const TierRestore& what) {
  check_restore(what);
  const auto started = catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto snapshot = snapshot_of(txn, region, caller.account, id);
    auto found = catalog::find_snapshot_tier(txn, region.name, id);
    if (!found || found->archive_bytes == 0) {
      if (found) check_idle(*found);
      throw ApiError("IncorrectState", "The snapshot '" + id + "' is not in the archive tier.");
    }
    auto tier = *found;
    check_idle(tier);
    tier.started = region.clock.now();
    tier.detail.clear();
    tier.restore_days = what.days;
    const auto restore = what.permanent ? tier_operation::permanent : tier_operation::temporary;
    if (tier.tier == "archive") {
      tier.operation = operation_text(restore, tier_operation::in_progress);
      tier.progress = 0;
      start_tier_job(txn, region, tier_job::restore, id);
    } else {
      restored(txn, region, tier);
    }
    catalog::upsert(txn, tier);
    return tier;
  });
  region.jobs.wake();
  return started;
}

void restored(Txn& txn, Region& region, SnapshotTier& tier) {
  const bool permanent = !tier.restore_days;
  tier.tier = "standard";
  tier.operation =
      operation_text(permanent ? tier_operation::permanent : tier_operation::temporary, tier_operation::completed);
  tier.progress = 100;
  tier.restore_expires.reset();
  if (!permanent) {
    tier.restore_expires = region.clock.now() + *tier.restore_days * day;
    return;
  }
  tier.archive_bytes = 0;
  tier.damage.clear();
  start_tier_job(txn, region, tier_job::remove, tier.snapshot_id);
}

void check_not_in_use(Txn& txn, const Region& region, const std::string& snapshot_id) {
  for (const auto& image : catalog::images_using_snapshot(txn, region.name, snapshot_id)) {
    if (image.state == "disabled") continue;
    throw ApiError("InvalidSnapshot.InUse",
                   "The snapshot " + snapshot_id + " is currently in use by " + image.id +
                       ". A snapshot that an image uses can be archived only while the image is disabled.");
  }
}

std::vector<TierDetails> describe_tiers(Region& region, const Principal& caller) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    std::map<std::string, SnapshotTier> tiers;
    for (auto& tier : catalog::snapshot_tiers(txn, region.name)) tiers[tier.snapshot_id] = std::move(tier);
    std::map<std::string, std::vector<catalog::Tag>> tags;
    for (auto& tag : all_tags(txn, region, caller.account)) tags[tag.resource_id].push_back(std::move(tag));
    std::vector<TierDetails> details;
    for (auto& snapshot : catalog::snapshots_of(txn, region.name, caller.account)) {
      if (snapshot.state == "recoverable") continue;
      auto& entry = details.emplace_back();
      if (const auto found = tiers.find(snapshot.id); found != tiers.end()) entry.tier = std::move(found->second);
      entry.tags = tags[snapshot.id];
      entry.snapshot = std::move(snapshot);
    }
    return details;
  });
}

bool is_archived(Txn& txn, const Region& region, const std::string& snapshot_id) {
  const auto tier = catalog::find_snapshot_tier(txn, region.name, snapshot_id);
  return tier && tier->tier == "archive";
}

void check_not_archived(Txn& txn, const Region& region, const std::string& snapshot_id) {
  if (!is_archived(txn, region, snapshot_id)) return;
  throw ApiError("IncorrectState", "The snapshot '" + snapshot_id +
                                       "' is in the archive tier. Restore it to the standard tier before you use it.");
}

void refuse_archived_to_ebs(Txn& txn, const Region& region, const std::string& snapshot_id) {
  try {
    check_not_archived(txn, region, snapshot_id);
  } catch (const ApiError& refusal) {
    refuse_ebs(refusal.what(), "INVALID_SNAPSHOT_ID");
  }
}

void drop_archive(Txn& txn, Region& region, const std::string& snapshot_id) {
  const auto tier = catalog::find_snapshot_tier(txn, region.name, snapshot_id);
  // Also of one that is being archived: its job finds no row any more, and this one comes after it.
  if (tier) start_tier_job(txn, region, tier_job::remove, snapshot_id);
}

void end_temporary_restores(Region& region) {
  const auto now = region.clock.now();
  const auto due = catalog::in_read(region.catalog, [&](Txn& txn) {
    return catalog::select<SnapshotTier>(txn, "WHERE region = $1 AND restore_expires <= $2 ORDER BY snapshot_id",
                                         {region.name, now});
  });
  for (const auto& each : due) {
    region.catalog.run_in_txn([&](Txn& txn) {
      auto tier = catalog::find_snapshot_tier(txn, region.name, each.snapshot_id);
      if (!tier || !tier->restore_expires || *tier->restore_expires > now) return;
      const auto users = catalog::images_using_snapshot(txn, region.name, each.snapshot_id);
      if (std::ranges::any_of(users, [](const auto& image) { return image.state != "disabled"; })) return;
      tier->tier = "archive";
      tier->operation = operation_text(tier_operation::archival, tier_operation::completed);
      tier->archived = now;
      tier->restore_days.reset();
      tier->restore_expires.reset();
      catalog::update(txn, *tier);
      catalog::drop_roots(txn, region.name, "snapshot", each.snapshot_id);
      end_fast_restores(txn, region, each.snapshot_id);
      base::log_info("control", "{}: its temporary restore is over", each.snapshot_id);
    });
  }
}

}  // namespace kiln::control
