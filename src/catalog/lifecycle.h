#pragma once
// What keeps images and snapshots from being deleted or shared, and where they wait after they were deleted.

#include "catalog/table.h"

namespace kiln::catalog {

// Of one snapshot, until it is unlocked or deleted. An expired lock stays, and forbids nothing.
struct SnapshotLock {
  std::string region, snapshot_id;
  std::string mode;  // governance, compliance
  std::int64_t duration_days = 0;
  std::optional<std::int64_t> cool_off_hours;  // of compliance: may be undone for so long after created
  base::Micros created = 0;
  base::Micros counted_from = 0;  // the duration: created, or the completion of a snapshot that was pending then
  base::Micros expires = 0;
};

// Of an account in a region. No row: nothing is blocked, every image is allowed.
struct SharingSettings {
  std::string region, account;
  std::string image_block = "unblocked";     // block-new-sharing, unblocked
  std::string snapshot_block = "unblocked";  // block-all-sharing, block-new-sharing, unblocked
  std::string allowed_images = "disabled";   // enabled, audit-mode, disabled
  std::string image_criteria;                // JSON; empty: none
};

// An image, a snapshot or a volume in the recycle bin. Its own row stays, as deregistered or recoverable.
struct Recycled {
  std::string region, resource_id;
  std::string account, resource_type;  // EC2_IMAGE, EBS_SNAPSHOT, EBS_VOLUME
  std::string state;                   // that it had, and has again when it is restored
  base::Micros entered = 0, exits = 0;
};

struct RecycleRule {
  std::string region, id;
  std::string account, resource_type, description;
  std::int64_t retention_days = 0;
  bool locked = false;
  std::optional<std::int64_t> unlock_delay_days;  // of a locked one
  std::optional<base::Micros> unlocks;            // of one whose unlocking was asked for
  base::Micros created = 0;
};

struct RecycleRuleTag {
  std::string region, rule_id;
  std::string kind;        // include, exclude: of resources; tag: of the rule itself
  std::string key, value;  // an empty value of include and exclude: any
};

// Of a snapshot that was to be archived once. No row, and one of tier standard without a restore's end: its disk is a
// root as any.
struct SnapshotTier {
  std::string region, snapshot_id;
  std::string tier = "standard";         // archive: its disk is in its archive alone
  std::string operation;                 // the last one, as DescribeSnapshotTierStatus writes it: archival-completed
  std::string detail;                    // why it failed
  std::int64_t progress = 0;             // of it, in percent
  base::Micros started = 0;              // it
  std::optional<base::Micros> archived;  // the last archival was completed
  std::optional<std::int64_t> restore_days;     // of a temporary restore
  std::optional<base::Micros> restore_expires;  // from when on the disk is in the archive alone again
  std::int64_t archive_bytes = 0;               // of the archive's file; 0: there is none
  std::string damage;                           // what was last found wrong with the archive
};

// Of a snapshot in a zone, for the volumes of the account that asked for it.
struct FastRestore {
  std::string region, snapshot_id, zone, account;
  std::string state;   // enabling optimizing enabled disabling disabled
  std::string reason;  // of the last change of it
  base::Micros enabling = 0;
  std::optional<base::Micros> optimizing, enabled, disabling, disabled;  // when it was last entered
};

// Who uses an image, as it was when the report was made.
struct UsageReport {
  std::string region, id;
  std::string account, image_id;
  std::string state;           // available
  std::string resource_types;  // as asked for: "ec2:Instance ec2:LaunchTemplate,version-depth,20"
  std::string account_ids;     // as asked for, with a space between; empty: all
  base::Micros created = 0, expires = 0;
};
struct UsageReportEntry {
  std::string region, report_id;
  std::string account, resource_type;
  std::int64_t count = 0;
};

std::optional<SnapshotLock> find_snapshot_lock(Txn& txn, const std::string& region, const std::string& snapshot_id);
std::optional<SnapshotTier> find_snapshot_tier(Txn& txn, const std::string& region, const std::string& snapshot_id);
std::vector<SnapshotTier> snapshot_tiers(Txn& txn, const std::string& region);  // by snapshot
std::vector<FastRestore> fast_restores(Txn& txn, const std::string& region);    // by snapshot, zone, account
std::optional<UsageReport> find_usage_report(Txn& txn, const std::string& region, const std::string& id);
// Oldest first.
std::vector<UsageReport> usage_reports_of(Txn& txn, const std::string& region, const std::string& account);
// By account and type.
std::vector<UsageReportEntry> usage_report_entries(Txn& txn, const std::string& region, const std::string& report_id);
SharingSettings sharing_settings_of(Txn& txn, const std::string& region, const std::string& account);

std::optional<Recycled> find_recycled(Txn& txn, const std::string& region, const std::string& resource_id);
// By id.
std::vector<Recycled> recycled_of(Txn& txn, const std::string& region, const std::string& account,
                                  const std::string& resource_type);
std::vector<Recycled> recycled_until(Txn& txn, const std::string& region, base::Micros now);

std::optional<RecycleRule> find_recycle_rule(Txn& txn, const std::string& region, const std::string& id);
// By id.
std::vector<RecycleRule> recycle_rules_of(Txn& txn, const std::string& region, const std::string& account,
                                          const std::string& resource_type);
std::vector<RecycleRuleTag> recycle_rule_tags(Txn& txn, const std::string& region, const std::string& rule_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::SnapshotLock, "snapshot_lock", 2, region, snapshot_id, mode, duration_days, cool_off_hours,
         created, counted_from, expires)
KILN_ROW(kiln::catalog::SnapshotTier, "snapshot_tier", 2, region, snapshot_id, tier, operation, detail, progress,
         started, archived, restore_days, restore_expires, archive_bytes, damage)
KILN_ROW(kiln::catalog::FastRestore, "fast_restore", 4, region, snapshot_id, zone, account, state, reason, enabling,
         optimizing, enabled, disabling, disabled)
KILN_ROW(kiln::catalog::UsageReport, "usage_report", 2, region, id, account, image_id, state, resource_types,
         account_ids, created, expires)
KILN_ROW(kiln::catalog::UsageReportEntry, "usage_report_entry", 4, region, report_id, account, resource_type, count)
KILN_ROW(kiln::catalog::SharingSettings, "sharing_settings", 2, region, account, image_block, snapshot_block,
         allowed_images, image_criteria)
KILN_ROW(kiln::catalog::Recycled, "recycled", 2, region, resource_id, account, resource_type, state, entered, exits)
KILN_ROW(kiln::catalog::RecycleRule, "recycle_rule", 2, region, id, account, resource_type, description, retention_days,
         locked, unlock_delay_days, unlocks, created)
KILN_ROW(kiln::catalog::RecycleRuleTag, "recycle_rule_tag", 5, region, rule_id, kind, key, value)
