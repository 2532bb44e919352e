#pragma once
// The recycle bin: images that were deregistered, and snapshots and volumes that were deleted, kept for as long as a
// rule of their account says, from where they can be restored (recycle_rules.h has the rules).
//
// In the bin a thing keeps its row, tags and shares, a snapshot its blocks and a volume its files; it is listed here
// alone and used by nobody. A volume comes here from its instance too, when that is terminated and takes it along. An
// image does not keep its snapshots from being deleted, and its name is free: both have to be there again before it is
// restored. When its time is over it goes as if there had been no rule: nothing brings it back, and nothing makes it go
// earlier.
//
// Rows only, so a crash leaves a thing in the bin or out of it.

#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"
#include "control/region.h"

namespace kiln::control {

// In the transaction that deletes it: whether a rule keeps it, and then it is in the bin. Of an image that is available
// or disabled, a snapshot that is completed, and a volume that is available or in use; its attachment goes.
bool recycle_image(catalog::Txn& txn, Region& region, catalog::Image image);
bool recycle_snapshot(catalog::Txn& txn, Region& region, catalog::Snapshot snapshot);
bool recycle_volume(catalog::Txn& txn, Region& region, catalog::Volume volume);

template <class Row>
struct InBin {
  Row row;
  base::Micros entered = 0, exits = 0;
};
// The caller's, by id; all of them when ids is empty. Throw InvalidAMIID.NotFound, InvalidSnapshot.NotFound,
// InvalidVolume.NotFound for what is not in the bin.
std::vector<InBin<catalog::Image>> images_in_bin(Region& region, const Principal& caller,
                                                 const std::vector<std::string>& ids);
std::vector<InBin<catalog::Snapshot>> snapshots_in_bin(Region& region, const Principal& caller,
                                                       const std::vector<std::string>& ids);
std::vector<InBin<catalog::Volume>> volumes_in_bin(Region& region, const Principal& caller,
                                                   const std::vector<std::string>& ids);

// Besides these: InvalidAMIName.Duplicate, and InvalidSnapshot.NotFound while a snapshot of the image is not there.
void restore_image(Region& region, const Principal& caller, const std::string& id);
catalog::Snapshot restore_snapshot(Region& region, const Principal& caller, const std::string& id);
void restore_volume(Region& region, const Principal& caller, const std::string& id);  // available again

// Ends what has been there for its time: rows at once, a volume's files in a job. Called every second.
void empty_recycle_bin(Region& region);

}  // namespace kiln::control
