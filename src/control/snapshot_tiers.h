#pragma once
// The archive tier of snapshots: a snapshot whose disk is kept in one file of its own, compressed hard, and is no
// longer part of the store (blocks/archive.h).
//
//   archive-snapshot   write: the archive, read back in full -> let go: the root is dropped   (undone: the file goes)
//   restore-snapshot   bring: the disk is stored again, as the same disk, and gets its root
//   remove-archive     the file goes
//   subject of all: one of two, the same for all jobs of a snapshot, so two are at work at a time
//
// A snapshot of tier archive cannot be used: snapshot_disk() refuses it, whoever asks. Of a snapshot that is restored
// for some days the archive stays, and when they are over the root is dropped again; while an image that is not
// disabled names it, it stays. At any moment there is a root or a whole archive: the transaction that drops the one
// comes after the other is durable and was read back, so a crash leaves what was before or what was to come. Files that
// no row names, after a catalog was put back from a copy, go with the next garbage collection.
//
// Request functions run on request threads, are one transaction each, and throw ApiError with AWS's codes.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "blocks/archive.h"
#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "catalog/tags.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// Of a completed snapshot of the caller's. Throws IncorrectState for another, or one that is archived already or
// temporarily restored; InvalidSnapshot.InUse while an image that is not disabled names it.
catalog::SnapshotTier archive_snapshot(Region& region, const Principal& caller, const std::string& id);

struct TierRestore {
  std::optional<std::int64_t> days = {};  // 1 to 180
  bool permanent = false;
};
// Of one that is archived; of one that is restored already for some days, it moves the end, or makes it permanent.
// Throws IncorrectState, MissingParameter, InvalidParameterCombination, InvalidParameterValue.
catalog::SnapshotTier restore_archived(Region& region, const Principal& caller, const std::string& id,
                                       const TierRestore& what);

struct TierDetails {
  catalog::Snapshot snapshot;
  std::optional<catalog::SnapshotTier> tier;  // none: it was never to be archived
  std::vector<catalog::Tag> tags;
};
// Of all snapshots of the caller's, oldest first.
std::vector<TierDetails> describe_tiers(Region& region, const Principal& caller);

bool is_archived(catalog::Txn& txn, const Region& region, const std::string& snapshot_id);
// Throws IncorrectState when it is archived.
void check_not_archived(catalog::Txn& txn, const Region& region, const std::string& snapshot_id);
// The same in the words of the EBS direct APIs: ValidationException.
void refuse_archived_to_ebs(catalog::Txn& txn, const Region& region, const std::string& snapshot_id);

// In the transaction that removes the snapshot's row, before: what is in its archive goes.
void drop_archive(catalog::Txn& txn, Region& region, const std::string& snapshot_id);

// Ends temporary restores whose time is over. Called every second.
void end_temporary_restores(Region& region);

base::Path archive_path(const Region& region, const std::string& snapshot_id);

// Reads an archive in full, with its keys when they are at hand, and notes in its row what is wrong, or that nothing
// is. Nothing: it went meanwhile. Throws std::runtime_error for what is not the archive's fault.
struct ArchiveCheck {
  std::string snapshot_id;
  std::uint64_t bytes = 0, chunks = 0;
  std::vector<blocks::ArchiveDamage> bad;
};
std::optional<ArchiveCheck> check_archive_of(Region& region, const std::string& snapshot_id,
                                             const std::function<bool()>& go_on = {});

// Of archives that no row names and no job is about to write or remove.
struct StrayArchive {
  std::string file;
  std::uint64_t bytes = 0;
};
std::vector<StrayArchive> stray_archives(Region& region);
void remove_stray_archive(Region& region, const std::string& file);

// Called once at start, before runner.run(). regions must outlive runner.
void add_tier_jobs(jobs::Runner& runner, Regions& regions);

}  // namespace kiln::control
