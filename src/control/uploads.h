#pragma once
// Bringing cuts into the block store: compose, store, verify, commit, rebase.
//
// Called by steps of jobs whose subject is the volume, so one upload of a volume runs at a time. Cuts are uploaded
// oldest first, whatever order their jobs came in: upload_cut also uploads the older ones that it finds, and theirs
// find that done. The commit is one transaction: every pack that the new tree refers to is live, the snapshot's root
// and the volume's new root are there, the snapshot is completed, and an image whose last snapshot it was is available.
// After a crash at any point the step runs again: chunks that were stored are found again, or their packs are
// collected.

#include <string>

#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// Returns when the snapshot is completed and the volume stands on it. Throws jobs::Retry when somebody else has the
// volume open, std::runtime_error when the cut cannot be uploaded. A snapshot that is no longer pending is left alone.
void upload_cut(Region& region, jobs::Context& job, const std::string& volume_id, const std::string& snapshot_id);

// The same for a snapshot that a client wrote (snapshot_writes.h), whose head ends with it: nothing stands on it.
void store_started(Region& region, jobs::Context& job, const std::string& snapshot_id);

// The cut is read through from now on as if it had not been made; its volume may have gone. Throws jobs::Retry.
void give_up_cut(Region& region, const std::string& volume_id, const std::string& snapshot_id);

}  // namespace kiln::control
