#pragma once
// Who serves the volumes of an instance.
//
// HostDiskServers starts an nbdkit process on the host and talks to its plugin; LocalDiskServers opens the volumes in
// this process, for the fake host, whose guests read nothing. Thread-safe; waits for processes and disks. start() and
// stop() are idempotent, run one after the other for one instance, and throw HostError.

#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/files.h"
#include "base/mutex.h"
#include "blocks/disk_source.h"
#include "blocks/volume_service.h"
#include "blocks/volume_table.h"
#include "hypervisor/host.h"

namespace kiln::control {

class DiskServers {
 public:
  virtual ~DiskServers() = default;
  virtual void start(const std::string& instance_id) = 0;
  virtual void stop(const std::string& instance_id) = 0;
  virtual bool runs(const std::string& instance_id) = 0;
  // Whoever serves the instance's volumes; asking it fails with Fault::not_found when nobody does.
  virtual std::shared_ptr<blocks::VolumeService> of(const std::string& instance_id) = 0;
  // The NBD socket that QEMU connects to.
  virtual std::string socket(const std::string& instance_id) const = 0;
};

class HostDiskServers final : public DiskServers {
 public:
  // directory is the region's: volumes/, store/, run/ and cache/ lie in it. slot_cache_bytes: of cache/; 0: none.
  HostDiskServers(hypervisor::Host& host, base::Path directory, std::uint64_t slot_cache_bytes = 0)
      : host_(host), directory_(std::move(directory)), slot_cache_bytes_(slot_cache_bytes) {}
  void start(const std::string& instance_id) override;
  void stop(const std::string& instance_id) override;
  bool runs(const std::string& instance_id) override;
  std::shared_ptr<blocks::VolumeService> of(const std::string& instance_id) override;
  std::string socket(const std::string& instance_id) const override;

 private:
  class Turn;  // one start or stop of an instance's server at a time

  hypervisor::DiskServer server(const std::string& instance_id) const;
  hypervisor::Host& host_;
  const base::Path directory_;
  const std::uint64_t slot_cache_bytes_;
  base::Mutex mutex_;
  base::Condition changed_;
  std::set<std::string> changing_ KILN_GUARDED_BY(mutex_);
};

class LocalDiskServers final : public DiskServers {
 public:
  LocalDiskServers(base::Files& files, blocks::DiskSource& source, base::Path volumes_directory)
      : files_(files), source_(source), volumes_directory_(std::move(volumes_directory)) {}
  void start(const std::string& instance_id) override;
  void stop(const std::string& instance_id) override;
  bool runs(const std::string& instance_id) override;
  std::shared_ptr<blocks::VolumeService> of(const std::string& instance_id) override;
  std::string socket(const std::string& instance_id) const override;

 private:
  base::Files& files_;
  blocks::DiskSource& source_;
  const base::Path volumes_directory_;
  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<blocks::VolumeTable>> tables_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::control
