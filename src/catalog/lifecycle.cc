#include "catalog/lifecycle.h"

namespace kiln::catalog {

std::optional<SnapshotLock> find_snapshot_lock(Txn& txn, const std::string& region, const std::string& snapshot_id) {
  return select_one<SnapshotLock>(txn, "WHERE region = $1 AND snapshot_id = $2", {region, snapshot_id});
}

std::optional<SnapshotTier> find_snapshot_tier(Txn& txn, const std::string& region, const std::string& snapshot_id) {
  return select_one<SnapshotTier>(txn, "WHERE region = $1 AND snapshot_id = $2", {region, snapshot_id});
}

std::vector<SnapshotTier> snapshot_tiers(Txn& txn, const std::string& region) {
  return select<SnapshotTier>(txn, "WHERE region = $1 ORDER BY snapshot_id", {region});
}

std::vector<FastRestore> fast_restores(Txn& txn, const std::string& region) {
  return select<FastRestore>(txn, "WHERE region = $1 ORDER BY snapshot_id, zone, account", {region});
}

std::optional<UsageReport> find_usage_report(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<UsageReport>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<UsageReport> usage_reports_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<UsageReport>(txn, "WHERE region = $1 AND account = $2 ORDER BY created, id", {region, account});
}

std::vector<UsageReportEntry> usage_report_entries(Txn& txn, const std::string& region, const std::string& report_id) {
  return select<UsageReportEntry>(txn, "WHERE region = $1 AND report_id = $2 ORDER BY account, resource_type",
                                  {region, report_id});
}

SharingSettings sharing_settings_of(Txn& txn, const std::string& region, const std::string& account) {
  return select_one<SharingSettings>(txn, "WHERE region = $1 AND account = $2", {region, account})
      .value_or(SharingSettings{.region = region, .account = account, .image_criteria = {}});
}

std::optional<Recycled> find_recycled(Txn& txn, const std::string& region, const std::string& resource_id) {
  return select_one<Recycled>(txn, "WHERE region = $1 AND resource_id = $2", {region, resource_id});
}

std::vector<Recycled> recycled_of(Txn& txn, const std::string& region, const std::string& account,
                                  const std::string& resource_type) {
  return select<Recycled>(txn, "WHERE region = $1 AND account = $2 AND resource_type = $3 ORDER BY resource_id",
                          {region, account, resource_type});
}

std::vector<Recycled> recycled_until(Txn& txn, const std::string& region, base::Micros now) {
  return select<Recycled>(txn, "WHERE region = $1 AND exits <= $2 ORDER BY resource_id", {region, now});
}

std::optional<RecycleRule> find_recycle_rule(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<RecycleRule>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<RecycleRule> recycle_rules_of(Txn& txn, const std::string& region, const std::string& account,
                                          const std::string& resource_type) {
  return select<RecycleRule>(txn, "WHERE region = $1 AND account = $2 AND resource_type = $3 ORDER BY id",
                             {region, account, resource_type});
}

std::vector<RecycleRuleTag> recycle_rule_tags(Txn& txn, const std::string& region, const std::string& rule_id) {
  return select<RecycleRuleTag>(txn, "WHERE region = $1 AND rule_id = $2 ORDER BY kind, key, value", {region, rule_id});
}

}  // namespace kiln::catalog
