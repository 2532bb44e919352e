#include "control/compaction.h"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/ids.h"
#include "base/log.h"
#include "blocks/compaction.h"
#include "blocks/scrub.h"
#include "catalog/blocks.h"
#include "control/upload_session.h"

namespace kiln::control {
namespace {

using blocks::PackId;
using blocks::PackKind;

// Somebody referenced a pack of the batch, or a later collection has begun.
struct Overtaken {};

struct Batch {
  PackKind kind = PackKind::data;
  std::vector<PackId> sources;
  std::uint64_t live_bytes = 0;
};

// The emptiest packs first, as their bytes are the cheapest; a batch is closed when it fills a pack.
std::vector<Batch> batches_of(Region& region, const blocks::Marked& marked, const std::vector<catalog::Pack>& live,
                              const CollectOptions& options) {
  std::vector<Batch> batches;
  std::uint64_t copied = 0;
  std::set<PackId> damaged;  // whose footers are: the copies get sound ones
  for (const auto& bad : region.store.bad_records().list()) {
    if (blocks::is_pack_damage(bad)) damaged.insert(bad.location.pack);
  }
  for (const auto kind : {PackKind::nodes, PackKind::data}) {
    std::vector<std::pair<PackId, blocks::PackUse>> sources;
    for (const auto& row : live) {
      const auto id = PackId::from_text(row.id);
      const auto use = id ? marked.packs.find(*id) : marked.packs.end();
      if (use == marked.packs.end() || use->second.kind != kind || use->second.live_records == 0) continue;
      const bool mostly_live = use->second.live_bytes * 100 >= use->second.record_bytes * options.compact_below_percent;
      if (mostly_live && !damaged.contains(*id)) continue;
      sources.emplace_back(*use);
    }
    std::ranges::sort(sources, [](const auto& a, const auto& b) {
      return a.second.live_bytes * b.second.record_bytes < b.second.live_bytes * a.second.record_bytes;
    });
    Batch batch{.kind = kind, .sources = {}};
    for (const auto& [id, use] : sources) {
      if (copied + use.live_bytes > options.compact_at_most_bytes) break;
      copied += use.live_bytes;
      batch.sources.push_back(id);
      batch.live_bytes += use.live_bytes;
      if (batch.live_bytes < blocks::pack_target_bytes) continue;
      batches.push_back(std::exchange(batch, Batch{.kind = kind, .sources = {}}));
    }
    if (!batch.sources.empty()) batches.push_back(std::move(batch));
  }
  return batches;
}

// A session row for as long as the batch takes.
class BatchSession {
 public:
  BatchSession(Region& region, std::int64_t epoch)
      : region_(region), epoch_(epoch), id_(std::to_string(epoch) + "-" + base::new_uuid()) {
    region.catalog.run_in_txn([&](catalog::Txn& txn) {
      catalog::insert(txn,
                      catalog::Session{.region = region.name, .id = id_, .job = {}, .heartbeat = region.clock.now()});
    });
  }
  ~BatchSession() {
    if (committed_) return;
    try {
      region_.catalog.run_in_txn([&](catalog::Txn& txn) { end_session(txn, region_, id_); });
    } catch (const std::exception& e) {
      base::log_warning("control", "the session {} of a compaction could not be ended: {}", id_, e.what());
    }
  }
  BatchSession(const BatchSession&) = delete;
  BatchSession& operator=(const BatchSession&) = delete;

  base::Status before_pack(const PackId& pack, PackKind kind) {
    try {
      region_.catalog.run_in_txn([&](catalog::Txn& txn) {
        if (!catalog::find_session(txn, region_.name, id_)) throw std::runtime_error("session " + id_ + " was ended");
        catalog::insert(txn, catalog::Pack{.region = region_.name,
                                           .id = pack.text(),
                                           .kind = kind == PackKind::nodes ? "node" : "data",
                                           .state = "uploading",
                                           .session = id_,
                                           .last_ref_epoch = epoch_});
      });
      return {};
    } catch (const std::exception& e) {
      return base::Error(base::Fault::fenced, e.what());
    }
  }

  // Throws Overtaken, and changes nothing then.
  void commit(const blocks::Compacted& done, const blocks::Marked& marked) {
    const auto now = region_.clock.now();
    region_.catalog.run_in_txn([&](catalog::Txn& txn) {
      const auto epoch = catalog::current_epoch(txn, region_.name);
      if (epoch != epoch_ || !catalog::find_session(txn, region_.name, id_)) throw Overtaken{};
      // What the copies are encoded against must be as safe as they are.
      for (const auto& base : done.bases) {
        const auto row = catalog::find_pack(txn, region_.name, base.text());
        // In this epoch only an earlier batch condemns what is alive, after it has copied it.
        const bool copied = row && row->state == "condemned" && row->condemned_epoch == epoch;
        if (!row || (row->state != "live" && !copied)) throw Overtaken{};
      }
      for (const auto& pack : done.written) {
        catalog::update(txn, catalog::Pack{.region = region_.name,
                                           .id = pack.id.text(),
                                           .kind = pack.kind == PackKind::nodes ? "node" : "data",
                                           .state = "live",
                                           .session = id_,
                                           .bytes = static_cast<std::int64_t>(pack.bytes),
                                           .live_bytes = static_cast<std::int64_t>(pack.bytes),
                                           .last_ref_epoch = epoch});
      }
      for (const auto& source : done.emptied) {
        if (!catalog::condemn_pack(txn, region_.name, source.text(), epoch, now)) throw Overtaken{};
        // What was copied out of it is not lost with it: the collector's limits count only the rest.
        txn.execute("UPDATE pack SET live_bytes = $3 WHERE region = $1 AND id = $2",
                    {region_.name, source.text(), static_cast<std::int64_t>(marked.packs.at(source).live_bytes)});
      }
      end_session(txn, region_, id_);
    });
    committed_ = true;
  }

 private:
  Region& region_;
  const std::int64_t epoch_;
  const std::string id_;
  bool committed_ = false;
};

void compact_batch(Region& region, const blocks::Marked& marked, std::int64_t epoch, const Batch& batch,
                   const CollectOptions& options, Collected& report) {
  BatchSession session(region, epoch);
  const auto done = blocks::compact(
      region.store, marked, batch.sources,
      {.epoch = static_cast<std::uint64_t>(epoch),
       .before_pack = [&](const PackId& pack, PackKind kind) { return session.before_pack(pack, kind); },
       .go_on = options.go_on});
  if (!done) throw std::runtime_error("compaction: " + done.error().message());
  for (const auto& bad : done->bad) {
    base::log_error("control", "a bad record in pack {} at {}: {}", bad.location.pack.text(), bad.location.offset,
                    bad.why);
  }
  if (auto noted = region.store.bad_records().add(done->bad); !noted) {
    throw std::runtime_error("noting bad records: " + noted.error().message());
  }
  if (done->emptied.empty()) return;
  session.commit(*done, marked);
  report.compacted_packs += done->emptied.size();
  report.copied_bytes += done->copied_bytes;
  for (const auto& source : done->emptied) {
    report.condemned_packs += 1;
    report.condemned_bytes += marked.packs.at(source).total_bytes;
    // A file that a crash leaves out is made by the next round.
    if (auto told = region.store.condemned().add(source); !told) {
      base::log_warning("control", "readers are not told of pack {}: {}", source.text(), told.error().message());
    }
  }
}

}  // namespace

void compact_packs(Region& region, const blocks::Marked& marked, std::int64_t epoch, const CollectOptions& options,
                   Collected& report) {
  if (options.compact_below_percent == 0) return;
  const auto live = catalog::in_read(
      region.catalog, [&](catalog::Txn& txn) { return catalog::packs_in_state(txn, region.name, "live"); });
  for (const auto& batch : batches_of(region, marked, live, options)) {
    try {
      compact_batch(region, marked, epoch, batch, options, report);
    } catch (const Overtaken&) {
      base::log_info("control", "{} packs were referenced while they were compacted; they stay", batch.sources.size());
    }
  }
}

}  // namespace kiln::control
