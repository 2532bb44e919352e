#include "control/usage.h"

#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>

#include "catalog/blocks.h"
#include "catalog/volumes.h"
#include "control/snapshots.h"

namespace kiln::control {
namespace {

struct Rows {
  std::vector<catalog::Snapshot> snapshots;  // completed
  std::vector<blocks::DiskId> disks;         // of each
  std::vector<catalog::Root> others;         // roots of volumes and sessions
  std::vector<catalog::Image> images;        // neither deregistered nor failed
  std::multimap<std::string, std::string> snapshots_of_image;
  std::vector<catalog::Pack> packs;
  std::vector<catalog::Volume> volumes;
};

Rows read_rows(Region& region) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    Rows rows;
    rows.snapshots = catalog::select<catalog::Snapshot>(
        txn, "WHERE region = $1 AND state = 'completed' ORDER BY started, id", {region.name});
    for (const auto& snapshot : rows.snapshots) rows.disks.push_back(snapshot_disk(txn, region, snapshot));
    rows.others = catalog::select<catalog::Root>(txn, "WHERE region = $1 AND kind <> 'snapshot'", {region.name});
    rows.images = catalog::select<catalog::Image>(
        txn, "WHERE region = $1 AND state IN ('pending', 'available', 'disabled') ORDER BY created, id", {region.name});
    for (const auto& device : catalog::select<catalog::ImageDevice>(txn, "WHERE region = $1", {region.name})) {
      if (!device.snapshot_id.empty()) rows.snapshots_of_image.emplace(device.image_id, device.snapshot_id);
    }
    rows.packs = catalog::packs(txn, region.name);
    rows.volumes = catalog::select<catalog::Volume>(txn, "WHERE region = $1", {region.name});
    return rows;
  });
}

blocks::DiskId disk_of(const catalog::Root& root) {
  const auto digest = base::Digest::from_hex(root.digest);
  if (!digest) throw std::runtime_error("the root of " + root.owner + " is no digest: '" + root.digest + "'");
  return {.root = *digest, .size_bytes = static_cast<std::uint64_t>(root.size_bytes)};
}

std::vector<blocks::RootUsage> use_of(Region& region, const std::vector<blocks::DiskId>& disks) {
  auto used = blocks::usage(region.store, disks);
  if (!used) throw std::runtime_error("region " + region.name + ": " + used.error().message());
  return std::move(*used);
}

std::uint64_t bytes_of_heads(const Rows& rows, const Region& region) {
  std::uint64_t bytes = 0;
  for (const auto& volume : rows.volumes) {
    const auto names = region.files.list(region.volume_directory(volume.id));
    if (!names) continue;  // not made yet, or gone already
    for (const auto& name : *names) {
      const auto file = region.files.open(region.volume_directory(volume.id) / name, base::Open::read);
      if (!file) continue;
      if (const auto allocated = (*file)->allocated()) bytes += *allocated;
    }
  }
  return bytes;
}

}  // namespace

Usage usage(Region& region) {
  const Rows rows = read_rows(region);
  Usage total;
  // A root that stands for the same disk twice (a volume and the snapshot it was made from) is one.
  auto all = rows.disks;
  for (const auto& root : rows.others) all.push_back(disk_of(root));
  const auto used = use_of(region, all);
  std::map<std::string, const blocks::RootUsage*> by_id;
  for (std::size_t i = 0; i < rows.snapshots.size(); ++i) {
    total.snapshots.push_back({.snapshot = rows.snapshots[i], .bytes = used[i]});
    by_id.emplace(rows.snapshots[i].id, &used[i]);
    total.logical_bytes += used[i].logical_bytes;
  }
  for (const auto& image : rows.images) {
    auto& entry = total.images.emplace_back(ImageUsage{.image = image, .bytes = {}});
    const auto [first, last] = rows.snapshots_of_image.equal_range(image.id);
    for (auto at = first; at != last; ++at) {
      const auto found = by_id.find(at->second);
      if (found == by_id.end()) continue;
      entry.bytes.logical_bytes += found->second->logical_bytes;
      entry.bytes.data_bytes += found->second->data_bytes;
      entry.bytes.stored_bytes += found->second->stored_bytes;
      entry.bytes.exclusive_bytes += found->second->exclusive_bytes;
    }
  }
  const auto indexed = region.store.packs();
  if (!indexed) throw std::runtime_error("the packs of the store: " + indexed.error().message());
  for (const auto& pack : *indexed) total.store_bytes += pack.size_bytes;
  for (const auto& pack : rows.packs) {
    if (pack.state == "condemned") total.condemned_bytes += static_cast<std::uint64_t>(pack.bytes);
  }
  const auto marked = blocks::mark(region.store, all);
  if (!marked) throw std::runtime_error("region " + region.name + ": " + marked.error().message());
  total.live_bytes = marked->live_bytes;
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
  VerifiedRegion answer{.done = verified->done, .roots = rows.size(), .bad = {}};
  for (const auto& bad : verified->bad) answer.bad.push_back({.root = rows.at(bad.root), .bad = bad});
  return answer;
}

}  // namespace kiln::control
