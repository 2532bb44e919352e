#pragma once
// Volumes: rows, the files of their heads, and the disk that they stand on.
//
// add_volume is called in the transaction that promises the volume (CreateVolume's, or a launch's): the row, and the
// root row that keeps the disk below it alive, appear together. The files follow in a job step, make_volume_files,
// which may run again. A volume that is larger than its snapshot continues with zeros. Request functions run on request
// threads and throw ApiError with AWS's codes; files and removal are for job steps.
//
//   create-volume  files -> row available   (undone: files and rows gone)   subject: the volume
//   delete-volume  files gone -> rows gone  (never given up)                subject: the volume, after its uploads

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/client_tokens.h"
#include "catalog/snapshots.h"
#include "catalog/tags.h"
#include "catalog/volumes.h"
#include "control/encryption.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// Why the account may use the snapshot: it owns it or was given it, or an image that it may launch names it.
enum class SnapshotGrant { own, image };

struct VolumeRequest {
  std::string id = {};  // vol-...: made by the caller before the transaction, so that it can be retried
  std::string account = {};
  std::string zone = {};
  std::string snapshot_id = {};  // empty: zeros
  SnapshotGrant grant = SnapshotGrant::own;
  std::int64_t size_gib = 0;  // 0: the snapshot's
  std::string volume_type = "gp3";
  EncryptionWish encryption = {};
  std::optional<int> iops = {}, throughput = {};
  std::optional<int> initialization_rate = {};  // MiB/s, 100 to 300, of a volume made from a snapshot
};

// Inserts the row, in state creating, and its root. Throws InvalidSnapshot.NotFound, IncorrectState for a snapshot that
// is not completed, UnknownVolumeType, InvalidParameterValue (InvalidBlockDeviceMapping when an image granted the
// snapshot) and what choose_key() throws, InvalidRequest (the same) for what would take encryption away.
catalog::Volume add_volume(catalog::Txn& txn, Region& region, const VolumeRequest& what);

// For job steps; idempotent. Makes the head's files over the disk of the volume's root. Throws std::runtime_error.
void make_volume_files(Region& region, const catalog::Volume& volume);
// Files, then row, roots, attachment and tags. Throws jobs::Retry while a snapshot of it waits for its upload or
// somebody has it open: a job that has other work to do calls start_delete_volume instead.
void remove_volume(Region& region, jobs::Context& job, const std::string& volume_id);
// In the caller's transaction: state deleting, attachment gone, and a delete-volume job, which waits for uploads.
// Returns the job's id.
std::string start_delete_volume(catalog::Txn& txn, Region& region, const catalog::Volume& volume);

struct NewVolumeRequest {
  VolumeRequest volume;  // id and account are filled in
  std::map<std::string, std::string> tags = {};
  std::optional<catalog::ClientToken> client_token = {};  // inserted with the volume's id as result
};
catalog::Volume create_volume(Region& region, const Principal& caller, NewVolumeRequest what);
// Into the recycle bin, when a rule keeps it. Waits a moment for the job otherwise, so that a volume that nothing holds
// has gone when it returns.
void delete_volume(Region& region, const Principal& caller, const std::string& volume_id);

struct VolumeDetails {
  catalog::Volume volume;
  std::optional<catalog::Attachment> attachment;
  std::vector<catalog::Tag> tags;  // the caller's
};
// The caller's volumes, oldest first; all of them when ids is empty. Throws InvalidVolume.NotFound.
std::vector<VolumeDetails> describe_volumes(Region& region, const Principal& caller,
                                            const std::vector<std::string>& ids);

// One row of the caller's. Throws InvalidParameterValue for what is no volume id, InvalidVolume.NotFound.
catalog::Volume volume_of(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id);

// Called once at start, before runner.run(). regions must outlive runner.
void add_volume_jobs(jobs::Runner& runner, Regions& regions);

}  // namespace kiln::control
