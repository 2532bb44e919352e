#pragma once
// Fast snapshot restore: the chunks of a snapshot are held ready, decoded, in the host's slot cache, so that a volume
// made from it reads nothing from the store.
//
//   fast-restores   pin: the slots of all snapshots that are wanted, and of no others -> warm: what is not there is
//                   brought -> show: enabled, disabled                    subject: one for a region
//
// States are of a snapshot, a zone and the account that asked: enabling, optimizing while slots are filled, enabled;
// disabling, disabled. All zones of a region are on one host, so a slot is pinned while any of them wants it. Pinned
// are at most half of the cache's budget (blocks/slot_pins.h); what would not fit is refused. The job makes the pins
// what the rows say, whatever they were: it runs again after a crash, and once at start. A snapshot that cannot be
// brought near, for want of its key or for damage, is disabled, with the reason. Archiving or deleting a snapshot ends
// it too, also when the recycle bin keeps it.
//
// Request functions run on request threads and throw ApiError with AWS's codes.

#include <string>
#include <vector>

#include "catalog/lifecycle.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

struct FastRestoreWish {
  std::vector<std::string> snapshot_ids, zones;
};
struct FastRestoreRefusal {
  std::string snapshot_id, zone, code, message;
};
struct FastRestoreOutcome {
  std::vector<catalog::FastRestore> successful;
  std::vector<FastRestoreRefusal> unsuccessful;
};
// Of snapshots that the caller may make volumes of. Throw MissingParameter, InvalidZone.NotFound,
// InvalidSnapshot.NotFound; what the state of one stands against is in the outcome.
FastRestoreOutcome enable_fast_restores(Region& region, const Principal& caller, const FastRestoreWish& wish);
FastRestoreOutcome disable_fast_restores(Region& region, const Principal& caller, const FastRestoreWish& wish);

// Those that the caller asked for, and those of its snapshots.
std::vector<catalog::FastRestore> describe_fast_restores(Region& region, const Principal& caller);

// Whether a volume that the account makes in the zone finds the snapshot's chunks held ready.
bool is_fast_restored(catalog::Txn& txn, const Region& region, const std::string& snapshot_id, const std::string& zone,
                      const std::string& account);

// In the transaction that archives or deletes the snapshot, before its row goes.
void end_fast_restores(catalog::Txn& txn, Region& region, const std::string& snapshot_id);

// Called once at start, before runner.run(). regions must outlive runner.
void add_fast_restore_jobs(jobs::Runner& runner, Regions& regions);
// At start, after the jobs were added: the cache may have been emptied while no daemon ran.
void resume_fast_restores(Region& region);

}  // namespace kiln::control
