#include "control/disk_servers.h"

#include <chrono>
#include <filesystem>

#include "blocks/remote_volumes.h"

namespace kiln::control {
namespace {

// Answers for an instance whose volumes nobody serves.
class NobodyServes final : public blocks::VolumeService {
 public:
  explicit NobodyServes(std::string instance_id) : instance_id_(std::move(instance_id)) {}
  base::Result<blocks::Hello> hello() override { return nobody(); }
  base::Status open(const blocks::OpenVolume&) override { return nobody(); }
  base::Status close(const std::string&) override { return nobody(); }
  base::Result<std::vector<blocks::SealedVolume>> seal(const std::vector<blocks::SealVolume>&) override {
    return nobody();
  }
  base::Status sealed(const blocks::SealVolume&) override { return nobody(); }
  base::Status unseal(const blocks::SealVolume&) override { return nobody(); }
  base::Status rebase(const blocks::RebaseVolume&) override { return nobody(); }
  base::Status resize(const std::string&, std::uint64_t) override { return nobody(); }
  base::Result<std::vector<blocks::VolumeStats>> stats() override { return nobody(); }
  base::Result<blocks::LaunchTouches> launch_touches(const std::string&) override { return nobody(); }
  base::Status prefetch(const blocks::PrefetchVolume&) override { return nobody(); }

 private:
  base::Error nobody() const { return {base::Fault::not_found, "nobody serves the volumes of " + instance_id_}; }
  const std::string instance_id_;
};

}  // namespace

class HostDiskServers::Turn {
 public:
  Turn(HostDiskServers& servers, const std::string& instance_id) : servers_(servers), instance_id_(instance_id) {
    const base::Lock lock(servers_.mutex_);
    // Longer than a server may take to start, or to end before it is killed.
    const bool free = servers_.changed_.wait_for(
        servers_.mutex_, std::chrono::seconds(60),
        [&]() KILN_REQUIRES(servers_.mutex_) { return !servers_.changing_.contains(instance_id_); });
    if (!free) throw hypervisor::HostError("the disk server of " + instance_id_ + " is being started or stopped");
    servers_.changing_.insert(instance_id_);
  }
  ~Turn() {
    {
      const base::Lock lock(servers_.mutex_);
      servers_.changing_.erase(instance_id_);
    }
    servers_.changed_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  HostDiskServers& servers_;
  const std::string instance_id_;
};

hypervisor::DiskServer HostDiskServers::server(const std::string& instance_id) const {
  const base::Path run = directory_ / "run" / instance_id;
  hypervisor::DiskServer made{
      .instance_id = instance_id,
      .run_directory = run.string(),
      .plugin_parameters = {"volumes=" + (directory_ / "volumes").string(), "store=" + (directory_ / "store").string(),
                            "instance=" + instance_id, "state=" + (run / "volumes.json").string()}};
  if (slot_cache_bytes_ > 0) {
    made.plugin_parameters.push_back("slots=" + (directory_ / "cache").string());
    made.plugin_parameters.push_back("slots-size=" + std::to_string(slot_cache_bytes_));
  }
  return made;
}

void HostDiskServers::start(const std::string& instance_id) {
  const Turn turn(*this, instance_id);
  host_.start_disk_server(server(instance_id));
}

void HostDiskServers::stop(const std::string& instance_id) {
  const Turn turn(*this, instance_id);
  const auto what = server(instance_id);
  host_.stop_disk_server(what);
  // The state file is for a server that was killed and comes back under its guest. One that is started for the next
  // boot opens what is attached then, and must not take a volume that has gone to another instance meanwhile.
  std::error_code error;
  std::filesystem::remove(base::Path(what.run_directory) / "volumes.json", error);
  if (error) throw hypervisor::HostError("remove " + what.run_directory + "/volumes.json: " + error.message());
}

bool HostDiskServers::runs(const std::string& instance_id) { return host_.disk_server_runs(server(instance_id)); }

std::shared_ptr<blocks::VolumeService> HostDiskServers::of(const std::string& instance_id) {
  return std::make_shared<blocks::RemoteVolumes>(base::Path(server(instance_id).run_directory) / "ctl.sock");
}

std::string HostDiskServers::socket(const std::string& instance_id) const {
  return (base::Path(server(instance_id).run_directory) / "nbd.sock").string();
}

void LocalDiskServers::start(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  auto& table = tables_[instance_id];
  if (table) return;
  blocks::VolumeTable::Options options;
  options.directory = volumes_directory_;
  options.instance = instance_id;
  table = std::make_shared<blocks::VolumeTable>(files_, source_, std::move(options));
}

void LocalDiskServers::stop(const std::string& instance_id) {
  std::shared_ptr<blocks::VolumeTable> table;
  {
    const base::Lock lock(mutex_);
    const auto found = tables_.find(instance_id);
    if (found == tables_.end()) return;
    table = std::move(found->second);
    tables_.erase(found);
  }
  table->close_all();
}

bool LocalDiskServers::runs(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  return tables_.contains(instance_id);
}

std::shared_ptr<blocks::VolumeService> LocalDiskServers::of(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  const auto found = tables_.find(instance_id);
  if (found == tables_.end()) return std::make_shared<NobodyServes>(instance_id);
  return found->second;
}

// The fake host's guests read nothing.
std::string LocalDiskServers::socket(const std::string&) const { return {}; }

}  // namespace kiln::control
