#include "hypervisor/fake/fake_host.h"

#include <algorithm>
#include <cstddef>

namespace kiln::hypervisor {

// Holds the lock for the length of a call. finish() is each method's last statement, so that a scripted lost answer
// is thrown only after the work.
class FakeHost::Call {
 public:
  Call(FakeHost& host, std::string name) : host_(host), name_(std::move(name)) {
    ++host_.calls_[name_];
    throw_first(host_.scripts_[name_].before);
  }
  // The caller holds the mutex, as its own member.
  void finish() KILN_NOT_ANALYSED { throw_first(host_.scripts_[name_].after); }

 private:
  static void throw_first(std::vector<std::string>& scripted) {
    if (scripted.empty()) return;
    const std::string message = scripted.front();
    scripted.erase(scripted.begin());
    throw HostError(message);
  }

  FakeHost& host_;
  const std::string name_;
};

void FakeHost::ensure_network(const Network& network) {
  const base::Lock lock(mutex_);
  Call call(*this, "ensure_network");
  const auto [there, added] = networks_.emplace(network.vpc_id, network);
  if (!added && there->second.cidr != network.cidr) {
    throw HostError("network of " + network.vpc_id + " has " + there->second.cidr + ", not " + network.cidr);
  }
  call.finish();
}

void FakeHost::remove_network(const std::string& vpc_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "remove_network");
  networks_.erase(vpc_id);
  std::erase_if(addresses_, [&](const auto& entry) { return entry.second.vpc_id == vpc_id; });
  call.finish();
}

void FakeHost::add_address(const Nic& nic, const std::string&) {
  const base::Lock lock(mutex_);
  Call call(*this, "add_address");
  if (!networks_.contains(nic.vpc_id)) throw HostError("no network for " + nic.vpc_id);
  std::erase_if(addresses_, [&](const auto& entry) {
    return entry.second.vpc_id == nic.vpc_id && entry.second.private_ip == nic.private_ip;
  });
  addresses_[nic.mac] = nic;
  call.finish();
}

void FakeHost::remove_address(const Nic& nic) {
  const base::Lock lock(mutex_);
  Call call(*this, "remove_address");
  addresses_.erase(nic.mac);
  call.finish();
}

std::string FakeHost::bridge(const std::string& vpc_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "bridge");
  if (!networks_.contains(vpc_id)) throw HostError("no network for " + vpc_id);
  return "fake-" + vpc_id.substr(vpc_id.size() > 10 ? vpc_id.size() - 10 : 0);
}

void FakeHost::start_disk_server(const DiskServer& server) {
  const base::Lock lock(mutex_);
  Call call(*this, "start_disk_server");
  disk_servers_.emplace(server.instance_id, server);
  call.finish();
}

bool FakeHost::disk_server_runs(const DiskServer& server) {
  const base::Lock lock(mutex_);
  Call call(*this, "disk_server_runs");
  return disk_servers_.contains(server.instance_id);
}

void FakeHost::stop_disk_server(const DiskServer& server) {
  const base::Lock lock(mutex_);
  Call call(*this, "stop_disk_server");
  disk_servers_.erase(server.instance_id);
  call.finish();
}

void FakeHost::start(const DomainSpec& spec) {
  const base::Lock lock(mutex_);
  Call call(*this, "start");
  if (spec.disks.empty()) throw HostError(spec.instance_id + " has no disk to boot from");
  if (!networks_.contains(spec.nic.vpc_id)) throw HostError("no network for " + spec.nic.vpc_id);
  for (const auto& disk : spec.disks) require_server(spec.instance_id, disk);
  auto& domain = domains_[spec.instance_id];
  if (domain.state.power != Power::running && domain.state.power != Power::paused) domain.spec = spec;
  domain.state = {.instance_id = spec.instance_id, .power = Power::running};
  call.finish();
}

void FakeHost::press_power_button(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "press_power_button");
  if (const auto found = domains_.find(instance_id);
      found != domains_.end() && found->second.state.power == Power::running && guests_obey_) {
    off(found->second, Cause::guest, "shut down by the guest");
  }
  call.finish();
}

void FakeHost::reset(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "reset");
  running(instance_id);
  call.finish();
}

void FakeHost::power_off(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "power_off");
  if (const auto found = domains_.find(instance_id); found != domains_.end())
    off(found->second, Cause::other, "powered off");
  call.finish();
}

void FakeHost::resume(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "resume");
  auto& domain = running(instance_id);
  for (const auto& disk : domain.spec.disks) require_server(instance_id, disk);
  domain.state = {.instance_id = instance_id, .power = Power::running};
  call.finish();
}

void FakeHost::remove(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "remove");
  domains_.erase(instance_id);
  call.finish();
}

void FakeHost::attach_disk(const std::string& instance_id, const Disk& disk) {
  const base::Lock lock(mutex_);
  Call call(*this, "attach_disk");
  const auto found = domains_.find(instance_id);
  if (found == domains_.end()) throw HostError("no domain " + instance_id);
  auto& disks = found->second.spec.disks;
  const auto there = std::find_if(disks.begin(), disks.end(), [&](const Disk& d) { return d.device == disk.device; });
  if (there != disks.end() && there->volume_id != disk.volume_id) {
    throw HostError(instance_id + " has " + there->volume_id + " at " + disk.device);
  }
  if (there == disks.end()) {
    if (found->second.state.power == Power::running) require_server(instance_id, disk);
    disks.push_back(disk);
  }
  call.finish();
}

void FakeHost::detach_disk(const std::string& instance_id, const Disk& disk) {
  const base::Lock lock(mutex_);
  Call call(*this, "detach_disk");
  if (const auto found = domains_.find(instance_id); found != domains_.end()) {
    std::erase_if(found->second.spec.disks, [&](const Disk& d) { return d.volume_id == disk.volume_id; });
  }
  call.finish();
}

DomainState FakeHost::state(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "state");
  const auto found = domains_.find(instance_id);
  return found == domains_.end() ? DomainState{.instance_id = instance_id} : found->second.state;
}

GuestStatistics FakeHost::statistics(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  Call call(*this, "statistics");
  const auto found = domains_.find(instance_id);
  if (found == domains_.end()) throw HostError("no domain " + instance_id);
  GuestStatistics statistics;
  if (found->second.state.power == Power::off) return statistics;
  statistics.memory_bytes = found->second.spec.memory_bytes;
  for (const auto& disk : found->second.spec.disks) statistics.disks.push_back({.device = disk.device});
  return statistics;
}

std::vector<DomainState> FakeHost::list() {
  const base::Lock lock(mutex_);
  Call call(*this, "list");
  std::vector<DomainState> all;
  for (const auto& [id, domain] : domains_) all.push_back(domain.state);
  return all;
}

void FakeHost::fail_next(const std::string& call, const std::string& message) {
  const base::Lock lock(mutex_);
  scripts_[call].before.push_back(message);
}

void FakeHost::fail_after_next(const std::string& call, const std::string& message) {
  const base::Lock lock(mutex_);
  scripts_[call].after.push_back(message);
}

void FakeHost::set_guests_obey(bool obey) {
  const base::Lock lock(mutex_);
  guests_obey_ = obey;
}

int FakeHost::calls(const std::string& call) const {
  const base::Lock lock(mutex_);
  const auto found = calls_.find(call);
  return found == calls_.end() ? 0 : found->second;
}

void FakeHost::guest_powers_off(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  off(running(instance_id), Cause::guest, "shut down by the guest");
}

void FakeHost::disk_fails(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  running(instance_id).state = {
      .instance_id = instance_id, .power = Power::paused, .cause = Cause::io_error, .reason = "I/O error"};
}

void FakeHost::kill_disk_server(const std::string& instance_id) {
  const base::Lock lock(mutex_);
  disk_servers_.erase(instance_id);
}

void FakeHost::reboot_host() {
  const base::Lock lock(mutex_);
  disk_servers_.clear();
  for (auto& [id, domain] : domains_) off(domain, Cause::other, "");
}

DomainSpec FakeHost::spec(const std::string& instance_id) const {
  const base::Lock lock(mutex_);
  const auto found = domains_.find(instance_id);
  if (found == domains_.end()) throw HostError("no domain " + instance_id);
  return found->second.spec;
}

std::vector<std::string> FakeHost::disk_servers() const {
  const base::Lock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, server] : disk_servers_) ids.push_back(id);
  return ids;
}

std::vector<Nic> FakeHost::addresses() const {
  const base::Lock lock(mutex_);
  std::vector<Nic> all;
  for (const auto& [mac, nic] : addresses_) all.push_back(nic);
  return all;
}

std::vector<std::string> FakeHost::networks() const {
  const base::Lock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, network] : networks_) ids.push_back(id);
  return ids;
}

FakeHost::Domain& FakeHost::running(const std::string& instance_id) {
  const auto found = domains_.find(instance_id);
  if (found == domains_.end()) throw HostError("no domain " + instance_id);
  if (found->second.state.power == Power::off) throw HostError(instance_id + " is off");
  return found->second;
}

void FakeHost::require_server(const std::string& instance_id, const Disk& disk) {
  if (disk_servers_.contains(instance_id) || disk.socket.empty()) return;
  throw HostError("nobody serves " + disk.volume_id + " at " + disk.socket);
}

void FakeHost::off(Domain& domain, Cause cause, const std::string& reason) {
  if (domain.state.power == Power::off) return;
  domain.state = {.instance_id = domain.spec.instance_id, .power = Power::off, .cause = cause, .reason = reason};
}

}  // namespace kiln::hypervisor
