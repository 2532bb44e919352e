#pragma once
// The recycle bin: images that were deregistered and snapshots that were deleted, kept for as long as a rule of their
// account says, from where they can be restored (recycle_rules.h has the rules).
//
// In the bin a thing keeps its row, tags and shares, and a snapshot its blocks; it is listed here alone and used by
// nobody. An image does not keep its snapshots from being deleted, and its name is free: both have to be there again
// before it is restored. When its time is over it goes as if there had been no rule: nothing brings it back, and
// nothing makes it go earlier.
//
// Rows only, so a crash leaves a thing in the bin or out of it.

#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "control/region.h"

namespace kiln::control {

// In the transaction that deletes it: whether a rule keeps it, and then it is in the bin. Of an image that is available
// or disabled, and a snapshot that is completed.
bool recycle_image(catalog::Txn& txn, Region& region, catalog::Image image);
bool recycle_snapshot(catalog::Txn& txn, Region& region, catalog::Snapshot snapshot);

template <class Row>
struct InBin {
  Row row;
  base::Micros entered = 0, exits = 0;
};
// The caller's, by id; all of them when ids is empty. Throw InvalidAMIID.NotFound, InvalidSnapshot.NotFound for what is
// not in the bin.
std::vector<InBin<catalog::Image>> images_in_bin(Region& region, const Principal& caller,
                                                 const std::vector<std::string>& ids);
std::vector<InBin<catalog::Snapshot>> snapshots_in_bin(Region& region, const Principal& caller,
                                                       const std::vector<std::string>& ids);

// Besides these: InvalidAMIName.Duplicate, and InvalidSnapshot.NotFound while a snapshot of the image is not there.
void restore_image(Region& region, const Principal& caller, const std::string& id);
catalog::Snapshot restore_snapshot(Region& region, const Principal& caller, const std::string& id);

// Ends what has been there for its time. Called every second.
void empty_recycle_bin(Region& region);

}  // namespace kiln::control
