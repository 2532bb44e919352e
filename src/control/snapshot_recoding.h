#pragma once
// Encrypted copies of snapshots within a region. A copy for the key that its source is encrypted by shares the source's
// disk; for another key, or of a plain source, every chunk is stored anew in the key's domain.
//
//   recode-snapshot  recode: key looked for, disk stored, committed
//                    (failed: error, with the reason; AWS's when the key cannot be used)
//   subject: one of two, so that two are made at a time
//
// The disk of the source is held by a root row of kind recoded until then, so that the source may be deleted. A pending
// snapshot that is deleted takes its job with it.

#include <string>

#include "catalog/snapshots.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// In the transaction that inserts the pending row of the copy.
void start_recoding(catalog::Txn& txn, Region& region, const catalog::Snapshot& copy, const catalog::Snapshot& source);
// In the transaction that removes the copy's row.
void drop_recoded_root(catalog::Txn& txn, const Region& region, const std::string& snapshot_id);

// Called once at start, before runner.run(). regions must outlive runner.
void add_recoding_jobs(jobs::Runner& runner, Regions& regions);

}  // namespace kiln::control
