#include "catalog/sharing.h"

namespace kiln::catalog {

std::vector<SnapshotPermission> snapshot_permissions(Txn& txn, const std::string& region,
                                                     const std::string& snapshot_id) {
  return select<SnapshotPermission>(txn, "WHERE region = $1 AND snapshot_id = $2 ORDER BY kind, value",
                                    {region, snapshot_id});
}

bool has_snapshot_permission(Txn& txn, const std::string& region, const std::string& snapshot_id,
                             const std::string& account) {
  return !txn.query(
                 "SELECT 1 FROM snapshot_permission WHERE region = $1 AND snapshot_id = $2 AND "
                 "((kind = 'account' AND value = $3) OR (kind = 'group' AND value = 'all' AND NOT EXISTS "
                 "(SELECT 1 FROM snapshot JOIN sharing_settings ON sharing_settings.region = snapshot.region AND "
                 "sharing_settings.account = snapshot.account WHERE snapshot.region = $1 AND snapshot.id = $2 AND "
                 "sharing_settings.snapshot_block = 'block-all-sharing')))",
                 {region, snapshot_id, account})
              .empty();
}

std::vector<Snapshot> snapshots_visible_to(Txn& txn, const std::string& region, const std::string& account) {
  return select<Snapshot>(txn,
                          "WHERE region = $1 AND state <> 'recoverable' AND (account = $2 OR id IN "
                          "(SELECT snapshot_id FROM snapshot_permission WHERE region = $1 AND kind = 'account' AND "
                          "value = $2) OR (id IN (SELECT snapshot_id FROM snapshot_permission WHERE region = $1 AND "
                          "kind = 'group' AND value = 'all') AND account NOT IN (SELECT account FROM sharing_settings "
                          "WHERE region = $1 AND snapshot_block = 'block-all-sharing'))) ORDER BY started, id",
                          {region, account});
}

void set_memberships(Txn& txn, const std::string& account, const std::vector<std::string>& arns) {
  txn.execute("DELETE FROM account_membership WHERE account = $1", {account});
  for (const auto& arn : arns) upsert(txn, AccountMembership{.account = account, .arn = arn});
}

}  // namespace kiln::catalog
