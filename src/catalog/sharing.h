#pragma once
// Whom snapshots are shared with, and which organisations an account belongs to. Launch permissions of images have the
// same kinds and values, and are in images.h.

#include "catalog/snapshots.h"

namespace kiln::catalog {

struct SnapshotPermission {
  std::string region, snapshot_id;
  std::string kind;   // account, group
  std::string value;  // 12 digits, or "all"
};

// Not regional. Of the configuration, at every start; of organisations (organizations.h), when an account joins, moves
// or leaves.
struct AccountMembership {
  std::string account;
  std::string arn;  // of an organisation, or of a unit of one: those above a unit have rows of their own
};

std::vector<SnapshotPermission> snapshot_permissions(Txn& txn, const std::string& region,
                                                     const std::string& snapshot_id);
// Whether the snapshot is public or shared with the account; says nothing of its owner. A public one whose owner blocks
// all public sharing is not public.
bool has_snapshot_permission(Txn& txn, const std::string& region, const std::string& snapshot_id,
                             const std::string& account);
// Own snapshots, and those that the account is permitted to use; without those in the recycle bin. Oldest first.
std::vector<Snapshot> snapshots_visible_to(Txn& txn, const std::string& region, const std::string& account);
// In place of all that it has.
void set_memberships(Txn& txn, const std::string& account, const std::vector<std::string>& arns);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::SnapshotPermission, "snapshot_permission", 4, region, snapshot_id, kind, value)
KILN_ROW(kiln::catalog::AccountMembership, "account_membership", 2, account, arn)
