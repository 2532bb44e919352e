#pragma once
// Snapshots that one account shares with others, who may make volumes, copies and images of them, and read them block
// by block. The snapshot stays its owner's: nobody else changes or deletes it, and its tags are not shown.
//
// Request functions run on request threads, are one transaction each, and throw ApiError. To those whom it is not
// shared with a snapshot is as one that does not exist.

#include <string>
#include <vector>

#include "catalog/sharing.h"
#include "control/region.h"
#include "control/sharing.h"

namespace kiln::control {

// In a transaction: the account owns it, or it is shared with it. The recycle bin's are nobody's.
bool may_read_snapshot(catalog::Txn& txn, const Region& region, const std::string& account,
                       const catalog::Snapshot& snapshot);
// The row. Throws what snapshot_of() throws (snapshots.h).
catalog::Snapshot readable_snapshot(catalog::Txn& txn, const Region& region, const std::string& account,
                                    const std::string& id);

// Of the caller's own snapshots.
std::vector<catalog::SnapshotPermission> snapshot_permissions(Region& region, const Principal& caller,
                                                              const std::string& id);
// Throws what check_snapshot_grantees() throws, and OperationNotPermitted for an encrypted snapshot: by the account's
// default key to anybody, by any key to all; and while block public access forbids the latter.
void share_snapshot_rows(catalog::Txn& txn, const Region& region, const catalog::Snapshot& snapshot,
                         const ShareChanges& changes);  // in a transaction, of a row that was read in it
void share_snapshot(Region& region, const Principal& caller, const std::string& id, const ShareChanges& changes);
void reset_snapshot_permissions(Region& region, const Principal& caller, const std::string& id);

}  // namespace kiln::control
