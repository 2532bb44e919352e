#pragma once
// How much space what takes: images, snapshots and the store as a whole; and whether all of it can be read.
//
// Called on a CLI request's thread; walks every tree, and verify reads every byte and puts what is bad on the store's
// list of bad records. Nothing else is changed. Throws std::runtime_error when a tree cannot be read.

#include <functional>
#include <string>
#include <vector>

#include "blocks/bad_records.h"
#include "blocks/usage.h"
#include "blocks/verify.h"
#include "catalog/blocks.h"
#include "catalog/images.h"
#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "control/region.h"

namespace kiln::control {

// Of one that is archived: stored and exclusive are the bytes of its archive.
struct SnapshotUsage {
  catalog::Snapshot snapshot;
  blocks::RootUsage bytes;
};
struct ImageUsage {
  catalog::Image image;
  blocks::RootUsage bytes;  // exclusive: what would go with it and all of its snapshots
};
struct DamagedRecord {
  blocks::BadPlace place;
  bool healed = false;  // there is another copy, which is not known to be bad
};
struct Usage {
  std::vector<ImageUsage> images;
  std::vector<SnapshotUsage> snapshots;
  std::uint64_t logical_bytes = 0;     // of all snapshots' disks
  std::uint64_t store_bytes = 0;       // of all packs
  std::uint64_t live_bytes = 0;        // of records that a root reaches
  std::uint64_t condemned_bytes = 0;   // of packs that wait for their deletion
  std::uint64_t archive_bytes = 0;     // of all archives, those of temporarily restored snapshots too
  std::uint64_t volume_bytes = 0;      // that the heads of volumes and of started snapshots take on this host
  std::uint64_t free_bytes = 0;        // of the file system that the store is on
  std::vector<DamagedRecord> damaged;  // that verify, the scrub or a compaction found
  std::vector<catalog::SnapshotTier> damaged_archives;  // that the scrub found
};
// go_on returns false to stop.
Usage usage(Region& region, const std::function<bool()>& go_on = {});

struct VerifiedRoot {
  catalog::Root root;  // the first one that reaches the bad record
  blocks::BadRecord bad;
};
// An archive that is damaged is a lost chunk of its snapshot, in no pack.
struct VerifiedRegion {
  blocks::VerifyProgress done;
  std::uint64_t roots = 0;
  std::vector<VerifiedRoot> bad;
};
// progress returns false to stop.
VerifiedRegion verify(Region& region, const std::function<bool(const blocks::VerifyProgress&)>& progress = {});

}  // namespace kiln::control
