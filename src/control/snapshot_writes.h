#pragma once
// Snapshots that a client writes block by block, as the EBS direct APIs have it: started, written, completed.
//
//   start_snapshot     row pending, row started_snapshot, root row of the parent's disk: one transaction
//   put_block          durable in the snapshot's head (snapshot_heads.h) when it returns
//   complete_snapshot  the head is cut; then one transaction says so in the row (generation) and starts store-snapshot
//
//   store-snapshot        store (uploads.h: root, completed) -> clean   (undone: error, files gone)
//   end-started-snapshot  clean: files, rows started_snapshot and root gone
//   subject of both: the snapshot
//
// A snapshot may be written while its row is pending without a generation and has a row started_snapshot. The other
// ways out of that are delete_snapshot and the timeout, which makes it an error; both start end-started-snapshot.
// Request functions run on request threads and throw ApiError with the codes and reasons of the EBS direct APIs.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "base/digest.h"
#include "catalog/client_tokens.h"
#include "catalog/snapshots.h"
#include "control/encryption.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

constexpr int least_timeout_minutes = 10, most_timeout_minutes = 4320, usual_timeout_minutes = 60;

struct SnapshotToWrite {
  std::int64_t size_gib = 0;
  std::string parent_snapshot_id = {};  // what is not written is as there; empty: zeros
  std::string description = {};
  EncryptionWish encryption = {};  // with a parent: as that is
  std::map<std::string, std::string> tags = {};
  int timeout_minutes = usual_timeout_minutes;  // since the last block, or the start of the daemon when that was later
  std::optional<catalog::ClientToken> client_token = {};  // its result is filled in
};
struct StartedSnapshot {
  std::string id;
  base::Micros started = 0;
  std::string key_arn = {};  // empty: not encrypted
};
// Asked again with the client token: the same answer, whatever became of the snapshot. Throws ConflictException when
// the token came with other parameters, ServiceQuotaExceededException.
StartedSnapshot start_snapshot(Region& region, const Principal& caller, SnapshotToWrite what);

struct BlockToWrite {
  std::string snapshot_id;
  std::uint64_t index = 0;
  std::span<const std::byte> bytes;  // blocks::chunk_bytes of them
  base::Digest digest;               // of bytes, which the caller has checked
  std::optional<int> progress = {};  // in percent, as the client sees it: shown by DescribeSnapshots
};
void put_block(Region& region, const Principal& caller, const BlockToWrite& what);

struct WrittenBlocks {
  std::string snapshot_id;
  std::uint64_t count = 0;
  std::optional<base::Digest> linear_checksum = {};
};
void complete_snapshot(Region& region, const Principal& caller, const WrittenBlocks& what);

// In the transaction that removes the snapshot's row or makes it an error: its files go, if it is being written.
void end_started_snapshot(catalog::Txn& txn, Region& region, const catalog::Snapshot& snapshot);
// Makes an error of those whose time has passed. now is monotonic; called every second by the reconciler.
void end_overdue_snapshots(Region& region, base::Micros now);

// Called once at start, before runner.run(). regions must outlive runner.
void add_snapshot_write_jobs(jobs::Runner& runner, Regions& regions);

}  // namespace kiln::control
