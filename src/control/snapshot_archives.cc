// The jobs of the archive tier, and the files.

#include "control/snapshot_archives.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/ids.h"
#include "base/log.h"
#include "catalog/blocks.h"
#include "control/fast_restores.h"
#include "control/key_domains.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"
#include "control/upload_session.h"
#include "jobs/arguments.h"

namespace kiln::control {
namespace {

using base::Fault;
using catalog::Snapshot;
using catalog::SnapshotTier;
using catalog::Txn;

constexpr std::string_view suffix = ".archive", unfinished_suffix = ".archive.tmp";

base::Path archives_directory(const Region& region) { return region.directory / "archive"; }
base::Path unfinished_path(const Region& region, const std::string& snapshot_id) {
  return archives_directory(region) / (snapshot_id + std::string(unfinished_suffix));
}

template <class T>
T value_of(base::Result<T> result, const std::string& what) {
  if (!result && result.error().fault() == Fault::no_key) throw KeyNotAccessible();
  if (!result) throw std::runtime_error(what + ": " + result.error().message());
  return std::move(*result);
}

void check(const base::Status& done, const std::string& what) {
  if (!done && done.error().fault() == Fault::no_key) throw KeyNotAccessible();
  if (!done) throw std::runtime_error(what + ": " + done.error().message());
}

void remove_if_there(Region& region, const base::Path& path) {
  const auto gone = region.files.remove(path);
  if (!gone && gone.error().fault() != Fault::not_found) check(gone, "removing an archive");
}

// The snapshot was deleted, or went to the recycle bin, meanwhile.
struct NotWanted {};

class TierWork {
 public:
  TierWork(Region& region, jobs::Context& job) : region_(region), job_(job), id_(job.argument("snapshot")) {}

  // The archive in its place, durable, and read back.
  void write() {
    const auto row = wanted(tier_operation::archival);
    if (!row) return;
    const auto path = archive_path(region_, id_);
    if (!job_.argument("written").empty() && value_of(region_.files.exists(path), path.string())) return;
    const auto disk = catalog::in_read(region_.catalog, [&](Txn& txn) { return snapshot_disk(txn, region_, *row); });
    const auto domain = keys_of_domain(region_, domain_of(region_, row->kms_key_arn));
    remove();
    check(region_.files.make_directories(archives_directory(region_)), "the archives");
    const auto unfinished = unfinished_path(region_, id_);
    try {
      const auto file = value_of(region_.files.open(unfinished, base::Open::create_private), "the archive of " + id_);
      const auto made = value_of(write_archive(region_.store, {.name = id_, .disk = disk, .domain = domain}, *file,
                                               [&](auto done, auto all) { return tick(done * 50 / all); }),
                                 "archiving " + id_);
      const auto checked = value_of(
          check_archive(*file, region_.store.keys(), [&](auto done, auto all) { return tick(50 + done * 49 / all); }),
          "reading the archive of " + id_ + " back");
      if (!checked.decoded) throw KeyNotAccessible();
      if (!checked.bad.empty() || checked.contents.header.disk != disk) {
        throw std::runtime_error("the archive of " + id_ + " is not what was written: " +
                                 (checked.bad.empty() ? "another disk" : checked.bad.front().why));
      }
      check(region_.files.rename(unfinished, path), "the archive of " + id_);
      check(region_.files.sync_directory(archives_directory(region_)), "the archives");
      job_.note("written", std::to_string(made.size_bytes));
    } catch (const NotWanted&) {
      remove();
    }
  }

  void let_go() {
    const auto written = job_.argument("written");
    if (written.empty()) return;
    job_.in_txn([&](Txn& txn) {
      const auto row = wanted(txn, tier_operation::archival);
      if (!row) return;
      // An image may have come to use it since it was asked for.
      check_not_in_use(txn, region_, id_);
      auto tier = *catalog::find_snapshot_tier(txn, region_.name, id_);
      tier.tier = "archive";
      tier.operation = operation_text(tier_operation::archival, tier_operation::completed);
      tier.progress = 100;
      tier.archived = region_.clock.now();
      tier.archive_bytes = std::stoll(written);
      tier.damage.clear();
      tier.restore_days.reset();
      catalog::update(txn, tier);
      catalog::drop_roots(txn, region_.name, "snapshot", id_);
      end_fast_restores(txn, region_, id_);
    });
    region_.jobs.wake();
  }

  // Unless it is the only one that has the disk.
  void remove_unless_needed() {
    const auto tier = catalog::in_read(region_.catalog,
                                       [&](Txn& txn) { return catalog::find_snapshot_tier(txn, region_.name, id_); });
    if (!tier || tier->archive_bytes == 0) remove();
  }

  void bring() {
    const auto row = wanted({});
    if (!row) return;
    const auto domain = keys_of_domain(region_, domain_of(region_, row->kms_key_arn));
    const auto file =
        value_of(region_.files.open(archive_path(region_, id_), base::Open::read), "the archive of " + id_);
    const auto contents = value_of(blocks::read_archive_contents(*file), "the archive of " + id_);
    UploadSession session(region_, {.job = job_.job().id, .fence = job_.job().fence, .domain = domain});
    try {
      check(put_archive(*file, contents, domain.get(), session.ingest(),
                        [&](auto done, auto all) {
                          session.heartbeat();
                          return tick(done * 99 / all);
                        }),
            "restoring " + id_);
      const auto disk = session.store(contents.header.disk.size_bytes, [&] { job_.keep_alive(); });
      if (disk != contents.header.disk) throw std::runtime_error(id_ + " was restored as another disk");
      session.commit([&](const auto& body) { job_.in_txn(body); }, [&](Txn& txn) { show(txn, disk); });
    } catch (const NotWanted&) {
      // What was stored is garbage.
    }
  }

 private:
  void show(Txn& txn, const blocks::DiskId& disk) {
    if (!wanted(txn, {})) throw NotWanted{};
    catalog::insert(txn, catalog::Root{.region = region_.name,
                                       .kind = "snapshot",
                                       .owner = id_,
                                       .digest = disk.root.hex(),
                                       .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
    auto tier = *catalog::find_snapshot_tier(txn, region_.name, id_);
    restored(txn, region_, tier);
    catalog::update(txn, tier);
  }

  // The snapshot, while this operation on it, or any restore, is what its row says is under way.
  std::optional<Snapshot> wanted(Txn& txn, std::string_view operation) {
    auto row = catalog::find_snapshot(txn, region_.name, id_);
    const auto tier = catalog::find_snapshot_tier(txn, region_.name, id_);
    if (!row || !tier || row->state != "completed" || !tier->operation.ends_with(tier_operation::in_progress))
      return {};
    const bool archives = tier->operation.starts_with(tier_operation::archival);
    return archives == (operation == tier_operation::archival) ? row : std::nullopt;
  }
  std::optional<Snapshot> wanted(std::string_view operation) {
    return catalog::in_read(region_.catalog, [&](Txn& txn) { return wanted(txn, operation); });
  }

  // Once a second. Always goes on, or throws.
  bool tick(std::uint64_t percent) {
    const auto now = region_.clock.monotonic();
    if (now - last_tick_ < base::seconds(1)) return true;
    last_tick_ = now;
    job_.keep_alive();
    job_.in_txn([&](Txn& txn) {
      const auto row = catalog::find_snapshot(txn, region_.name, id_);
      if (!row || row->state != "completed") throw NotWanted{};
      txn.execute("UPDATE snapshot_tier SET progress = $3 WHERE region = $1 AND snapshot_id = $2",
                  {region_.name, id_, static_cast<std::int64_t>(percent)});
    });
    return true;
  }

  void remove() {
    remove_if_there(region_, unfinished_path(region_, id_));
    remove_if_there(region_, archive_path(region_, id_));
    const auto synced = region_.files.sync_directory(archives_directory(region_));
    if (!synced && synced.error().fault() != Fault::not_found) check(synced, "the archives");
  }

  Region& region_;
  jobs::Context& job_;
  const std::string id_;
  base::Micros last_tick_ = 0;
};

void fail(Txn& txn, const catalog::Job& job) {
  auto tier = catalog::find_snapshot_tier(txn, job.region, jobs::parse_arguments(job.arguments)["snapshot"]);
  if (!tier || !tier->operation.ends_with(tier_operation::in_progress)) return;
  const auto what = tier->operation.substr(0, tier->operation.size() - tier_operation::in_progress.size());
  tier->operation = operation_text(what, tier_operation::failed);
  tier->detail = job.error;
  tier->restore_days.reset();
  catalog::update(txn, *tier);
}

void note_damage(Region& region, const std::string& snapshot_id, const std::string& damage) {
  region.catalog.run_in_txn([&](Txn& txn) {
    auto tier = catalog::find_snapshot_tier(txn, region.name, snapshot_id);
    if (!tier || tier->damage == damage) return;
    tier->damage = damage;
    catalog::update(txn, *tier);
  });
}

}  // namespace

base::Path archive_path(const Region& region, const std::string& snapshot_id) {
  return archives_directory(region) / (snapshot_id + std::string(suffix));
}

void start_tier_job(Txn& txn, Region& region, const char* kind, const std::string& snapshot_id) {
  const bool even = snapshot_id.back() % 2 == 0;
  region.jobs.start(txn, {.region = region.name,
                          .kind = kind,
                          .subject = even ? "archiving-a" : "archiving-b",
                          .arguments = {{"snapshot", snapshot_id}}});
}

std::optional<ArchiveCheck> check_archive_of(Region& region, const std::string& snapshot_id,
                                             const std::function<bool()>& go_on) {
  const auto has_archive = [&] {
    return catalog::in_read(region.catalog, [&](Txn& txn) {
      const auto tier = catalog::find_snapshot_tier(txn, region.name, snapshot_id);
      return tier && tier->archive_bytes > 0;
    });
  };
  const auto file = region.files.open(archive_path(region, snapshot_id), base::Open::read);
  const auto checked =
      file ? check_archive(**file, region.store.keys(), [&](std::uint64_t, std::uint64_t) { return !go_on || go_on(); })
           : base::Result<blocks::CheckedArchive>(file.error());
  if (!has_archive()) return {};
  ArchiveCheck report{.snapshot_id = snapshot_id, .bad = {}};
  if (checked) {
    report.bytes = checked->contents.size_bytes;
    report.chunks = checked->contents.header.chunks;
    report.bad = checked->bad;
  } else if (checked.error().fault() == Fault::busy) {
    throw std::runtime_error("the check of archives was stopped");
  } else {
    report.bad.push_back({.why = checked.error().message()});
  }
  std::string damage;
  for (const auto& bad : report.bad) {
    damage = "frame " + std::to_string(bad.frame) + " at byte " + std::to_string(bad.offset) + ": " + bad.why;
    base::log_error("control", "the archive of {} is damaged: {}", snapshot_id, damage);
  }
  note_damage(region, snapshot_id, damage);
  return report;
}

std::vector<StrayArchive> stray_archives(Region& region) {
  const auto names = region.files.list(archives_directory(region));
  if (!names && names.error().fault() == Fault::not_found) return {};
  // Listed before the rows are read: a row comes before its file.
  const auto files = value_of(names, "the archives");
  std::set<std::string> known;
  region.catalog.read([&](Txn& txn) {
    for (const auto& tier : catalog::snapshot_tiers(txn, region.name)) known.insert(tier.snapshot_id);
    for (const auto& job : catalog::unfinished_jobs(txn, region.name)) {
      if (job.subject.starts_with("archiving-")) known.insert(jobs::parse_arguments(job.arguments)["snapshot"]);
    }
  });
  std::vector<StrayArchive> strays;
  for (const auto& name : files) {
    if (known.contains(name.substr(0, name.find('.')))) continue;
    const auto file = region.files.open(archives_directory(region) / name, base::Open::read);
    const auto size = file ? (*file)->size() : base::Result<std::uint64_t>(file.error());
    strays.push_back({.file = name, .bytes = size ? *size : 0});
  }
  return strays;
}

void remove_stray_archive(Region& region, const std::string& file) {
  base::log_warning("control", "{} is the archive of no snapshot of region {}: removed", file, region.name);
  remove_if_there(region, archives_directory(region) / file);
}

void add_tier_jobs(jobs::Runner& runner, Regions& regions) {
  const auto work = [&regions](void (TierWork::*part)()) {
    return [&regions, part](jobs::Context& job) { (TierWork(regions.at(job.job().region), job).*part)(); };
  };
  runner.add({.name = tier_job::archive,
              .steps = {{"write", work(&TierWork::write), work(&TierWork::remove_unless_needed)},
                        {"let go", work(&TierWork::let_go)}},
              .on_failed = fail});
  runner.add({.name = tier_job::restore, .steps = {{"bring", work(&TierWork::bring)}}, .on_failed = fail});
  runner.add({.name = tier_job::remove, .steps = {{"remove", work(&TierWork::remove_unless_needed)}}});
}

}  // namespace kiln::control
