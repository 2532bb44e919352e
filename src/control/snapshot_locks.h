#pragma once
// Locks of snapshots: for their time nobody deletes the snapshot, whatever they are allowed to do.
//
//   governance   may be changed and taken away by its owner
//   compliance   the same during its cool-off period; afterwards it can only be made longer
//
// An expired lock stays described and forbids nothing. Request functions run on request threads, are one transaction
// each, and throw ApiError: what snapshot_of() throws (snapshots.h), and what is said below.

#include <optional>
#include <string>
#include <vector>

#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "control/region.h"

namespace kiln::control {

struct NewLock {
  std::string mode;                             // governance, compliance
  std::optional<int> cool_off_hours = {};       // 1 to 72, of compliance
  std::optional<int> duration_days = {};        // 1 to 36,500: this,
  std::optional<base::Micros> expiration = {};  // or this, a day from now or later
};

struct LockDetails {
  catalog::Snapshot snapshot;
  catalog::SnapshotLock lock;
  std::string state;  // governance, compliance, compliance-cooloff, expired
  // A lock for a number of days, on a snapshot that is pending, counts from its completion: none until then.
  std::optional<base::Micros> counted_from, expires, cool_off_expires;
};

// Locks, or changes the lock. Throws InvalidParameterValue, MissingParameter, InvalidParameterCombination; and
// OperationNotPermitted for what a lock in compliance mode does not allow.
LockDetails lock_snapshot(Region& region, const Principal& caller, const std::string& id, const NewLock& what);
// Throws OperationNotPermitted, and IncorrectState when it is not locked.
void unlock_snapshot(Region& region, const Principal& caller, const std::string& id);
// Of the caller's snapshots, by id; all that were ever locked when ids is empty.
std::vector<LockDetails> describe_locks(Region& region, const Principal& caller, const std::vector<std::string>& ids);

// In a transaction: whether it must not be deleted.
bool is_locked(catalog::Txn& txn, const Region& region, const catalog::Snapshot& snapshot);

}  // namespace kiln::control
