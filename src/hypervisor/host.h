#pragma once
// A host: what control asks of a machine that runs guests.
//
// Implemented by libvirt/ (real domains, bridges and nbdkit processes) and fake/ (instant, with scripted failures).
// Owned by the daemon's wiring, lent to control. All calls are thread-safe and may block for seconds, so only job
// workers and the reconciler make them. They throw HostError. Everything is idempotent: starting what runs, or removing
// what is not there, succeeds. After a crash of the caller the host goes on; list() says what is there.

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace kiln::hypervisor {

class HostError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One network per VPC. Guests get addresses by DHCP from reservations; 169.254.169.254 answers on its bridge.
struct Network {
  std::string vpc_id;  // vpc-...; the libvirt network and bridge names derive from it
  std::string cidr;    // 10.77.0.0/16
};

struct Nic {
  std::string vpc_id;
  std::string mac;
  std::string private_ip;
};

// The process that serves an instance's volumes, one per instance.
struct DiskServer {
  std::string instance_id;
  std::string run_directory;                   // <data>/run/<instance>: nbd.sock, ctl.sock, nbdkit.log, nbdkit.pid
  std::vector<std::string> plugin_parameters;  // key=value, passed to the nbdkit plugin
};

struct Disk {
  std::string volume_id;  // the NBD export name and, without its dash, the disk's serial
  std::string device;     // vda, vdb: the target in the guest
  std::string socket;     // the instance's nbd.sock
};

enum class Power { absent, off, running, paused };  // paused: an I/O error stopped it, or somebody did

struct DomainSpec {
  std::string instance_id;
  std::string uuid;  // starts with ec2, as EC2's do: guests find their metadata service by it
  std::string instance_type;
  int vcpus = 1;
  std::uint64_t memory_bytes = 0;
  std::vector<Disk> disks;  // the first is booted
  Nic nic;
  std::string console_log;  // file that receives the serial console, appended to across boots
};

// Why a domain is off or paused, as far as it makes a difference to anybody.
enum class Cause {
  none,      // it runs, or is not there
  guest,     // off: the guest powered itself off, asked to or not
  io_error,  // paused: a disk failed; resume() once its server is back
  starting,  // paused: it is about to run
  other,
};

struct DomainState {
  std::string instance_id;
  Power power = Power::absent;
  Cause cause = Cause::none;
  std::string reason;  // the cause in words, for an operator: "shut down by the guest", "paused by an operator"
};

struct DiskStatistics {
  std::string device;  // vda
  std::uint64_t reads = 0, read_bytes = 0, writes = 0, written_bytes = 0, flushes = 0;
};

// Counted since the domain was started; all zero when it is off.
struct GuestStatistics {
  std::uint64_t cpu_nanoseconds = 0;
  std::uint64_t memory_bytes = 0;         // what the guest may use
  std::uint64_t memory_unused_bytes = 0;  // as its balloon driver reports; 0 without one
  std::uint64_t received_bytes = 0, received_packets = 0, sent_bytes = 0, sent_packets = 0;
  std::vector<DiskStatistics> disks;
};

class Host {
 public:
  virtual ~Host() = default;

  virtual std::string name() const = 0;
  // "kvm" or "qemu": whether guests get hardware virtualisation, as probed with a guest that computes.
  virtual std::string acceleration() = 0;

  virtual void ensure_network(const Network& network) = 0;
  virtual void remove_network(const std::string& vpc_id) = 0;
  virtual void add_address(const Nic& nic, const std::string& hostname) = 0;  // a DHCP reservation, live
  virtual void remove_address(const Nic& nic) = 0;
  // The bridge of a VPC's network, such as "kiln0a1b2c"; the metadata service listens there.
  virtual std::string bridge(const std::string& vpc_id) = 0;

  // Starts nbdkit unless one answers on its control socket already; returns when it accepts connections.
  virtual void start_disk_server(const DiskServer& server) = 0;
  virtual bool disk_server_runs(const DiskServer& server) = 0;
  virtual void stop_disk_server(const DiskServer& server) = 0;

  // Defines and starts; returns when the vCPU runs. What runs already is left alone, what is paused is resumed.
  virtual void start(const DomainSpec& spec) = 0;
  virtual void press_power_button(const std::string& instance_id) = 0;  // ACPI: asks the guest to shut down
  virtual void reset(const std::string& instance_id) = 0;               // the reset button; an error unless it runs
  virtual void power_off(const std::string& instance_id) = 0;           // pulls the plug; the definition stays
  // After an I/O error stopped it: tries for up to 30 seconds, until it keeps running. Needs its disk server back.
  virtual void resume(const std::string& instance_id) = 0;
  virtual void remove(const std::string& instance_id) = 0;  // pulls the plug and undefines
  // Live and in the definition. detach_disk returns when the guest let go, and is an error when it does not.
  virtual void attach_disk(const std::string& instance_id, const Disk& disk) = 0;
  virtual void detach_disk(const std::string& instance_id, const Disk& disk) = 0;

  virtual DomainState state(const std::string& instance_id) = 0;
  Power power(const std::string& instance_id) { return state(instance_id).power; }
  virtual GuestStatistics statistics(const std::string& instance_id) = 0;
  virtual std::vector<DomainState> list() = 0;  // every domain of ours, running or not
};

}  // namespace kiln::hypervisor
