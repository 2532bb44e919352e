#pragma once
// Copies of snapshots within their region: a row of its own for the same disk, which takes no time and no space.
//
// Content is shared by all disks of a region's store, so a copy holds the root of its source, and both can be deleted
// in any order. On a request thread; one transaction; throws ApiError with AWS's codes.

#include <map>
#include <string>

#include "control/snapshots.h"

namespace kiln::control {

struct NewSnapshotCopy {
  std::string source_region, source_snapshot_id;
  std::string description = {};  // empty: says what it is a copy of
  std::map<std::string, std::string> tags = {};
};
// Completed when it returns. UnsupportedOperation for another region's.
SnapshotDetails copy_snapshot(Region& region, const Principal& caller, const NewSnapshotCopy& what);

}  // namespace kiln::control
