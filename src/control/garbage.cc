#include "control/garbage.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/log.h"
#include "blocks/mark.h"
#include "catalog/blocks.h"
#include "catalog/jobs.h"
#include "control/compaction.h"
#include "control/snapshot_tiers.h"
#include "control/upload_session.h"

namespace kiln::control {
namespace {

using blocks::PackId;
using catalog::Pack;

// What a fifth of a store may be that is deleted without anybody's confirmation, and what is too little to ask about.
constexpr std::uint64_t interlock_share = 5;
constexpr std::uint64_t interlock_least_bytes = std::uint64_t{1} << 30;

struct Start {
  std::int64_t epoch = 0;
  std::vector<blocks::DiskId> roots;     // distinct, without disks of zeros
  std::vector<blocks::KnownPack> packs;  // live and condemned
  std::size_t root_rows = 0;
};

// A session whose job has ended, or never was, is dead; one of an import lives until its process does.
void end_sessions_of_ended_jobs(catalog::Txn& txn, Region& region) {
  for (const auto& session : catalog::sessions(txn, region.name)) {
    if (session.job.empty()) continue;
    const auto job = catalog::find_job(txn, region.name, session.job);
    if (!job || job->state == "done" || job->state == "failed") end_session(txn, region, session.id);
  }
}

PackId pack_id(const std::string& text) {
  const auto id = PackId::from_text(text);
  if (!id) throw std::runtime_error("'" + text + "' is no pack id");
  return *id;
}

Start raise_epoch(Region& region) {
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    Start start;
    end_sessions_of_ended_jobs(txn, region);
    start.epoch = catalog::next_epoch(txn, region.name);
    std::set<std::string> seen;
    const auto roots = catalog::roots(txn, region.name);
    start.root_rows = roots.size();
    for (const auto& root : roots) {
      if (!seen.insert(root.digest).second) continue;
      const auto digest = base::Digest::from_hex(root.digest);
      if (!digest) throw std::runtime_error("the root of " + root.owner + " is no digest: '" + root.digest + "'");
      if (digest->is_null()) continue;
      start.roots.push_back({.root = *digest, .size_bytes = static_cast<std::uint64_t>(root.size_bytes)});
    }
    for (const auto& pack : catalog::packs(txn, region.name)) {
      if (pack.state != "live" && pack.state != "condemned") continue;
      start.packs.push_back({.id = pack_id(pack.id), .condemned = pack.state == "condemned"});
    }
    return start;
  });
}

std::vector<Pack> packs_in_state(Region& region, const std::string& state) {
  return catalog::in_read(region.catalog,
                          [&](catalog::Txn& txn) { return catalog::packs_in_state(txn, region.name, state); });
}

void forget(Region& region, const PackId& id) {
  if (auto gone = region.store.forget_pack(id); !gone) {
    throw std::runtime_error("deleting pack " + id.text() + ": " + gone.error().message());
  }
}

// The row stays as a tombstone, so that a pack file that turns up again is known for what it is.
void forget_deleting(Region& region) {
  for (const auto& pack : packs_in_state(region, "deleting")) {
    forget(region, pack_id(pack.id));
    region.catalog.run_in_txn([&](catalog::Txn& txn) {
      txn.execute("UPDATE pack SET state = 'deleted' WHERE region = $1 AND id = $2", {region.name, pack.id});
    });
  }
}

// What uploads that died left behind: rows without a living session. A row is written before its pack, and a session
// that was ended writes no rows, so they cannot be somebody's work.
void forget_unfinished(Region& region, Collected& report) {
  std::vector<std::string> dead;
  catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    dead.clear();
    for (const auto& pack : catalog::packs_in_state(txn, region.name, "uploading")) {
      if (catalog::find_session(txn, region.name, pack.session)) continue;
      txn.execute("UPDATE pack SET state = 'deleting' WHERE region = $1 AND id = $2", {region.name, pack.id});
      dead.push_back(pack.id);
    }
    return true;
  });
  for (const auto& id : dead) {
    const auto size = region.store.pack_store().size(pack_id(id));
    report.deleted_packs += 1;
    report.deleted_bytes += size ? *size : 0;
  }
  forget_deleting(region);
}

struct Stray {
  PackId id;
  std::uint64_t bytes = 0;
};

// Packs that are in no row, or in that of a deleted one: an upload that was ended while it wrote, or a catalog that is
// older than the store. The packs are listed before the rows are read, and a row comes before its pack. Files as well
// as what the index knows: it forgets a pack first, and the process may end, or the power go, before its file is gone.
std::vector<Stray> strays(Region& region) {
  const auto indexed = region.store.packs();
  if (!indexed) throw std::runtime_error("the packs of the store: " + indexed.error().message());
  const auto files = region.store.pack_store().list();
  if (!files) throw std::runtime_error("the files of the store: " + files.error().message());
  std::set<std::string> known;
  catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    for (const auto& pack : catalog::packs(txn, region.name)) known.insert(pack.id);
    return true;
  });
  std::map<PackId, std::uint64_t> found;
  for (const auto& id : *files) {
    if (known.contains(id.text())) continue;
    const auto bytes = region.store.pack_store().size(id);
    found.emplace(id, bytes ? *bytes : 0);
  }
  for (const auto& pack : *indexed) {
    if (!known.contains(pack.id.text())) found.emplace(pack.id, pack.size_bytes);
  }
  std::vector<Stray> strays;
  for (const auto& [id, bytes] : found) strays.push_back({.id = id, .bytes = bytes});
  return strays;
}

// A living session may have found the pack before it was condemned, and will have to read what it stores again.
bool may_be_known(catalog::Txn& txn, const Region& region, std::int64_t condemned_epoch) {
  const auto sessions = catalog::sessions(txn, region.name);
  return std::any_of(sessions.begin(), sessions.end(),
                     [&](const auto& session) { return session_epoch(session.id) <= condemned_epoch; });
}

std::string why_not(const Start& start, const blocks::Marked& marked, std::uint64_t going_bytes) {
  if (start.root_rows == 0 && going_bytes >= interlock_least_bytes) {
    return "the region has no root at all, and its store has packs: force, if that is meant";
  }
  if (going_bytes >= interlock_least_bytes && going_bytes > marked.total_bytes / interlock_share) {
    return std::to_string(going_bytes) + " of " + std::to_string(marked.total_bytes) +
           " bytes would go, which is more than a fifth: force, if that is meant";
  }
  return {};
}

// One round of collect(): mark, revive, condemn, compact, delete.
class Round {
 public:
  Round(Region& region, const CollectOptions& options, Collected& report)
      : region_(region), options_(options), report_(report), now_(region.clock.now()) {}

  // Returns how many packs it condemned.
  std::uint64_t run() {
    start_ = raise_epoch(region_);
    tell_readers();
    auto marked = blocks::mark(region_.store, {.roots = start_.roots, .packs = start_.packs, .go_on = options_.go_on});
    // A mark that is not complete says nothing about what may go.
    if (!marked) throw std::runtime_error("nothing was collected, a root cannot be read: " + marked.error().message());
    marked_ = std::move(*marked);
    report_.epoch = start_.epoch;
    report_.roots = start_.root_rows;
    report_.live_bytes = marked_.live_bytes;
    const auto before = report_.condemned_packs;
    revive();
    condemn();
    compact_packs(region_, marked_, start_.epoch, options_, report_);
    remove();
    return report_.condemned_packs - before;
  }

 private:
  const blocks::PackUse& use(const Pack& pack) const {
    static const blocks::PackUse none;
    const auto found = marked_.packs.find(pack_id(pack.id));
    return found == marked_.packs.end() ? none : found->second;
  }

  // Sets right what a crash may have left out. Readers that are told late, or of too much, read all the same.
  void tell_readers() {
    std::set<PackId> condemned;
    for (const auto& pack : start_.packs) {
      if (pack.condemned) condemned.insert(pack.id);
    }
    if (auto told = region_.store.condemned().set(condemned); !told) {
      throw std::runtime_error("telling readers what is condemned: " + told.error().message());
    }
  }

  // Condemned packs that are needed, or were read: the first must not happen, the second means that it may have.
  void revive() {
    const auto read = region_.store.condemned().read_ones();
    if (!read) throw std::runtime_error("what readers said of condemned packs: " + read.error().message());
    for (const auto& pack : packs_in_state(region_, "condemned")) {
      const bool needed = use(pack).live_records > 0;
      if (pack.condemned_epoch >= start_.epoch || (!needed && !read->contains(pack_id(pack.id)))) continue;
      if (needed && use(pack).required_records == 0) {
        // An upload that stores again copies the bases that it uses and not theirs, which may be condemned by then.
        base::log_info("control", "pack {} was condemned and a dead record that stays needs it: it is live again",
                       pack.id);
      } else {
        base::log_error("control", "pack {} was condemned and is {}: it is live again", pack.id,
                        needed ? "needed" : "read by somebody");
        report_.wrongly_condemned_packs += needed ? 1 : 0;
      }
      auto revived = catalog::in_txn(region_.catalog, [&](catalog::Txn& txn) {
        std::set<PackId> live;
        if (catalog::revive_pack(txn, region_.name, pack.id)) keep_what_is_needed(txn, {pack_id(pack.id)}, live);
        live.insert(pack_id(pack.id));
        return live;
      });
      tell_readers_of_revived(revived);
    }
  }

  // What stays keeps the packs that hold bases of its records. Adds those that were condemned to revived.
  void keep_what_is_needed(catalog::Txn& txn, std::vector<PackId> staying, std::set<PackId>& revived) const {
    while (!staying.empty()) {
      const auto found = marked_.packs.find(staying.back());
      staying.pop_back();
      if (found == marked_.packs.end()) continue;
      for (const auto& needed : found->second.needs) {
        if (!catalog::revive_pack(txn, region_.name, needed.text())) continue;
        revived.insert(needed);
        staying.push_back(needed);
      }
    }
  }

  void tell_readers_of_revived(const std::set<PackId>& revived) {
    for (const auto& id : revived) {
      report_.revived_packs += 1;
      if (auto told = region_.store.condemned().remove(id); !told) {
        throw std::runtime_error("reviving pack " + id.text() + ": " + told.error().message());
      }
    }
  }

  // In one transaction, because a pack that stays keeps those that hold its records' bases.
  void condemn() {
    std::set<PackId> revived;
    const auto condemned = catalog::in_txn(region_.catalog, [&](catalog::Txn& txn) {
      std::map<PackId, Pack> going;
      // Of two collections the one that began later condemns: a session that began between them has an epoch that says
      // it cannot know what the earlier one condemned.
      if (catalog::current_epoch(txn, region_.name) != start_.epoch) return going;
      std::vector<PackId> staying;
      for (const auto& pack : catalog::packs_in_state(txn, region_.name, "live")) {
        const auto id = pack_id(pack.id);
        const auto found = marked_.packs.find(id);
        if (found == marked_.packs.end()) continue;  // it became live after the mark began
        if (found->second.live_records > 0) {
          txn.execute("UPDATE pack SET live_bytes = $3 WHERE region = $1 AND id = $2",
                      {region_.name, pack.id, static_cast<std::int64_t>(found->second.live_bytes)});
        } else if (catalog::condemn_pack(txn, region_.name, pack.id, start_.epoch, now_)) {
          going.emplace(id, pack);
        } else {
          staying.push_back(id);
        }
      }
      revived.clear();
      keep_what_is_needed(txn, staying, revived);
      for (auto it = revived.begin(); it != revived.end();)
        it = going.erase(*it) > 0 ? revived.erase(it) : std::next(it);
      return going;
    });
    tell_readers_of_revived(revived);
    for (const auto& [id, pack] : condemned) {
      report_.condemned_packs += 1;
      report_.condemned_bytes += static_cast<std::uint64_t>(pack.bytes);
      if (auto told = region_.store.condemned().add(id); !told) {
        base::log_warning("control", "readers are not told of pack {}: {}", pack.id, told.error().message());
      }
    }
  }

  bool is_due(const Pack& pack) const {
    return pack.condemned_epoch < start_.epoch && pack.condemned && *pack.condemned <= now_ - options_.grace &&
           marked_.packs.contains(pack_id(pack.id)) && use(pack).live_records == 0;
  }

  void remove() {
    std::vector<Pack> due;
    std::uint64_t going_bytes = 0;
    for (const auto& pack : packs_in_state(region_, "condemned")) {
      if (!is_due(pack)) continue;
      due.push_back(pack);
      going_bytes += static_cast<std::uint64_t>(pack.bytes - pack.live_bytes);
    }
    forget_unfinished(region_, report_);
    const auto stray = strays(region_);
    for (const auto& pack : stray) going_bytes += pack.bytes;
    const auto archives = stray_archives(region_);
    for (const auto& archive : archives) going_bytes += archive.bytes;
    report_.refused = options_.force ? std::string() : why_not(start_, marked_, going_bytes);
    if (!report_.refused.empty()) return;
    for (const auto& pack : due) {
      // The last look at what readers said is right before the transaction after which there is no way back.
      const auto read = region_.store.condemned().read_ones();
      if (!read || read->contains(pack_id(pack.id))) continue;
      const bool goes = catalog::in_txn(region_.catalog, [&](catalog::Txn& txn) {
        return !may_be_known(txn, region_, pack.condemned_epoch) &&
               catalog::begin_delete_pack(txn, region_.name, pack.id, start_.epoch, now_ - options_.grace);
      });
      if (!goes) continue;
      report_.deleted_packs += 1;
      report_.deleted_bytes += use(pack).total_bytes;
    }
    for (const auto& pack : stray) {
      base::log_warning("control", "pack {} is in no row of region {}: removed", pack.id.text(), region_.name);
      forget(region_, pack.id);
      report_.deleted_packs += 1;
      report_.deleted_bytes += pack.bytes;
    }
    for (const auto& archive : archives) {
      remove_stray_archive(region_, archive.file);
      report_.deleted_archives += 1;
      report_.deleted_archive_bytes += archive.bytes;
    }
    forget_deleting(region_);
  }

  Region& region_;
  const CollectOptions& options_;
  Collected& report_;
  const base::Micros now_;
  Start start_;
  blocks::Marked marked_;
};

}  // namespace

Collected collect(Region& region, const CollectOptions& options) {
  Collected report;
  const auto before = region.store.packs();
  if (!before) throw std::runtime_error("the packs of the store: " + before.error().message());
  for (const auto& pack : *before) {
    report.packs += 1;
    report.bytes += pack.size_bytes;
  }
  forget_deleting(region);
  const auto condemned = Round(region, options, report).run();
  // Without a grace what this mark condemned goes after the next one, which has nothing to compact any more.
  if (options.grace == 0 && condemned > 0) {
    auto again = options;
    again.compact_below_percent = 0;
    Round(region, again, report).run();
  }
  return report;
}

}  // namespace kiln::control
