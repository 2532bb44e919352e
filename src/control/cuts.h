#pragma once
// Cuts: the point in time of pending snapshots.
//
// The cut of a snapshot has the snapshot's id as its name, so asking again finds it. Called by requests and jobs; waits
// for disks and sockets.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "catalog/snapshots.h"
#include "control/region.h"

namespace kiln::control {

// Cuts the volumes of the snapshots at one moment; they are volumes of one instance, or it is one volume. generations
// is told which one each snapshot is. The cut is durable when nobody serves the volumes; otherwise step "durable" of
// create-snapshot waits for that. busy: trying again helps.
base::Status cut_together(Region& region, const std::vector<catalog::Snapshot>& snapshots,
                          std::map<std::string, std::uint64_t>& generations);

// The same for a request that has written the rows: on its own thread, so that no upload that is under way delays the
// point in time. The rows know their generations when it returns, or are
// errors because the key of a volume is not to be had. When it throws (InternalError) those that were
// pending are errors.
void cut_for_request(Region& region, const std::vector<catalog::Snapshot>& snapshots);

}  // namespace kiln::control
