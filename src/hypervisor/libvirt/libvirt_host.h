#pragma once
// A host behind libvirt: QEMU domains with NBD disks, a bridge for each VPC, nbdkit processes.
//
// Owned by the daemon's wiring; all calls are thread-safe and may block for seconds. It keeps nothing that libvirt and
// the run directories do not know too, so it can be made again at any time. Files of its own, in directory:
//   qemu   the emulator that domains name: QEMU, with a reconnect delay for NBD disks (docs/decisions)
//
// With libvirt's test driver (test:///default) networks and domains work and nothing runs in them.

#include <chrono>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "hypervisor/disk_server.h"
#include "hypervisor/host.h"
#include "hypervisor/libvirt/connection.h"

namespace kiln::hypervisor {

struct LibvirtOptions {
  std::string name = "local";
  std::string uri = "qemu:///system";
  std::string directory;   // made if need be; QEMU must be able to read it
  std::string owner = {};  // marks our domains; only those are listed
  std::string qemu = "/usr/bin/qemu-system-x86_64";
  std::string acceleration = {};  // kvm or qemu; empty: probe
  std::chrono::seconds reconnect_delay{30};
  DiskServerOptions disk_servers;
};

class LibvirtHost final : public Host {
 public:
  explicit LibvirtHost(LibvirtOptions options);

  std::string name() const override { return options_.name; }
  std::string acceleration() override;
  void ensure_network(const Network& network) override;
  void remove_network(const std::string& vpc_id) override;
  void add_address(const Nic& nic, const std::string& hostname) override;
  void remove_address(const Nic& nic) override;
  std::string bridge(const std::string& vpc_id) override;
  void start_disk_server(const DiskServer& server) override;
  bool disk_server_runs(const DiskServer& server) override { return disk_servers_.runs(server); }
  void stop_disk_server(const DiskServer& server) override { disk_servers_.stop(server); }
  void start(const DomainSpec& spec) override;
  void press_power_button(const std::string& instance_id) override;
  void reset(const std::string& instance_id) override;
  void power_off(const std::string& instance_id) override;
  void resume(const std::string& instance_id) override;
  void remove(const std::string& instance_id) override;
  void attach_disk(const std::string& instance_id, const Disk& disk) override;
  void detach_disk(const std::string& instance_id, const Disk& disk) override;
  DomainState state(const std::string& instance_id) override;
  GuestStatistics statistics(const std::string& instance_id) override;
  std::vector<DomainState> list() override;

 private:
  // Null when there is none.
  DomainPtr find_domain(const std::string& instance_id);
  NetworkPtr find_network(const std::string& vpc_id);
  // Throw when there is none.
  DomainPtr domain_of(const std::string& instance_id);
  NetworkPtr network_of(const std::string& vpc_id);
  // None when libvirt is away, or says nothing of it.
  std::optional<gid_t> qemu_group();
  std::string emulator() const { return options_.directory + "/qemu"; }

  const LibvirtOptions options_;
  Connection connection_;
  const DiskServers disk_servers_;
  base::Mutex mutex_;
  std::optional<std::string> acceleration_ KILN_GUARDED_BY(mutex_);
  std::optional<gid_t> qemu_group_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::hypervisor
