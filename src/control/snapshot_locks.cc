#include "control/snapshot_locks.h"

#include <algorithm>

#include "base/api_error.h"
#include "control/snapshots.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Micros;
using catalog::Snapshot;
using catalog::SnapshotLock;

constexpr Micros hour = base::seconds(3600), day = base::seconds(86'400);
constexpr int most_days = 36'500, most_cool_off_hours = 72;

LockDetails details_of(Snapshot snapshot, const SnapshotLock& lock, Micros now) {
  LockDetails details{.snapshot = std::move(snapshot), .lock = lock, .state = lock.mode};
  if (lock.counted_from != 0) {
    details.counted_from = lock.counted_from;
    details.expires = lock.expires;
  } else if (details.snapshot.completed) {
    details.counted_from = details.snapshot.completed;
    details.expires = *details.counted_from + lock.duration_days * day;
  }
  if (lock.cool_off_hours) details.cool_off_expires = lock.created + *lock.cool_off_hours * hour;
  if (details.expires && *details.expires <= now) {
    details.state = "expired";
  } else if (details.cool_off_expires && *details.cool_off_expires > now) {
    details.state = "compliance-cooloff";
  }
  return details;
}

void check(const NewLock& what, Micros now) {
  if (what.mode != "governance" && what.mode != "compliance") {
    throw ApiError("InvalidParameterValue", "Value (" + what.mode +
                                                ") for parameter lockMode is invalid. Expected: 'governance' or "
                                                "'compliance'.");
  }
  if (what.duration_days && what.expiration) {
    throw ApiError("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate, and not both.");
  }
  if (!what.duration_days && !what.expiration) {
    throw ApiError("MissingParameter", "The request must contain the parameter LockDuration or ExpirationDate");
  }
  if (what.duration_days && (*what.duration_days < 1 || *what.duration_days > most_days)) {
    throw ApiError("InvalidParameterValue", "The lock duration must be between 1 and 36500 days.");
  }
  if (what.expiration && (*what.expiration < now + day || *what.expiration > now + most_days * day)) {
    throw ApiError("InvalidParameterValue", "The expiration date must be between a day and 36500 days from now.");
  }
  if (!what.cool_off_hours) return;
  if (what.mode != "compliance") {
    throw ApiError("InvalidParameterCombination", "Only a lock in compliance mode has a cooling-off period.");
  }
  if (*what.cool_off_hours < 1 || *what.cool_off_hours > most_cool_off_hours) {
    throw ApiError("InvalidParameterValue", "The cooling-off period must be between 1 and 72 hours.");
  }
}

SnapshotLock new_row(const Snapshot& snapshot, const NewLock& what, Micros now) {
  SnapshotLock row{.region = snapshot.region,
                   .snapshot_id = snapshot.id,
                   .mode = what.mode,
                   .duration_days = what.duration_days.value_or(0),
                   .created = now};
  if (what.cool_off_hours) row.cool_off_hours = *what.cool_off_hours;
  if (what.expiration) {
    row.counted_from = now;
    row.expires = *what.expiration;
    row.duration_days = (row.expires - now + day - 1) / day;
  } else if (snapshot.completed) {
    row.counted_from = now;
    row.expires = now + row.duration_days * day;
  }
  return row;
}

// What a lock in compliance mode lets its owner make of it once it has cooled off.
void check_longer(const LockDetails& old, const NewLock& what, const LockDetails& made) {
  if (old.state != "compliance") return;
  const bool shorter = old.expires && made.expires && *made.expires < *old.expires;
  if (what.mode == "compliance" && !what.cool_off_hours && !shorter) return;
  throw ApiError("OperationNotPermitted", "The snapshot " + old.snapshot.id +
                                              " is locked in compliance mode: its lock can only be made longer.");
}

}  // namespace

LockDetails lock_snapshot(Region& region, const Principal& caller, const std::string& id, const NewLock& what) {
  const auto now = region.clock.now();
  check(what, now);
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto snapshot = snapshot_of(txn, region, caller.account, id);
    if (snapshot.state == "error") {
      throw ApiError("IncorrectState", "Snapshot is in invalid state - " + snapshot.state);
    }
    auto row = new_row(snapshot, what, now);
    if (const auto old = catalog::find_snapshot_lock(txn, region.name, id)) {
      const auto was = details_of(snapshot, *old, now);
      check_longer(was, what, details_of(snapshot, row, now));
      // The cooling-off period began with the lock.
      if (was.state == "compliance-cooloff" && row.mode == "compliance") {
        row.created = old->created;
        if (!row.cool_off_hours) row.cool_off_hours = old->cool_off_hours;
      }
      if (was.state == "compliance") {
        row.created = old->created;
        row.cool_off_hours = old->cool_off_hours;
      }
    }
    catalog::upsert(txn, row);
    return details_of(snapshot, row, now);
  });
}

void unlock_snapshot(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    const auto snapshot = snapshot_of(txn, region, caller.account, id);
    const auto lock = catalog::find_snapshot_lock(txn, region.name, id);
    if (!lock) throw ApiError("IncorrectState", "The snapshot " + id + " is not locked.");
    if (details_of(snapshot, *lock, region.clock.now()).state == "compliance") {
      throw ApiError("OperationNotPermitted",
                     "The snapshot " + id + " is locked in compliance mode and cannot be unlocked.");
    }
    catalog::remove(txn, *lock);
  });
}

std::vector<LockDetails> describe_locks(Region& region, const Principal& caller, const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    std::vector<Snapshot> snapshots;
    for (const auto& id : ids) snapshots.push_back(snapshot_of(txn, region, caller.account, id));
    if (ids.empty()) {
      snapshots = catalog::select<Snapshot>(txn,
                                            "WHERE region = $1 AND account = $2 AND state <> 'recoverable' AND id IN "
                                            "(SELECT snapshot_id FROM snapshot_lock WHERE region = $1) ORDER BY id",
                                            {region.name, caller.account});
    }
    std::vector<LockDetails> locks;
    for (auto& snapshot : snapshots) {
      const auto lock = catalog::find_snapshot_lock(txn, region.name, snapshot.id);
      if (lock) locks.push_back(details_of(std::move(snapshot), *lock, region.clock.now()));
    }
    return locks;
  });
}

bool is_locked(catalog::Txn& txn, const Region& region, const Snapshot& snapshot) {
  const auto lock = catalog::find_snapshot_lock(txn, region.name, snapshot.id);
  return lock && details_of(snapshot, *lock, region.clock.now()).state != "expired";
}

}  // namespace kiln::control
