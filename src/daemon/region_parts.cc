#include "daemon/region_parts.h"

#include <stdexcept>

#include "control/key_domains.h"

namespace kiln::daemon {
namespace {

void make_directories(base::Files& files, const base::Path& directory) {
  for (const auto* name : {"store", "volumes", "run", "console"}) {
    const auto made = files.make_directories(directory / name);
    if (!made) throw std::runtime_error(made.error().message());
  }
}

}  // namespace

RegionParts::RegionParts(const Config& config, const RegionConfig& region, const Shared& shared)
    : config_(config), region_(region), shared_(shared), directory_(config.data / "regions" / region.name) {
  make_directories(shared.files, directory_);
  const auto keyring = std::make_shared<blocks::Keyring>();
  keyring->set_loader(control::domain_loader(shared.catalog, shared.key_store, region.name));
  blocks::StoreOptions options{.files = shared.files,
                               .directory = directory_ / "store",
                               .access = blocks::Access::write,
                               .chunk_cache_bytes = config.cache_bytes,
                               .slots = {},
                               .keys = keyring};
  if (config.slot_cache_bytes > 0) {
    options.slots =
        blocks::SlotCacheOptions{.directory = directory_ / "cache", .budget_bytes = config.slot_cache_bytes};
  }
  auto store = blocks::Store::open(options);
  if (!store) throw std::runtime_error("the store of " + region.name + ": " + store.error().message());
  store_ = std::move(*store);
  idle_volumes_ = std::make_unique<blocks::VolumeTable>(
      shared.files, *store_, blocks::VolumeTable::Options{.directory = directory_ / "volumes", .instance = ""});
  snapshot_heads_ =
      std::make_unique<control::SnapshotHeads>(shared.files, *store_, shared.clock, directory_ / "started");
  if (config.hypervisor == "fake") {
    disk_servers_ = std::make_unique<control::LocalDiskServers>(shared.files, *store_, directory_ / "volumes");
  } else {
    disk_servers_ = std::make_unique<control::HostDiskServers>(shared.host, directory_, config.slot_cache_bytes);
  }
}

std::unique_ptr<control::Region> RegionParts::region(const control::Regions& all) const {
  return std::unique_ptr<control::Region>(
      new control::Region{.name = region_.name,
                          .zones = region_.zones,
                          .vpc_cidr_base = config_.vpc_cidr,
                          .directory = directory_,
                          .clock = shared_.clock,
                          .files = shared_.files,
                          .catalog = shared_.catalog,
                          .store = *store_,
                          .idle_volumes = *idle_volumes_,
                          .snapshot_heads = *snapshot_heads_,
                          .disk_servers = *disk_servers_,
                          .host = shared_.host,
                          .jobs = shared_.jobs,
                          .key_store = shared_.key_store,
                          .regions = &all,
                          .slot_cache_bytes = config_.slot_cache_bytes,
                          .guest_memory_limit_bytes = config_.guest_memory_limit_mib << 20});
}

}  // namespace kiln::daemon
