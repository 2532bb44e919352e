#pragma once
// How much space what takes: images, snapshots and the store as a whole; and whether all of it can be read.
//
// Called on a CLI request's thread; walks every tree, and verify reads every byte. Reads only. Throws
// std::runtime_error when a tree cannot be read.

#include <functional>
#include <string>
#include <vector>

#include "blocks/mark.h"
#include "blocks/verify.h"
#include "catalog/blocks.h"
#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "control/region.h"

namespace kiln::control {

struct SnapshotUsage {
  catalog::Snapshot snapshot;
  blocks::RootUsage bytes;
};
struct ImageUsage {
  catalog::Image image;
  blocks::RootUsage bytes;  // summed over its snapshots; exclusive: what would go with all of them
};
struct Usage {
  std::vector<ImageUsage> images;
  std::vector<SnapshotUsage> snapshots;
  std::uint64_t logical_bytes = 0;    // of all snapshots' disks
  std::uint64_t store_bytes = 0;      // of all packs
  std::uint64_t live_bytes = 0;       // of records that a root reaches
  std::uint64_t condemned_bytes = 0;  // of packs that wait for their deletion
  std::uint64_t volume_bytes = 0;     // that the heads of volumes take on this host
  std::uint64_t free_bytes = 0;       // of the file system that the store is on
};
Usage usage(Region& region);

struct VerifiedRoot {
  catalog::Root root;  // the first one that reaches the bad record
  blocks::BadRecord bad;
};
struct VerifiedRegion {
  blocks::VerifyProgress done;
  std::uint64_t roots = 0;
  std::vector<VerifiedRoot> bad;
};
// progress returns false to stop.
VerifiedRegion verify(Region& region, const std::function<bool(const blocks::VerifyProgress&)>& progress = {});

}  // namespace kiln::control
