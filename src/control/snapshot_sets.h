#pragma once
// Snapshots of an instance's volumes at one point in time.
//
// create_snapshots writes the rows, the tags and a create-snapshot job for each in one transaction, then cuts all the
// volumes at once: when it returns the point in time is fixed. Nothing is stored before all of the cuts are on disk,
// and when one of the snapshots fails those that are still pending fail with it. A daemon that dies before the cut
// leaves errors: the call was never answered. Afterwards each is a snapshot like any other.

#include <map>
#include <string>
#include <vector>

#include "control/snapshots.h"

namespace kiln::control {

enum class CopyTags { no, from_volume };

struct NewSnapshotSet {
  std::string instance_id;
  bool exclude_boot_volume = false;
  std::vector<std::string> exclude_data_volume_ids = {};
  std::string description = {};
  CopyTags copy_tags = CopyTags::no;
  std::map<std::string, std::string> tags = {};  // of all of them; stronger than copied ones
};
// In the order of the instance's devices. On a request thread; throws ApiError.
std::vector<SnapshotDetails> create_snapshots(Region& region, const Principal& caller, const NewSnapshotSet& what);

}  // namespace kiln::control
