#pragma once
// A region: everything that the rules work on, in one place. A table of contents, not a place for code.
//
// Made by the daemon's wiring and lent by reference to services and jobs; lives as long as the daemon. What it refers
// to is thread-safe; the region itself never changes after start. Regions is the list of those that this daemon serves.

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "blocks/store.h"
#include "blocks/volume_table.h"
#include "catalog/database.h"
#include "control/disk_servers.h"
#include "control/principal.h"
#include "control/snapshot_heads.h"
#include "hypervisor/host.h"
#include "jobs/jobs.h"
#include "keys/key_store.h"

namespace kiln::control {

class RemoteRegions;

struct Region {
  std::string name;                // us-east-1
  std::vector<std::string> zones;  // us-east-1a, us-east-1b, us-east-1c
  std::string vpc_cidr_base;       // 10.77.0.0/16: the first VPC's; later ones take the next /16
  base::Path directory;            // <data>/regions/<name>: store/ volumes/ run/

  base::Clock& clock;
  base::Files& files;
  catalog::Database& catalog;
  blocks::Store& store;
  blocks::VolumeTable& idle_volumes;  // those that no disk server serves are opened here, for a job
  SnapshotHeads& snapshot_heads;      // of snapshots that clients write block by block
  DiskServers& disk_servers;
  hypervisor::Host& host;  // the one host of all zones, until there are more
  jobs::Runner& jobs;
  keys::KeyStore& key_store;                   // of all regions of this daemon
  const class Regions* regions = nullptr;      // all that this daemon serves, this one among them
  std::uint64_t slot_cache_bytes = 0;          // budget of the cache of decoded chunks in directory/cache; 0: none
  std::uint64_t guest_memory_limit_bytes = 0;  // a guest gets no more, whatever its type says; 0: no limit

  base::Path volumes_directory() const { return directory / "volumes"; }
  base::Path volume_directory(const std::string& volume_id) const { return volumes_directory() / volume_id; }
  base::Path run_directory(const std::string& instance_id) const { return directory / "run" / instance_id; }
  base::Path console_log(const std::string& instance_id) const {
    return directory / "console" / (instance_id + ".log");
  }
};

class Regions {
 public:
  void add(std::unique_ptr<Region> region) { regions_.push_back(std::move(region)); }
  // Null when this daemon does not serve it.
  Region* find(const std::string& name) const {
    for (const auto& region : regions_) {
      if (region->name == name) return region.get();
    }
    return nullptr;
  }
  Region& at(const std::string& name) const;  // of a job's row: throws when the configuration no longer has it
  const std::vector<std::unique_ptr<Region>>& all() const { return regions_; }
  // Those of other daemons, as sources of copies (source_region.h): said before the regions are used, null without.
  void set_remotes(const RemoteRegions* remotes) { remotes_ = remotes; }
  const RemoteRegions* remotes() const { return remotes_; }

 private:
  std::vector<std::unique_ptr<Region>> regions_;
  const RemoteRegions* remotes_ = nullptr;
};

}  // namespace kiln::control
