#pragma once
// One region's own things, and the Region that lends them out. Part of the daemon's wiring.

#include <memory>

#include "blocks/store.h"
#include "blocks/volume_table.h"
#include "control/disk_servers.h"
#include "control/region.h"
#include "control/snapshot_heads.h"
#include "daemon/config.h"
#include "keys/key_store.h"

namespace kiln::daemon {

// What all regions of a daemon share.
struct Shared {
  base::Clock& clock;
  base::Files& files;
  catalog::Database& catalog;
  hypervisor::Host& host;
  jobs::Runner& jobs;
  keys::KeyStore& key_store;
};

class RegionParts {
 public:
  RegionParts(const Config& config, const RegionConfig& region, const Shared& shared);
  std::unique_ptr<control::Region> region(const control::Regions& all) const;

 private:
  const Config& config_;
  const RegionConfig& region_;
  const Shared& shared_;
  const base::Path directory_;
  std::unique_ptr<blocks::Store> store_;
  std::unique_ptr<blocks::VolumeTable> idle_volumes_;
  std::unique_ptr<control::SnapshotHeads> snapshot_heads_;
  std::unique_ptr<control::DiskServers> disk_servers_;
};

}  // namespace kiln::daemon
