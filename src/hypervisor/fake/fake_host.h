#pragma once
// A host that pretends: networks, disk servers and domains in memory, instant, with failures on request.
//
// For tests and for `--hypervisor fake`, where nothing boots: volumes stay real and are opened by the daemon itself. A
// FakeHost outlives the daemon objects that a test destroys to simulate a crash, as a real host does. Thread-safe: one
// mutex guards everything and is never held while calling out.
//
// It is as strict as the real one: a domain needs its network and its disks' servers, reset needs it running.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "hypervisor/host.h"

namespace kiln::hypervisor {

class FakeHost final : public Host {
 public:
  explicit FakeHost(std::string name = "fake") : name_(std::move(name)) {}

  std::string name() const override { return name_; }
  std::string acceleration() override { return "qemu"; }
  void ensure_network(const Network& network) override;
  void remove_network(const std::string& vpc_id) override;
  void add_address(const Nic& nic, const std::string& hostname) override;
  void remove_address(const Nic& nic) override;
  std::string bridge(const std::string& vpc_id) override;
  void start_disk_server(const DiskServer& server) override;
  bool disk_server_runs(const DiskServer& server) override;
  void stop_disk_server(const DiskServer& server) override;
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

  // --- scripting. call is a method's name, such as "start".
  // The next such call throws HostError(message) before it does anything; asked several times, so do the calls after.
  void fail_next(const std::string& call, const std::string& message);
  // The next such call does its work and then throws: an answer that was lost on the way.
  void fail_after_next(const std::string& call, const std::string& message);
  // Whether guests obey the power button (they do, unless told otherwise).
  void set_guests_obey(bool obey);
  // How often a method was called, failures included; those of state() and list() too.
  int calls(const std::string& call) const;

  // --- what happens to machines without anybody's doing.
  void guest_powers_off(const std::string& instance_id);  // somebody typed poweroff in the guest
  void disk_fails(const std::string& instance_id);        // paused by an I/O error
  void kill_disk_server(const std::string& instance_id);  // kill -9 of its nbdkit
  void reboot_host();                                     // domains are off, disk servers gone, definitions stay

  // --- what is there.
  DomainSpec spec(const std::string& instance_id) const;  // with disks as attached by now
  std::vector<std::string> disk_servers() const;          // instance ids
  std::vector<Nic> addresses() const;
  std::vector<std::string> networks() const;  // vpc ids

 private:
  struct Domain {
    DomainSpec spec;
    DomainState state;
  };
  struct Script {
    std::vector<std::string> before, after;
  };
  class Call;  // counts a call, and throws what was scripted for it

  Domain& running(const std::string& instance_id) KILN_REQUIRES(mutex_);
  void require_server(const std::string& instance_id, const Disk& disk) KILN_REQUIRES(mutex_);
  static void off(Domain& domain, Cause cause, const std::string& reason);

  const std::string name_;
  mutable base::Mutex mutex_;
  std::map<std::string, Network> networks_ KILN_GUARDED_BY(mutex_);         // by vpc id
  std::map<std::string, Nic> addresses_ KILN_GUARDED_BY(mutex_);            // by MAC
  std::map<std::string, DiskServer> disk_servers_ KILN_GUARDED_BY(mutex_);  // by instance id
  std::map<std::string, Domain> domains_ KILN_GUARDED_BY(mutex_);
  std::map<std::string, Script> scripts_ KILN_GUARDED_BY(mutex_);
  std::map<std::string, int> calls_ KILN_GUARDED_BY(mutex_);
  bool guests_obey_ KILN_GUARDED_BY(mutex_) = true;
};

}  // namespace kiln::hypervisor
