#pragma once
// Snapshots. Their bytes are held by a row of kind snapshot in root (blocks.h), not by this row.

#include "catalog/table.h"

namespace kiln::catalog {

struct Snapshot {
  std::string region, id;
  std::string account;
  std::string volume_id;  // vol-ffffffff when no volume of ours was its source
  std::string state;      // pending completed error
  std::string state_message;
  std::string description;
  std::string progress = "0%";
  std::int64_t size_gib = 0;
  std::int64_t size_bytes = 0;  // of the disk
  std::int64_t full_bytes = 0;  // bytes of chunks that are not zeros
  bool encrypted = false;
  std::string parent_snapshot_id;          // lineage: the previous snapshot of the same volume
  std::optional<std::int64_t> generation;  // of the volume's head, until it is uploaded
  std::string image_id;                    // made for this image by CreateImage; empty
  base::Micros started = 0;
  std::optional<base::Micros> completed;
  std::string kms_key_arn;  // of an encrypted one
};

// A snapshot that a client writes block by block: from its start until the files that its blocks were written to have
// gone, whether it was completed, given up or deleted. The disk of its parent is held by a root row of kind started.
struct StartedSnapshot {
  std::string region, id;
  std::int64_t timeout_minutes = 0;  // given up when no block is written, nor the snapshot completed, for so long
};

std::optional<Snapshot> find_snapshot(Txn& txn, const std::string& region, const std::string& id);
// Oldest first.
std::vector<Snapshot> snapshots_of(Txn& txn, const std::string& region, const std::string& account);
std::vector<Snapshot> snapshots_of_volume(Txn& txn, const std::string& region, const std::string& volume_id);
// Those that the image's devices name, each once, in device order.
std::vector<Snapshot> snapshots_of_image(Txn& txn, const std::string& region, const std::string& image_id);
// The volume's youngest completed snapshot: the parent of its next one.
std::optional<Snapshot> newest_snapshot_of_volume(Txn& txn, const std::string& region, const std::string& volume_id);

std::optional<StartedSnapshot> find_started_snapshot(Txn& txn, const std::string& region, const std::string& id);
std::vector<StartedSnapshot> started_snapshots(Txn& txn, const std::string& region);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Snapshot, "snapshot", 2, region, id, account, volume_id, state, state_message, description,
         progress, size_gib, size_bytes, full_bytes, encrypted, parent_snapshot_id, generation, image_id, started,
         completed, kms_key_arn)
KILN_ROW(kiln::catalog::StartedSnapshot, "started_snapshot", 2, region, id, timeout_minutes)
