#include "control/fast_restores.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "base/api_error.h"
#include "base/log.h"
#include "blocks/slot_cache.h"
#include "blocks/slot_pins.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_sharing.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"

namespace kiln::control {
namespace {

using base::ApiError;
using blocks::ChunkId;
using catalog::FastRestore;
using catalog::Txn;

constexpr const char* job_kind = "fast-restores";
constexpr const char* asked_for = "Client.UserInitiated";
constexpr const char* went_on = "Client.UserInitiated - Lifecycle state transition";
constexpr std::int64_t most_gib = 16 << 10;
constexpr int most_rounds = 3;  // to fill slots that somebody else is in the way of

bool is_wanted(const FastRestore& row) {
  return row.state == "enabling" || row.state == "optimizing" || row.state == "enabled";
}

void enter(FastRestore& row, const std::string& state, const std::string& reason, base::Micros now) {
  row.state = state;
  row.reason = reason;
  (state == "optimizing"  ? row.optimizing
   : state == "enabled"   ? row.enabled
   : state == "disabling" ? row.disabling
                          : row.disabled) = now;
}

void start_job(Txn& txn, Region& region) {
  region.jobs.start(txn, {.region = region.name, .kind = job_kind, .subject = job_kind, .arguments = {}});
}

std::optional<FastRestore> find(Txn& txn, const Region& region, const std::string& snapshot_id, const std::string& zone,
                                const std::string& account) {
  return catalog::select_one<FastRestore>(txn, "WHERE region = $1 AND snapshot_id = $2 AND zone = $3 AND account = $4",
                                          {region.name, snapshot_id, zone, account});
}

void check_wish(const Region& region, const FastRestoreWish& wish) {
  if (wish.zones.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter AvailabilityZones");
  }
  if (wish.snapshot_ids.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter SourceSnapshotIds");
  }
  for (const auto& zone : wish.zones) {
    if (std::ranges::find(region.zones, zone) == region.zones.end()) {
      throw ApiError("InvalidZone.NotFound", "The zone '" + zone + "' does not exist.");
    }
  }
}

std::uint64_t slot_bytes(std::int64_t full_bytes) {
  return (static_cast<std::uint64_t>(full_bytes) + blocks::chunk_bytes - 1) / blocks::chunk_bytes *
         blocks::slot_file_bytes;
}

// Of all snapshots that are wanted but this one. What they share is counted for each.
std::uint64_t wanted_bytes(Txn& txn, const Region& region, const std::string& but) {
  std::set<std::string> seen{but};
  std::uint64_t bytes = 0;
  for (const auto& row : catalog::fast_restores(txn, region.name)) {
    if (!is_wanted(row) || !seen.insert(row.snapshot_id).second) continue;
    if (const auto snapshot = catalog::find_snapshot(txn, region.name, row.snapshot_id)) {
      bytes += slot_bytes(snapshot->full_bytes);
    }
  }
  return bytes;
}

struct Refusal {
  std::string code, message;
};

std::optional<Refusal> refusal_of(Txn& txn, const Region& region, const catalog::Snapshot& snapshot,
                                  std::int64_t full_bytes) {
  const auto& id = snapshot.id;
  if (snapshot.state != "completed") return Refusal{"IncorrectState", "The snapshot " + id + " is " + snapshot.state};
  if (is_archived(txn, region, id)) return Refusal{"IncorrectState", "The snapshot " + id + " is in the archive tier"};
  if (snapshot.size_gib > most_gib) {
    return Refusal{"InvalidParameterValue", "The snapshot " + id + " is larger than 16 TiB"};
  }
  if (region.slot_cache_bytes == 0) {
    return Refusal{"UnsupportedOperation", "The region " + region.name + " has no cache on disk to hold snapshots in"};
  }
  const auto taken = wanted_bytes(txn, region, id), needed = slot_bytes(full_bytes);
  const auto most = blocks::most_pinned_bytes(region.slot_cache_bytes);
  if (taken + needed <= most) return {};
  return Refusal{"ResourceLimitExceeded", "The snapshot " + id + " needs " + std::to_string(needed) +
                                              " bytes of the cache; " + std::to_string(taken) + " of " +
                                              std::to_string(most) + " are taken by other fast snapshot restores"};
}

// --- the job

struct Wanted {
  std::string snapshot_id;
  std::set<ChunkId> chunks;
};

std::set<ChunkId> chunks_of(Region& region, const blocks::DiskId& disk) {
  std::set<ChunkId> ids;
  const auto walked =
      blocks::walk_tree(region.store, disk.root,
                        {.node = [](const auto&, unsigned, std::uint64_t) -> base::Result<bool> { return true; },
                         .chunk = [&](const ChunkId& id, std::uint64_t) -> base::Status {
                           ids.insert(id);
                           return {};
                         }});
  if (!walked) throw std::runtime_error(walked.error().message());
  return ids;
}

class Work {
 public:
  Work(Region& region, jobs::Context& job)
      : region_(region), job_(job), pins_(region.files, region.directory / "cache") {}

  void pin() {
    std::set<ChunkId> all;
    for (const auto& each : wanted()) all.insert(each.chunks.begin(), each.chunks.end());
    const auto pinned = pins_.list();
    if (!pinned) throw jobs::Retry("the pins: " + pinned.error().message(), base::seconds(5));
    std::set<ChunkId> over, missing;
    std::ranges::set_difference(*pinned, all, std::inserter(over, over.end()));
    std::ranges::set_difference(all, *pinned, std::inserter(missing, missing.end()));
    for (const auto& done : {pins_.unpin(over), pins_.pin(missing)}) {
      if (!done) throw jobs::Retry("pinning: " + done.error().message(), base::seconds(1));
    }
    change([](const FastRestore& row) { return row.state == "enabling"; }, "optimizing", went_on);
  }

  void warm() {
    for (const auto& each : wanted()) {
      auto why = bring(each.chunks);
      if (why.empty()) continue;
      base::log_error("control", "{} cannot be held ready: {}", each.snapshot_id, why);
      give_up(each.snapshot_id, why);
    }
  }

  void show() {
    change([](const FastRestore& row) { return row.state == "optimizing"; }, "enabled", went_on);
    change([](const FastRestore& row) { return row.state == "disabling"; }, "disabled", went_on);
  }

 private:
  // Of snapshots that are still there; others are disabled.
  std::vector<Wanted> wanted() {
    std::map<std::string, blocks::DiskId> disks;
    std::vector<std::string> gone;
    region_.catalog.read([&](Txn& txn) {
      disks.clear();
      gone.clear();
      for (const auto& row : catalog::fast_restores(txn, region_.name)) {
        if (!is_wanted(row)) continue;
        const auto snapshot = catalog::find_snapshot(txn, region_.name, row.snapshot_id);
        if (snapshot && snapshot->state == "completed" && !is_archived(txn, region_, snapshot->id)) {
          disks.emplace(snapshot->id, snapshot_disk(txn, region_, *snapshot));
        } else {
          gone.push_back(row.snapshot_id);
        }
      }
    });
    for (const auto& id : gone) give_up(id, "The snapshot is not there any more");
    std::vector<Wanted> all;
    for (const auto& [id, disk] : disks) {
      try {
        all.push_back({.snapshot_id = id, .chunks = chunks_of(region_, disk)});
      } catch (const std::runtime_error& failure) {
        give_up(id, failure.what());
      }
    }
    return all;
  }

  // Why it cannot be done; empty: every chunk has a slot.
  std::string bring(const std::set<ChunkId>& chunks) {
    std::string why;
    for (int round = 0; round < most_rounds; ++round) {
      std::vector<ChunkId> missing;
      for (const auto& id : chunks) {
        if (!pins_.filled(id)) missing.push_back(id);
      }
      if (missing.empty()) return {};
      why.clear();
      for (const auto& batch : region_.store.together(missing)) {
        job_.keep_alive();
        if (const auto done = region_.store.bring(batch); !done) why = done.error().message();
      }
    }
    for (const auto& id : chunks) {
      if (pins_.filled(id)) continue;
      return why.empty() ? "chunk " + id.hex() + " is not kept by the cache" : why;
    }
    return {};
  }

  void give_up(const std::string& snapshot_id, const std::string& why) {
    change([&](const FastRestore& row) { return row.snapshot_id == snapshot_id && is_wanted(row); }, "disabling",
           "Server.InternalError: " + why);
    job_.in_txn([&](Txn& txn) { start_job(txn, region_); });  // unpins what it had
  }

  template <class Which>
  void change(const Which& which, const std::string& state, const std::string& reason) {
    job_.in_txn([&](Txn& txn) {
      for (auto& row : catalog::fast_restores(txn, region_.name)) {
        if (!which(row)) continue;
        // A failure is still told when it has come to its end.
        enter(row, state, row.reason.starts_with("Server.") ? row.reason : reason, region_.clock.now());
        catalog::update(txn, row);
      }
    });
  }

  Region& region_;
  jobs::Context& job_;
  blocks::SlotPins pins_;
};

}  // namespace

FastRestoreOutcome enable_fast_restores(Region& region, const Principal& caller, const FastRestoreWish& wish) {
  check_wish(region, wish);
  std::map<std::string, std::int64_t> full_bytes;
  for (const auto& id : wish.snapshot_ids) {
    const auto row =
        catalog::in_read(region.catalog, [&](Txn& txn) { return readable_snapshot(txn, region, caller.account, id); });
    if (row.state == "completed" &&
        !catalog::in_read(region.catalog, [&](Txn& txn) { return is_archived(txn, region, id); })) {
      full_bytes[id] = full_bytes_of(region, caller, id);
    }
  }
  const auto outcome = catalog::in_txn(region.catalog, [&](Txn& txn) {
    FastRestoreOutcome made;
    for (const auto& id : wish.snapshot_ids) {
      const auto snapshot = readable_snapshot(txn, region, caller.account, id);
      const auto refusal = refusal_of(txn, region, snapshot, full_bytes[id]);
      for (const auto& zone : wish.zones) {
        if (refusal) {
          made.unsuccessful.push_back(
              {.snapshot_id = id, .zone = zone, .code = refusal->code, .message = refusal->message});
          continue;
        }
        auto row = find(txn, region, id, zone, caller.account);
        if (!row || !is_wanted(*row)) {
          row = FastRestore{.region = region.name,
                            .snapshot_id = id,
                            .zone = zone,
                            .account = caller.account,
                            .state = "enabling",
                            .reason = asked_for,
                            .enabling = region.clock.now(),
                            .optimizing = {},
                            .enabled = {},
                            .disabling = {},
                            .disabled = {}};
          catalog::upsert(txn, *row);
        }
        made.successful.push_back(*row);
      }
    }
    if (!made.successful.empty()) start_job(txn, region);
    return made;
  });
  region.jobs.wake();
  return outcome;
}

FastRestoreOutcome disable_fast_restores(Region& region, const Principal& caller, const FastRestoreWish& wish) {
  check_wish(region, wish);
  const auto outcome = catalog::in_txn(region.catalog, [&](Txn& txn) {
    FastRestoreOutcome made;
    for (const auto& id : wish.snapshot_ids) {
      readable_snapshot(txn, region, caller.account, id);
      for (const auto& zone : wish.zones) {
        auto row = find(txn, region, id, zone, caller.account);
        if (!row || !is_wanted(*row)) {
          made.unsuccessful.push_back({.snapshot_id = id,
                                       .zone = zone,
                                       .code = "IncorrectState",
                                       .message = "Fast snapshot restore is not enabled for " + id + " in " + zone});
          continue;
        }
        enter(*row, "disabling", asked_for, region.clock.now());
        catalog::update(txn, *row);
        made.successful.push_back(*row);
      }
    }
    if (!made.successful.empty()) start_job(txn, region);
    return made;
  });
  region.jobs.wake();
  return outcome;
}

std::vector<FastRestore> describe_fast_restores(Region& region, const Principal& caller) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    auto rows = catalog::fast_restores(txn, region.name);
    std::erase_if(rows, [&](const FastRestore& row) {
      if (row.account == caller.account) return false;
      const auto snapshot = catalog::find_snapshot(txn, region.name, row.snapshot_id);
      return !snapshot || snapshot->account != caller.account;
    });
    return rows;
  });
}

bool is_fast_restored(Txn& txn, const Region& region, const std::string& snapshot_id, const std::string& zone,
                      const std::string& account) {
  const auto row = find(txn, region, snapshot_id, zone, account);
  return row && row->state == "enabled";
}

void end_fast_restores(Txn& txn, Region& region, const std::string& snapshot_id) {
  bool any = false;
  for (auto& row : catalog::fast_restores(txn, region.name)) {
    if (row.snapshot_id != snapshot_id || !is_wanted(row)) continue;
    enter(row, "disabling", went_on, region.clock.now());
    catalog::update(txn, row);
    any = true;
  }
  if (any) start_job(txn, region);
}

void resume_fast_restores(Region& region) {
  region.catalog.run_in_txn([&](Txn& txn) {
    if (!catalog::fast_restores(txn, region.name).empty()) start_job(txn, region);
  });
}

void add_fast_restore_jobs(jobs::Runner& runner, Regions& regions) {
  const auto work = [&regions](void (Work::*part)()) {
    return [&regions, part](jobs::Context& job) { (Work(regions.at(job.job().region), job).*part)(); };
  };
  runner.add({.name = job_kind,
              .steps = {{"pin", work(&Work::pin)}, {"warm", work(&Work::warm)}, {"show", work(&Work::show)}}});
}

}  // namespace kiln::control
