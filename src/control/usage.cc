#include "control/usage.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>

#include "catalog/blocks.h"
#include "catalog/volumes.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"

namespace kiln::control {
namespace {

struct Rows {
  std::vector<catalog::Snapshot> snapshots;  // completed
  std::vector<blocks::DiskId> disks;         // of each
  std::vector<catalog::Snapshot> archived;   // completed ones that are in the archive tier
  std::vector<catalog::SnapshotTier> tiers;  // those with an archive
  std::vector<catalog::Root> others;         // roots of volumes, sessions and started snapshots
  std::vector<catalog::Image> images;        // neither deregistered nor failed
  std::multimap<std::string, std::string> snapshots_of_image;
  std::vector<catalog::Pack> packs;
  std::vector<catalog::Volume> volumes;
  std::vector<catalog::StartedSnapshot> started;
};

Rows read_rows(Region& region) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    Rows rows;
    rows.snapshots = catalog::select<catalog::Snapshot>(
        txn, "WHERE region = $1 AND state = 'completed' ORDER BY started, id", {region.name});
    rows.tiers = catalog::select<catalog::SnapshotTier>(
        txn, "WHERE region = $1 AND archive_bytes > 0 ORDER BY snapshot_id", {region.name});
    std::erase_if(rows.snapshots, [&](const catalog::Snapshot& snapshot) {
      const bool is_archived = std::ranges::any_of(
          rows.tiers, [&](const auto& tier) { return tier.snapshot_id == snapshot.id && tier.tier == "archive"; });
      if (is_archived) rows.archived.push_back(snapshot);
      return is_archived;
    });
    for (const auto& snapshot : rows.snapshots) rows.disks.push_back(snapshot_disk(txn, region, snapshot));
    rows.others = catalog::select<catalog::Root>(txn, "WHERE region = $1 AND kind <> 'snapshot'", {region.name});
    rows.images = catalog::select<catalog::Image>(
        txn, "WHERE region = $1 AND state IN ('pending', 'available', 'disabled') ORDER BY created, id", {region.name});
    for (const auto& device : catalog::select<catalog::ImageDevice>(txn, "WHERE region = $1", {region.name})) {
      if (!device.snapshot_id.empty()) rows.snapshots_of_image.emplace(device.image_id, device.snapshot_id);
    }
    rows.packs = catalog::packs(txn, region.name);
    rows.volumes = catalog::select<catalog::Volume>(txn, "WHERE region = $1", {region.name});
    rows.started = catalog::started_snapshots(txn, region.name);
    return rows;
  });
}

blocks::DiskId disk_of(const catalog::Root& root) {
  const auto digest = base::Digest::from_hex(root.digest);
  if (!digest) throw std::runtime_error("the root of " + root.owner + " is no digest: '" + root.digest + "'");
  return {.root = *digest, .size_bytes = static_cast<std::uint64_t>(root.size_bytes)};
}

// The packs whose copies count; those of uploads that are under way are nobody's yet.
std::vector<blocks::KnownPack> known_packs(const Rows& rows) {
  std::vector<blocks::KnownPack> known;
  for (const auto& pack : rows.packs) {
    const auto id = blocks::PackId::from_text(pack.id);
    if (!id) throw std::runtime_error("'" + pack.id + "' is no pack id");
    if (pack.state == "live" || pack.state == "condemned") {
      known.push_back({.id = *id, .condemned = pack.state == "condemned"});
    }
  }
  return known;
}

std::vector<DamagedRecord> damaged_records(Region& region) {
  std::vector<DamagedRecord> found;
  const auto bad = region.store.bad_records().list();
  for (const auto& place : bad) {
    const auto copies = region.store.locations(place.id);
    const bool healed = copies && std::any_of(copies->begin(), copies->end(), [&](const auto& copy) {
                          return copy.kind == place.location.kind && !region.store.bad_records().contains(copy);
                        });
    found.push_back({.place = place, .healed = healed});
  }
  return found;
}

std::uint64_t allocated_in(base::Files& files, const base::Path& directory) {
  std::uint64_t bytes = 0;
  const auto names = files.list(directory);
  if (!names) return 0;  // not made yet, or gone already
  for (const auto& name : *names) {
    const auto file = files.open(directory / name, base::Open::read);
    if (!file) continue;
    if (const auto allocated = (*file)->allocated()) bytes += *allocated;
  }
  return bytes;
}

std::uint64_t bytes_of_heads(const Rows& rows, const Region& region) {
  std::uint64_t bytes = 0;
  for (const auto& volume : rows.volumes) bytes += allocated_in(region.files, region.volume_directory(volume.id));
  for (const auto& row : rows.started) {
    bytes += allocated_in(region.files, region.snapshot_heads.directory_of(row.id));
  }
  return bytes;
}

void add_archives(const Rows& rows, Usage& total) {
  for (const auto& tier : rows.tiers) {
    const auto bytes = static_cast<std::uint64_t>(tier.archive_bytes);
    total.archive_bytes += bytes;
    if (!tier.damage.empty()) total.damaged_archives.push_back(tier);
    const auto snapshot = std::ranges::find(rows.archived, tier.snapshot_id, &catalog::Snapshot::id);
    if (snapshot == rows.archived.end()) continue;
    const auto logical = static_cast<std::uint64_t>(snapshot->size_bytes);
    total.snapshots.push_back({.snapshot = *snapshot,
                               .bytes = {.logical_bytes = logical,
                                         .data_bytes = static_cast<std::uint64_t>(snapshot->full_bytes),
                                         .stored_bytes = bytes,
                                         .exclusive_bytes = bytes}});
    total.logical_bytes += logical;
  }
}

void verify_archives(Region& region, const std::function<bool(const blocks::VerifyProgress&)>& progress,
                     VerifiedRegion& answer) {
  const auto tiers =
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return catalog::snapshot_tiers(txn, region.name); });
  for (const auto& tier : tiers) {
    if (tier.archive_bytes == 0) continue;
    const auto checked = check_archive_of(region, tier.snapshot_id, [&] { return !progress || progress(answer.done); });
    if (!checked) continue;
    answer.roots += 1;
    answer.done.chunks += checked->chunks;
    answer.done.plain_bytes += checked->chunks * blocks::chunk_bytes;
    for (const auto& bad : checked->bad) {
      answer.bad.push_back({.root = {.region = region.name, .kind = "archive", .owner = tier.snapshot_id},
                            .bad = {.id = {},
                                    .location = {},
                                    .lost = true,
                                    .chunk_index = bad.chunk_index,
                                    .why = "the archive, at byte " + std::to_string(bad.offset) + ": " + bad.why}});
    }
  }
}

}  // namespace

Usage usage(Region& region, const std::function<bool()>& go_on) {
  const Rows rows = read_rows(region);
  Usage total;
  // A root that stands for the same disk twice (a volume and the snapshot it was made from) is one.
  auto all = rows.disks;
  for (const auto& root : rows.others) all.push_back(disk_of(root));
  std::map<std::string, std::size_t> by_id;
  for (std::size_t i = 0; i < rows.snapshots.size(); ++i) by_id.emplace(rows.snapshots[i].id, i);
  std::vector<std::vector<std::size_t>> groups;
  for (const auto& image : rows.images) {
    auto& group = groups.emplace_back();
    const auto [first, last] = rows.snapshots_of_image.equal_range(image.id);
    for (auto at = first; at != last; ++at) {
      const auto found = by_id.find(at->second);
      if (found != by_id.end() && std::ranges::find(group, found->second) == group.end())
        group.push_back(found->second);
    }
  }
  const auto packs = known_packs(rows);
  const auto used = blocks::usage(region.store, {.roots = all, .groups = groups, .packs = packs, .go_on = go_on});
  if (!used) throw std::runtime_error("region " + region.name + ": " + used.error().message());
  for (std::size_t i = 0; i < rows.snapshots.size(); ++i) {
    total.snapshots.push_back({.snapshot = rows.snapshots[i], .bytes = used->roots[i]});
    total.logical_bytes += used->roots[i].logical_bytes;
  }
  add_archives(rows, total);
  for (std::size_t i = 0; i < rows.images.size(); ++i) {
    total.images.push_back({.image = rows.images[i], .bytes = used->groups[i]});
  }
  total.live_bytes = used->live_bytes;
  const auto indexed = region.store.packs();
  if (!indexed) throw std::runtime_error("the packs of the store: " + indexed.error().message());
  for (const auto& pack : *indexed) total.store_bytes += pack.size_bytes;
  for (const auto& pack : rows.packs) {
    if (pack.state == "condemned") total.condemned_bytes += static_cast<std::uint64_t>(pack.bytes);
  }
  total.damaged = damaged_records(region);
  total.volume_bytes = bytes_of_heads(rows, region);
  std::error_code ignored;
  total.free_bytes = std::filesystem::space(region.directory, ignored).available;
  if (ignored) total.free_bytes = 0;
  return total;
}

VerifiedRegion verify(Region& region, const std::function<bool(const blocks::VerifyProgress&)>& progress) {
  const auto rows =
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return catalog::roots(txn, region.name); });
  std::vector<blocks::DiskId> disks;
  for (const auto& row : rows) disks.push_back(disk_of(row));
  const auto verified = blocks::verify(region.store, disks, progress);
  if (!verified) throw std::runtime_error("region " + region.name + ": " + verified.error().message());
  // What is bad must not be found for deduplication from here on, so that the next store of it heals it.
  std::vector<blocks::BadPlace> places;
  for (const auto& bad : verified->bad) {
    if (bad.location) places.push_back({.location = *bad.location, .id = bad.id, .why = bad.why});
  }
  if (auto noted = region.store.bad_records().add(places); !noted) {
    throw std::runtime_error("noting bad records: " + noted.error().message());
  }
  VerifiedRegion answer{.done = verified->done, .roots = rows.size(), .bad = {}};
  for (const auto& bad : verified->bad) answer.bad.push_back({.root = rows.at(bad.root), .bad = bad});
  verify_archives(region, progress, answer);
  return answer;
}

}  // namespace kiln::control
