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
  std::vector<blocks::DiskId> roots;  // distinct, without disks of zeros
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
    return start;
  });
}

PackId pack_id(const std::string& text) {
  const auto id = PackId::from_text(text);
  if (!id) throw std::runtime_error("'" + text + "' is no pack id");
  return *id;
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

// What uploads that died left behind: rows without a living session, and packs without a row. A row is written before
// its pack, and a session that was ended writes no rows, so neither can be somebody's work.
void forget_unfinished(Region& region, Collected& report) {
  const auto indexed = region.store.packs();
  if (!indexed) throw std::runtime_error("the packs of the store: " + indexed.error().message());
  std::vector<std::string> dead;
  std::set<std::string> known;
  catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    dead.clear();
    known.clear();
    for (const auto& pack : catalog::packs(txn, region.name)) {
      if (pack.state != "deleted") known.insert(pack.id);
      if (pack.state != "uploading" || catalog::find_session(txn, region.name, pack.session)) continue;
      txn.execute("UPDATE pack SET state = 'deleting' WHERE region = $1 AND id = $2", {region.name, pack.id});
      dead.push_back(pack.id);
    }
    return true;
  });
  std::map<std::string, std::uint64_t> sizes;
  for (const auto& pack : *indexed) sizes[pack.id.text()] = pack.size_bytes;
  for (const auto& id : dead) {
    report.deleted_packs += 1;
    report.deleted_bytes += sizes.contains(id) ? sizes[id] : 0;
  }
  for (const auto& [id, bytes] : sizes) {
    if (known.contains(id)) continue;
    base::log_warning("control", "pack {} is in no row of region {}: removed", id, region.name);
    forget(region, pack_id(id));
    report.deleted_packs += 1;
    report.deleted_bytes += bytes;
  }
}

// A living session may have found the pack before it was condemned, and will have to read what it stores again.
bool may_be_known(catalog::Txn& txn, const Region& region, std::int64_t condemned_epoch) {
  const auto sessions = catalog::sessions(txn, region.name);
  return std::any_of(sessions.begin(), sessions.end(),
                     [&](const auto& session) { return session_epoch(session.id) <= condemned_epoch; });
}

std::string why_not(const Start& start, const blocks::Marked& marked, std::uint64_t going_bytes) {
  if (start.root_rows == 0 && !marked.packs.empty() && going_bytes >= interlock_least_bytes) {
    return "the region has no root at all, and its store has packs: force, if that is meant";
  }
  if (going_bytes >= interlock_least_bytes && going_bytes > marked.total_bytes / interlock_share) {
    return std::to_string(going_bytes) + " of " + std::to_string(marked.total_bytes) +
           " bytes would go, which is more than a fifth: force, if that is meant";
  }
  return {};
}

// One round: mark, revive or condemn, delete. Returns what it condemned.
std::uint64_t round(Region& region, const CollectOptions& options, Collected& report) {
  const Start start = raise_epoch(region);
  const auto marked = blocks::mark(region.store, start.roots);
  // A mark that is not complete says nothing about what may go.
  if (!marked) throw std::runtime_error("nothing was collected, a root cannot be read: " + marked.error().message());
  report.epoch = start.epoch;
  report.roots = start.root_rows;
  report.live_bytes = marked->live_bytes;

  const auto now = region.clock.now();
  std::uint64_t condemned = 0, going_bytes = 0;
  std::vector<Pack> going;
  const auto use = [&](const Pack& pack) {
    const auto found = marked->packs.find(pack_id(pack.id));
    return found == marked->packs.end() ? blocks::PackUse{} : found->second;
  };
  for (const auto& pack : packs_in_state(region, "condemned")) {
    if (use(pack).live_records > 0) {
      region.catalog.run_in_txn([&](catalog::Txn& txn) { catalog::revive_pack(txn, region.name, pack.id); });
    } else if (pack.condemned_epoch < start.epoch && pack.condemned && *pack.condemned <= now - options.grace) {
      going.push_back(pack);
      going_bytes += static_cast<std::uint64_t>(pack.bytes);
    }
  }
  for (const auto& pack : packs_in_state(region, "live")) {
    const auto used = use(pack);
    if (used.live_records > 0) {
      region.catalog.run_in_txn([&](catalog::Txn& txn) {
        txn.execute("UPDATE pack SET live_bytes = $3 WHERE region = $1 AND id = $2",
                    {region.name, pack.id, static_cast<std::int64_t>(used.live_bytes)});
      });
    } else if (catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
                 // Of two collections the one that began later condemns: a session that began between them has an epoch
                 // that says it cannot know what the earlier one condemned.
                 return catalog::current_epoch(txn, region.name) == start.epoch &&
                        catalog::condemn_pack(txn, region.name, pack.id, start.epoch, now);
               })) {
      condemned += 1;
      report.condemned_packs += 1;
      report.condemned_bytes += static_cast<std::uint64_t>(pack.bytes);
    }
  }
  report.refused = options.force ? std::string() : why_not(start, *marked, going_bytes);
  if (!report.refused.empty()) return condemned;
  for (const auto& pack : going) {
    const bool goes = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
      return !may_be_known(txn, region, pack.condemned_epoch) &&
             catalog::begin_delete_pack(txn, region.name, pack.id, start.epoch, now - options.grace);
    });
    if (!goes) continue;
    report.deleted_packs += 1;
    report.deleted_bytes += use(pack).total_bytes;
  }
  forget_deleting(region);
  return condemned;
}

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
  const auto condemned = round(region, options, report);
  forget_unfinished(region, report);
  forget_deleting(region);
  // Without a grace what this mark condemned goes after the next one.
  if (options.grace == 0 && condemned > 0) round(region, options, report);
  return report;
}

}  // namespace kiln::control
