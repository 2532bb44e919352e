#include "hypervisor/libvirt/libvirt_host.h"

#include <fcntl.h>
#include <libvirt/virterror.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <thread>

#include "base/fd.h"
#include "base/log.h"
#include "hypervisor/kvm_probe.h"
#include "hypervisor/libvirt/emulator.h"
#include "hypervisor/libvirt/xml.h"

namespace kiln::hypervisor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Asks until done() says so; false when limit has passed.
template <class Done>
bool wait_until(Done done, milliseconds limit, milliseconds pause = milliseconds(50)) {
  const auto deadline = steady_clock::now() + limit;
  while (!done()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

std::string why_off(int reason) {
  switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN: return "shut down by the guest";
    case VIR_DOMAIN_SHUTOFF_DESTROYED: return "powered off";
    case VIR_DOMAIN_SHUTOFF_CRASHED: return "crashed";
    case VIR_DOMAIN_SHUTOFF_FAILED: return "failed to start, or QEMU ended unexpectedly";
    default: return {};
  }
}

std::string why_paused(int reason) {
  switch (reason) {
    case VIR_DOMAIN_PAUSED_USER: return "paused by an operator";
    case VIR_DOMAIN_PAUSED_IOERROR: return "I/O error";
    case VIR_DOMAIN_PAUSED_STARTING_UP: return "starting";
    case VIR_DOMAIN_PAUSED_CRASHED: return "crashed";
    default: return "paused";
  }
}

Cause cause_of_pause(int reason) {
  switch (reason) {
    case VIR_DOMAIN_PAUSED_IOERROR: return Cause::io_error;
    case VIR_DOMAIN_PAUSED_STARTING_UP: return Cause::starting;
    default: return Cause::other;
  }
}

// The disks of a paused domain that found no space, as a reason: "no space left on the host for disk vda".
std::string disks_without_space(virDomainPtr domain) {
  virDomainDiskError errors[64];
  const int count = virDomainGetDiskErrors(domain, errors, std::size(errors), 0);
  std::string found;
  for (int i = 0; i < count; ++i) {
    if (errors[i].error == VIR_DOMAIN_DISK_ERROR_NO_SPACE)
      found += (found.empty() ? "" : ", ") + std::string(errors[i].disk);
    std::free(errors[i].disk);
  }
  return found.empty() ? found : "no space left on the host for disk " + found;
}

std::string io_error_of(virDomainPtr domain) {
  const auto full = disks_without_space(domain);
  return full.empty() ? why_paused(VIR_DOMAIN_PAUSED_IOERROR) : full;
}

DomainState state_of(virDomainPtr domain, const std::string& instance_id) {
  int state = VIR_DOMAIN_NOSTATE;
  int reason = 0;
  check(virDomainGetState(domain, &state, &reason, 0), "state of " + instance_id);
  switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
    case VIR_DOMAIN_SHUTDOWN:  // the guest has ended and QEMU is about to
      return {.instance_id = instance_id, .power = Power::running};
    case VIR_DOMAIN_PAUSED:
      if (reason == VIR_DOMAIN_PAUSED_IOERROR) {
        return {.instance_id = instance_id,
                .power = Power::paused,
                .cause = Cause::io_error,
                .reason = io_error_of(domain)};
      }
      [[fallthrough]];
    case VIR_DOMAIN_PMSUSPENDED:
      return {.instance_id = instance_id,
              .power = Power::paused,
              .cause = state == VIR_DOMAIN_PAUSED ? cause_of_pause(reason) : Cause::other,
              .reason = state == VIR_DOMAIN_PAUSED ? why_paused(reason) : "suspended by the guest"};
    case VIR_DOMAIN_CRASHED:
      return {.instance_id = instance_id, .power = Power::off, .cause = Cause::other, .reason = "crashed"};
    default:
      return {.instance_id = instance_id,
              .power = Power::off,
              .cause = reason == VIR_DOMAIN_SHUTOFF_SHUTDOWN ? Cause::guest : Cause::other,
              .reason = why_off(reason)};
  }
}

// The console log is ours before virtlogd opens it, which would make it root's.
void make_console_log(const std::string& path) {
  const base::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!file) throw HostError("console log " + path + ": " + std::strerror(errno));
}

unsigned int device_flags(virDomainPtr domain) {
  unsigned int flags = VIR_DOMAIN_AFFECT_CONFIG;
  if (virDomainIsActive(domain) == 1) flags |= VIR_DOMAIN_AFFECT_LIVE;
  return flags;
}

std::optional<AttachedDisk> disk_at(virDomainPtr domain, const std::string& device) {
  for (const auto& disk : read_disks(take_text(virDomainGetXMLDesc(domain, 0), "disks"))) {
    if (disk.device == device) return disk;
  }
  return std::nullopt;
}

}  // namespace

LibvirtHost::LibvirtHost(LibvirtOptions options)
    : options_(std::move(options)), connection_(options_.uri), disk_servers_(options_.disk_servers) {
  install_emulator(emulator(), emulator_script(options_.qemu, options_.reconnect_delay));
}

std::string LibvirtHost::acceleration() {
  {
    const base::Lock lock(mutex_);
    if (acceleration_) return *acceleration_;
  }
  std::string found = options_.acceleration;
  if (found.empty()) found = kvm_is_usable() ? "kvm" : "qemu";
  base::log_info("hypervisor", "{}: guests run on {}", options_.name, found);
  const base::Lock lock(mutex_);
  acceleration_ = found;
  return found;
}

void LibvirtHost::start_disk_server(const DiskServer& server) { disk_servers_.start(server, qemu_group()); }

std::optional<gid_t> LibvirtHost::qemu_group() {
  {
    const base::Lock lock(mutex_);
    if (qemu_group_) return qemu_group_;
  }
  std::optional<gid_t> found;
  try {
    const auto connection = connection_.get();
    found = read_qemu_group(take_text(virConnectGetCapabilities(connection.get()), "capabilities"));
  } catch (const HostError& error) {
    // A guest whose server died needs another one, whether libvirt answers or not.
    base::log_warning("hypervisor", "the group that QEMU runs as is not known: {}", error.what());
  }
  const base::Lock lock(mutex_);
  return qemu_group_ = found;
}

void LibvirtHost::start(const DomainSpec& spec) {
  if (spec.disks.empty()) throw HostError(spec.instance_id + " has no disk to boot from");
  auto domain = find_domain(spec.instance_id);
  if (domain && virDomainIsActive(domain.get()) == 1) {
    // Another caller, or ourselves before a crash, may be in the middle of starting it.
    DomainState now;
    wait_until(
        [&] {
          now = state_of(domain.get(), spec.instance_id);
          return now.cause != Cause::starting;
        },
        seconds(60));
    if (now.power == Power::running) return;
    if (now.power == Power::paused) return resume(spec.instance_id);
  }
  make_console_log(spec.console_log);
  const auto xml = domain_xml(spec, {.acceleration = options_.uri.starts_with("test:") ? "test" : acceleration(),
                                     .emulator = options_.uri.starts_with("test:") ? "" : emulator(),
                                     .owner = options_.owner});
  const auto connection = connection_.get();
  domain.reset(virDomainDefineXMLFlags(connection.get(), xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
  if (!domain) throw_libvirt_error("define " + spec.instance_id);
  check(virDomainCreate(domain.get()), "start " + spec.instance_id);
}

void LibvirtHost::press_power_button(const std::string& instance_id) {
  const auto domain = find_domain(instance_id);
  if (!domain || virDomainIsActive(domain.get()) != 1) return;
  if (virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) < 0 &&
      virDomainIsActive(domain.get()) == 1) {
    throw_libvirt_error("power button of " + instance_id);
  }
}

void LibvirtHost::reset(const std::string& instance_id) {
  check(virDomainReset(domain_of(instance_id).get(), 0), "reset " + instance_id);
}

void LibvirtHost::power_off(const std::string& instance_id) {
  const auto domain = find_domain(instance_id);
  if (!domain || virDomainIsActive(domain.get()) != 1) return;
  if (virDomainDestroy(domain.get()) < 0 && virDomainIsActive(domain.get()) == 1) {
    throw_libvirt_error("power off " + instance_id);
  }
}

void LibvirtHost::resume(const std::string& instance_id) {
  const auto domain = domain_of(instance_id);
  const auto deadline = steady_clock::now() + seconds(30);
  // QEMU reconnects to a hot-plugged disk on its next request, which may fail once more and stop the guest again: so
  // a guest counts as resumed only when it is still running a moment later.
  while (true) {
    auto now = state_of(domain.get(), instance_id);
    if (now.power == Power::off) throw HostError("resume " + instance_id + ": it is off");
    if (now.power == Power::paused && virDomainResume(domain.get()) < 0 && steady_clock::now() > deadline) {
      throw_libvirt_error("resume " + instance_id);
    }
    const bool stopped = wait_until([&] { return (now = state_of(domain.get(), instance_id)).power != Power::running; },
                                    milliseconds(600));
    if (!stopped) return;
    if (steady_clock::now() > deadline) throw HostError("resume " + instance_id + ": stops again: " + now.reason);
    // Its disk's server may take a moment to be back: asking again at once would only keep libvirt busy.
    wait_until([&] { return state_of(domain.get(), instance_id).power != Power::paused; }, milliseconds(200));
  }
}

void LibvirtHost::remove(const std::string& instance_id) {
  power_off(instance_id);
  const auto domain = find_domain(instance_id);
  if (!domain) return;
  constexpr unsigned everything = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
  if (virDomainUndefineFlags(domain.get(), everything) < 0 && !last_error_is(VIR_ERR_NO_DOMAIN)) {
    throw_libvirt_error("undefine " + instance_id);
  }
}

void LibvirtHost::attach_disk(const std::string& instance_id, const Disk& disk) {
  const auto domain = domain_of(instance_id);
  if (const auto there = disk_at(domain.get(), disk.device)) {
    if (there->export_name == disk.volume_id) return;
    throw HostError(instance_id + " has " + there->export_name + " at " + disk.device);
  }
  check(virDomainAttachDeviceFlags(domain.get(), disk_xml(disk).c_str(), device_flags(domain.get())),
        "attach " + disk.volume_id + " to " + instance_id);
}

void LibvirtHost::detach_disk(const std::string& instance_id, const Disk& disk) {
  const auto domain = find_domain(instance_id);
  const auto is_there = [&] {
    const auto there = disk_at(domain.get(), disk.device);
    return there && there->export_name == disk.volume_id;
  };
  if (!domain || !is_there()) return;
  if (virDomainDetachDeviceFlags(domain.get(), disk_xml(disk).c_str(), device_flags(domain.get())) < 0 && is_there()) {
    throw_libvirt_error("detach " + disk.volume_id + " from " + instance_id);
  }
  // The guest is asked; the disk goes when it has let go.
  if (!wait_until([&] { return !is_there(); }, seconds(30))) {
    throw HostError("detach " + disk.volume_id + " from " + instance_id + ": the guest does not let it go");
  }
}

DomainState LibvirtHost::state(const std::string& instance_id) {
  const auto domain = find_domain(instance_id);
  return domain ? state_of(domain.get(), instance_id) : DomainState{.instance_id = instance_id};
}

std::vector<DomainState> LibvirtHost::list() {
  const auto connection = connection_.get();
  virDomainPtr* raw = nullptr;
  const int count = virConnectListAllDomains(connection.get(), &raw, 0);
  check(count, "list domains");
  std::vector<DomainPtr> domains;
  for (int i = 0; i < count; ++i) domains.emplace_back(raw[i]);
  std::free(raw);
  std::vector<DomainState> states;
  for (const auto& domain : domains) {
    char* text = virDomainGetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, metadata_uri.data(), 0);
    if (text == nullptr) continue;  // not ours, or gone since
    const auto marks = read_marks(take_text(text, "metadata"));
    if (!marks || marks->owner != options_.owner) continue;
    try {
      states.push_back(state_of(domain.get(), marks->instance_id));
    } catch (const HostError&) {
      if (!last_error_is(VIR_ERR_NO_DOMAIN)) throw;
    }
  }
  return states;
}

DomainPtr LibvirtHost::find_domain(const std::string& instance_id) {
  const auto connection = connection_.get();
  DomainPtr domain(virDomainLookupByName(connection.get(), instance_id.c_str()));
  if (!domain && !last_error_is(VIR_ERR_NO_DOMAIN)) throw_libvirt_error("domain " + instance_id);
  return domain;
}

DomainPtr LibvirtHost::domain_of(const std::string& instance_id) {
  auto domain = find_domain(instance_id);
  if (!domain) throw HostError("no domain " + instance_id);
  return domain;
}

}  // namespace kiln::hypervisor
