#pragma once
// Snapshots: a volume as it was at one moment.
//
// create_snapshot writes the row, the tags and the job in one transaction, then makes the cut itself: when it returns
// the point in time is fixed, whatever the guest writes next; only the upload is background work. After a crash before
// the cut the job makes it (the call was never answered); after a host crash that lost an answered cut the snapshot
// becomes `error`. Request functions run on request threads and throw ApiError with AWS's codes.
//
//   create-snapshot  cut -> durable -> upload, commit, rebase (uploads.h)   (undone: error, cut given up)
//   subject: the volume, so that the uploads of one volume run one after the other
//   argument set: those that were asked for together (snapshot_sets.h); they are stored, or fail, together

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "catalog/tags.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

struct NewSnapshot {
  std::string volume_id;
  std::string description = {};
  std::map<std::string, std::string> tags = {};
};
catalog::Snapshot create_snapshot(Region& region, const Principal& caller, const NewSnapshot& what);

// Throws InvalidSnapshot.InUse while a registered image names it, OperationNotPermitted while it is locked
// (snapshot_locks.h). A rule of the recycle bin may keep it (recycle_bin.h). Its bytes go with the next garbage
// collection.
void delete_snapshot(Region& region, const Principal& caller, const std::string& snapshot_id);
// The same in a transaction that the caller holds; the row has been read in it.
void delete_snapshot_rows(catalog::Txn& txn, Region& region, const catalog::Snapshot& snapshot);

struct SnapshotQuery {
  std::vector<std::string> ids = {};     // unknown ones, and others' that are not shared: InvalidSnapshot.NotFound
  std::vector<std::string> owners = {};  // self, amazon, 12 digits
  std::vector<std::string> restorable_by = {};  // self, all, 12 digits
};
struct SnapshotDetails {
  catalog::Snapshot snapshot;
  std::vector<catalog::Tag> tags;                  // the caller's
  std::optional<catalog::SnapshotTier> tier = {};  // of one that was to be archived (snapshot_tiers.h)
};
std::vector<SnapshotDetails> describe_snapshots(Region& region, const Principal& caller, const SnapshotQuery& query);

// One row of the caller's own; readable_snapshot() finds shared ones too (snapshot_sharing.h). Throws
// InvalidParameterValue for what is no snapshot id, InvalidSnapshot.NotFound.
catalog::Snapshot snapshot_of(catalog::Txn& txn, const Region& region, const std::string& account,
                              const std::string& id);
// The disk of a completed snapshot, from its root row. Throws IncorrectState when it is not completed, or is archived.
blocks::DiskId snapshot_disk(catalog::Txn& txn, const Region& region, const catalog::Snapshot& snapshot);

// For CreateSnapshot and CreateImage, in the caller's transaction: a pending row that names volume and its lineage.
catalog::Snapshot add_snapshot(catalog::Txn& txn, Region& region, const std::string& snapshot_id,
                               const std::string& volume_id, const std::string& description);

// In the caller's transaction: one that is pending becomes an error, and an image that waits for it fails.
void fail_snapshot(catalog::Txn& txn, Region& region, const std::string& snapshot_id, const std::string& why);

// Called once at start, before runner.run(). regions must outlive runner.
void add_snapshot_jobs(jobs::Runner& runner, Regions& regions);

}  // namespace kiln::control
