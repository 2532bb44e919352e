#include "control/uploads.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "base/log.h"
#include "blocks/reencode.h"
#include "blocks/sealed_generation.h"
#include "blocks/usage.h"
#include "catalog/blocks.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"
#include "control/images.h"
#include "control/snapshots.h"
#include "control/upload_session.h"
#include "control/volume_access.h"

namespace kiln::control {
namespace {

using base::Fault;
using blocks::SealedGeneration;
using catalog::Snapshot;

// The snapshot was deleted, or failed, while it was being uploaded.
struct NotPending {};

template <class T>
T value_of(base::Result<T> result, const std::string& what) {
  if (!result) throw std::runtime_error(what + ": " + result.error().message());
  return std::move(*result);
}

std::optional<Snapshot> find(Region& region, const std::string& snapshot_id) {
  return catalog::in_read(region.catalog,
                          [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, region.name, snapshot_id); });
}

// Tells clients and the lease how far an upload is, at most once a second.
class Progress {
 public:
  Progress(Region& region, jobs::Context& job, UploadSession& session, std::string snapshot_id, std::size_t total)
      : region_(region), job_(job), session_(session), snapshot_id_(std::move(snapshot_id)), total_(total) {
    last_ = region_.clock.monotonic();
  }
  void at(std::size_t done) {
    const auto now = region_.clock.monotonic();
    if (now - last_ < base::seconds(1)) return;
    last_ = now;
    job_.keep_alive();
    session_.heartbeat();
    // 100% is for what is committed.
    const auto percent = std::to_string(std::min<std::size_t>(99, total_ == 0 ? 0 : done * 100 / total_)) + "%";
    job_.in_txn([&](catalog::Txn& txn) {
      txn.execute("UPDATE snapshot SET progress = $3 WHERE region = $1 AND id = $2 AND state = 'pending'",
                  {region_.name, snapshot_id_, percent});
    });
  }

 private:
  Region& region_;
  jobs::Context& job_;
  UploadSession& session_;
  const std::string snapshot_id_;
  const std::size_t total_;
  base::Micros last_ = 0;
};

void put_touched_chunks(Region& region, const SealedGeneration& cut, blocks::Ingest& ingest, Progress& progress) {
  const auto touched = cut.touched_chunks();
  for (std::size_t i = 0; i < touched.size(); ++i) {
    const auto index = touched[i];
    if (cut.is_zero(index)) {
      if (auto put = ingest.put_zero(index); !put) throw std::runtime_error(put.error().message());
    } else {
      blocks::ChunkBytes below;
      if (cut.needs_parent(index)) {
        const auto id = value_of(region.store.chunk_id(cut.base(), index), "the disk below the cut");
        if (!id.is_null()) below = value_of(region.store.chunk(id), "the disk below the cut");
      }
      const auto chunk = value_of(cut.compose(index, below), "the cut");
      if (auto put = ingest.put(index, chunk); !put) throw std::runtime_error(put.error().message());
    }
    progress.at(i + 1);
  }
}

// The rest of the disk below, for a tree that shares nothing with it.
void put_untouched_chunks(Region& region, const SealedGeneration& cut, blocks::Ingest& ingest, Progress& progress) {
  const auto touched = cut.touched_chunks();
  std::size_t done = touched.size();
  const auto put = blocks::put_disk(region.store, cut.base(), ingest, [&](std::uint64_t index) {
    progress.at(done++);
    return !std::binary_search(touched.begin(), touched.end(), index);
  });
  if (!put) throw std::runtime_error("the disk below the cut: " + put.error().message());
}

// What the commit of blocks and rows makes true, in its transaction.
void complete(catalog::Txn& txn, Region& region, const std::string& snapshot_id, const blocks::DiskId& disk) {
  auto row = catalog::find_snapshot(txn, region.name, snapshot_id);
  if (!row || row->state != "pending") throw NotPending{};
  catalog::Root root{.region = region.name,
                     .kind = "snapshot",
                     .owner = snapshot_id,
                     .digest = disk.root.hex(),
                     .size_bytes = static_cast<std::int64_t>(disk.size_bytes)};
  catalog::upsert(txn, root);
  if (catalog::find_volume(txn, region.name, row->volume_id)) {
    root.kind = "volume";
    root.owner = row->volume_id;
    catalog::upsert(txn, root);
  }
  row->state = "completed";
  row->progress = "100%";
  row->size_bytes = static_cast<std::int64_t>(disk.size_bytes);
  row->completed = region.clock.now();
  row->generation.reset();
  catalog::update(txn, *row);
  if (!row->image_id.empty()) image_got_snapshot(txn, region, row->image_id);
}

// The volume stands on the disk; its older roots go once that is durable.
void rebase(Region& region, jobs::Context& job, const SealedGeneration& cut, const blocks::DiskId& disk) {
  const auto done = with_volumes(region, {cut.volume()}, [&](blocks::VolumeService& service, ServedBy) {
    return service.rebase({.volume = cut.volume(), .generation = cut.generation(), .base = disk});
  });
  if (!done && done.error().fault() == Fault::busy) throw jobs::Retry(done.error().message(), base::seconds(1) / 10);
  if (!done) {
    // The snapshot is complete all the same. The volume keeps both roots, and its next upload rebases it.
    base::log_warning("control", "{} does not stand on {} yet: {}", cut.volume(), cut.snapshot(),
                      done.error().message());
    throw std::runtime_error(done.error().message());
  }
  job.in_txn([&](catalog::Txn& txn) {
    txn.execute("DELETE FROM root WHERE region = $1 AND kind = 'volume' AND owner = $2 AND digest <> $3",
                {region.name, cut.volume(), disk.root.hex()});
  });
}

void count_full_bytes(Region& region, jobs::Context& job, const std::string& snapshot_id, const blocks::DiskId& disk) {
  const auto bytes = blocks::data_bytes(region.store, disk);
  if (!bytes) throw std::runtime_error("counting " + snapshot_id + ": " + bytes.error().message());
  job.in_txn([&](catalog::Txn& txn) {
    txn.execute("UPDATE snapshot SET full_bytes = $3 WHERE region = $1 AND id = $2",
                {region.name, snapshot_id, static_cast<std::int64_t>(*bytes)});
  });
}

blocks::DomainPtr domain_of(Region& region, const SealedGeneration& cut) {
  if (cut.domain().is_plain()) return nullptr;
  return value_of(region.store.keys()->find(cut.domain()), cut.volume());
}

// Of a volume whose base is stored with other keys than its own, or with none, all of it is stored anew.
blocks::DiskId store_cut(Region& region, jobs::Context& job, const SealedGeneration& cut) {
  const bool anew = cut.domain() != cut.base_domain();
  UploadSession session(region, {.job = job.job().id,
                                 .fence = job.job().fence,
                                 .parent = anew ? std::optional<blocks::DiskId>() : cut.base(),
                                 .domain = domain_of(region, cut)});
  auto chunks = cut.touched_chunks().size();
  if (anew)
    chunks += value_of(blocks::data_bytes(region.store, cut.base()), "the disk below the cut") / blocks::chunk_bytes;
  Progress progress(region, job, session, cut.snapshot(), chunks);
  put_touched_chunks(region, cut, session.ingest(), progress);
  if (anew) put_untouched_chunks(region, cut, session.ingest(), progress);
  const auto disk = session.store(cut.size_bytes(), [&] { job.keep_alive(); });
  session.commit([&](const auto& body) { job.in_txn(body); },
                 [&](catalog::Txn& txn) { complete(txn, region, cut.snapshot(), disk); });
  return disk;
}

// The disk that the cut became; nothing when its snapshot is not wanted any more.
std::optional<blocks::DiskId> stored(Region& region, jobs::Context& job, const Snapshot& row,
                                     const SealedGeneration& cut) {
  blocks::DiskId disk;
  if (row.state == "completed") {  // a crash came after the commit
    disk = catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return snapshot_disk(txn, region, row); });
  } else {
    try {
      disk = store_cut(region, job, cut);
    } catch (const NotPending&) {
      return {};
    }
  }
  count_full_bytes(region, job, row.id, disk);
  return disk;
}

// The oldest cut that waits: stored when its snapshot is pending, and made the volume's base when that is done.
void settle_oldest(Region& region, jobs::Context& job, const std::string& volume_id, const std::string& snapshot_id) {
  const auto row = find(region, snapshot_id);
  if (!row || row->state == "error") return give_up_cut(region, volume_id, snapshot_id);
  const auto cut = value_of(
      SealedGeneration::open(region.files, region.volume_directory(volume_id), snapshot_id, region.store.keys()),
      "the cut of " + snapshot_id);
  const auto disk = stored(region, job, *row, cut);
  if (!disk) return give_up_cut(region, volume_id, snapshot_id);
  rebase(region, job, cut, *disk);
}

}  // namespace

void upload_cut(Region& region, jobs::Context& job, const std::string& volume_id, const std::string& snapshot_id) {
  for (;;) {
    const auto cuts = blocks::waiting_cuts(region.files, region.volume_directory(volume_id));
    const bool waits = cuts && std::find(cuts->begin(), cuts->end(), snapshot_id) != cuts->end();
    if (waits) {
      settle_oldest(region, job, volume_id, cuts->front());
      continue;
    }
    const auto row = find(region, snapshot_id);
    if (!row || row->state != "pending") return;
    if (!cuts) throw std::runtime_error("volume " + volume_id + ": " + cuts.error().message());
    throw std::runtime_error("the cut of " + snapshot_id + " is not there any more");
  }
}

void store_started(Region& region, jobs::Context& job, const std::string& snapshot_id) {
  const auto row = find(region, snapshot_id);
  if (!row || row->state == "error") return;
  const auto directory = region.snapshot_heads.directory_of(snapshot_id);
  const auto cut = value_of(SealedGeneration::open(region.files, directory, snapshot_id, region.store.keys()),
                            "the blocks of " + snapshot_id);
  stored(region, job, *row, cut);
}

void give_up_cut(Region& region, const std::string& volume_id, const std::string& snapshot_id) {
  const auto done = with_volumes(region, {volume_id}, [&](blocks::VolumeService& service, ServedBy) {
    return service.unseal({.volume = volume_id, .snapshot = snapshot_id});
  });
  if (done || done.error().fault() == Fault::not_found) return;
  if (done.error().fault() == Fault::busy) throw jobs::Retry(done.error().message(), base::seconds(1) / 10);
  throw std::runtime_error("giving up the cut of " + snapshot_id + ": " + done.error().message());
}

}  // namespace kiln::control
