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
                 "((kind = 'group' AND value = 'all') OR (kind = 'account' AND value = $3))",
                 {region, snapshot_id, account})
              .empty();
}

void set_memberships(Txn& txn, const std::string& account, const std::vector<std::string>& arns) {
  txn.execute("DELETE FROM account_membership WHERE account = $1", {account});
  for (const auto& arn : arns) upsert(txn, AccountMembership{.account = account, .arn = arn});
}

}  // namespace kiln::catalog
