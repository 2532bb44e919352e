#pragma once
// Copies of snapshots, into this region from this one or from another.
//
// Within a region a copy that is not encrypted is a row of its own for the same disk, which takes no time and no space:
// content is shared by all disks of a region's store, so a copy holds the root of its source, and both can be deleted
// in any order.
//
// From another region the row is there at once, as pending, and a job brings what the store lacks (block_fetch.h):
//
//   copy-snapshot  copy: list, fetch, store, verify the whole, commit     (failed: error, with the reason)
//   subject: the source region, so copies from one region run one after the other, each in parallel in itself
//
// What was stored stays when the job is interrupted, however that comes, and is not fetched again when it goes on. A
// source that cannot be reached is tried again, after longer and longer pauses, until it has failed so many times in a
// row without a block arriving. A pending snapshot that is deleted takes its job with it.
//
// Requests run on request threads, which may wait for the source to describe the snapshot; they throw ApiError.

#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "catalog/client_tokens.h"
#include "control/encryption.h"
#include "control/snapshots.h"
#include "control/source_region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// AWS's limit, of an account and a destination.
constexpr std::size_t most_pending_copies = 20;

struct NewSnapshotCopy {
  std::string source_region, source_snapshot_id;
  std::string description = {};  // empty: says what it is a copy of
  EncryptionWish encryption = {};
  std::map<std::string, std::string> tags = {};
  std::optional<catalog::ClientToken> client_token = {};  // its result is filled in
};
// Throws InvalidRegion, InvalidSnapshot.NotFound, InvalidRequest for what would take encryption away, IncorrectState,
// ResourceLimitExceeded.
SnapshotDetails copy_snapshot(Region& region, const Principal& caller, const NewSnapshotCopy& what);

// For those and for images, in the caller's transaction: a pending row and the job that completes it.
struct PendingCopy {
  std::string source_region;
  SourceSnapshot source;
  std::string id;  // of the new snapshot
  std::string description;
  std::string image_id = {};  // that it is copied for
  std::string key_arn = {};   // that it is encrypted by; empty: not
};
catalog::Snapshot add_pending_copy(catalog::Txn& txn, Region& region, const Principal& caller, const PendingCopy& what);
// The same from this region: completed, or pending when it is to be encrypted (snapshot_recoding.h). full_bytes: of the
// source's chunks that are not zeros.
catalog::Snapshot add_local_copy(catalog::Txn& txn, Region& region, const Principal& caller,
                                 const catalog::Snapshot& source, const PendingCopy& what, std::int64_t full_bytes);
// Of a snapshot in this region that the caller may read. Reads the tree when the row does not know it yet, so it is
// asked before the transaction, which all writers of the catalog wait for.
std::int64_t full_bytes_of(Region& region, const Principal& caller, const std::string& snapshot_id);

[[noreturn]] void refuse_taking_encryption_away(const std::string& snapshot_id);

// A completed snapshot of the source's, for a request: a source that does not answer is Unavailable (503), which
// clients try again.
SourceSnapshot describe_source(SourceRegion& source, const std::string& snapshot_id);
[[noreturn]] void refuse_unreachable(const SourceFailure& failure);

struct CopyOptions {
  int most_failures = 10;  // of the source, in a row
  base::Micros first_pause = base::seconds(1), longest_pause = base::seconds(60);
};
// Called once at start, before runner.run(). regions must outlive runner.
void add_copy_jobs(jobs::Runner& runner, Regions& regions, const CopyOptions& options = {});

}  // namespace kiln::control
