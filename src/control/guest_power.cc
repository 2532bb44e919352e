#include "control/guest_power.h"

#include <algorithm>
#include <stdexcept>

#include "base/log.h"
#include "blocks/disk_id.h"
#include "catalog/network.h"
#include "catalog/volumes.h"
#include "control/boot_traces.h"
#include "control/instance_types.h"
#include "control/key_domains.h"
#include "control/volume_access.h"

namespace kiln::control {
namespace {

using hypervisor::Cause;
using hypervisor::Power;

constexpr base::Micros press_interval = base::seconds(10);
constexpr base::Micros look_interval = base::seconds(1) / 4;
constexpr base::Micros busy_limit = base::seconds(300);

bool is_off(Region& region, const std::string& instance_id) {
  const Power power = region.host.power(instance_id);
  return power == Power::off || power == Power::absent;
}

// A moment that the job remembers under name, so that a deadline holds across restarts: now, the first time.
base::Micros noted_time(jobs::Context& job, const std::string& name, base::Micros now) {
  const std::string noted = job.argument(name);
  if (!noted.empty()) return std::stoll(noted);
  job.note(name, std::to_string(now));
  return now;
}

std::string in_step(jobs::Context& job, const std::string& name) {
  return name + " in step " + std::to_string(job.job().step);
}

void open_volume(Region& region, jobs::Context& job, blocks::VolumeService& service, const catalog::Volume& volume) {
  auto keys = volume_keys(region, volume.id);
  if (!keys && keys.error().fault() == base::Fault::no_key) refuse_boot(volume.id, keys.error().message());
  if (!keys) throw std::runtime_error(volume.id + ": " + keys.error().message());
  const auto opened =
      service.open({.volume = volume.id, .epoch = static_cast<std::uint64_t>(volume.epoch), .keys = *std::move(keys)});
  if (opened.ok()) return;
  // A job that snapshots the volume of a stopped instance holds it for a moment.
  if (opened.error().fault() == base::Fault::busy &&
      region.clock.now() - noted_time(job, in_step(job, "volume is busy"), region.clock.now()) < busy_limit) {
    throw jobs::Retry(volume.id + ": " + opened.error().message(), look_interval);
  }
  throw std::runtime_error(volume.id + ": " + opened.error().message());
}

// A help, like the boot trace: without it the guest fetches what it reads.
void initialize(blocks::VolumeService& service, const catalog::Volume& volume) {
  const auto rate = static_cast<std::uint64_t>(*volume.initialization_rate) << 20;
  const auto begun = service.prefetch({.volume = volume.id, .chunks = {}, .bytes_per_second = rate});
  if (!begun) base::log_warning("control", "{} is not initialized: {}", volume.id, begun.error().message());
}

std::string device_of(int position) {
  if (position < 26) return std::string("vd") + static_cast<char>('a' + position);
  return std::string("vd") + static_cast<char>('a' + position / 26 - 1) + static_cast<char>('a' + position % 26);
}

hypervisor::DomainSpec domain_of(Region& region, const catalog::Instance& instance) {
  const InstanceType* const type = find_instance_type(instance.instance_type);
  if (type == nullptr) throw std::runtime_error("no instance type " + instance.instance_type);
  hypervisor::DomainSpec spec{
      .instance_id = instance.id,
      .uuid = instance.uuid,
      .instance_type = instance.instance_type,
      .vcpus = type->vcpus,
      .memory_bytes = type->memory_bytes(),
      .disks = {},
      .nic = {.vpc_id = instance.vpc_id, .mac = instance.mac, .private_ip = instance.private_ip},
      .console_log = region.console_log(instance.id).string()};
  if (region.guest_memory_limit_bytes != 0) {
    spec.memory_bytes = std::min(spec.memory_bytes, region.guest_memory_limit_bytes);
  }
  const auto attachments = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return catalog::attachments_of_instance(txn, region.name, instance.id);
  });
  for (const auto& attachment : attachments) {
    spec.disks.push_back({.volume_id = attachment.volume_id,
                          .device = device_of(attachment.position),
                          .socket = region.disk_servers.socket(instance.id)});
  }
  if (spec.disks.empty()) throw std::runtime_error(instance.id + " has no volume to boot from");
  return spec;
}

}  // namespace

void shut_down_guest(Region& region, jobs::Context& job, const catalog::Instance& instance, base::Micros limit) {
  if (is_off(region, instance.id)) return;
  const base::Micros now = region.clock.now();
  const base::Micros first = noted_time(job, in_step(job, "power button pressed"), now);
  if (now - first >= limit) {
    base::log_info("control", "{}: did not shut down when asked, pulling the plug", instance.id);
    region.host.power_off(instance.id);
    return;
  }
  // A guest whose disks are gone can write nothing back, so it gets them first.
  if (!region.disk_servers.runs(instance.id)) serve_disks(region, job, instance);
  const auto state = region.host.state(instance.id);
  if (state.power == Power::paused && state.cause != Cause::io_error) {
    base::log_info("control", "{}: is paused and cannot shut down, pulling the plug", instance.id);
    region.host.power_off(instance.id);
    return;
  }
  if (state.power == Power::paused) region.host.resume(instance.id);
  const std::string again = in_step(job, "power button pressed again");
  const std::string last = job.argument(again);
  if (last.empty() || now - std::stoll(last) >= press_interval) {
    region.host.press_power_button(instance.id);
    job.note(again, std::to_string(now));
    if (is_off(region, instance.id)) return;
  }
  throw jobs::Retry(instance.id + " is shutting down", look_interval);
}

void serve_disks(Region& region, jobs::Context& job, const catalog::Instance& instance) {
  region.disk_servers.start(instance.id);
  std::vector<catalog::Volume> volumes;
  job.in_txn([&](catalog::Txn& txn) {
    volumes = catalog::volumes_of_instance(txn, region.name, instance.id);
    for (auto& volume : volumes) volume.epoch = catalog::raise_epoch(txn, region.name, volume.id);
  });
  const auto service = region.disk_servers.of(instance.id);
  for (const auto& volume : volumes) {
    job.keep_alive();
    open_volume(region, job, *service, volume);
    if (volume.initialization_rate) initialize(*service, volume);
  }
}

void ensure_address(Region& region, const catalog::Instance& instance) {
  const auto vpc = catalog::in_read(
      region.catalog, [&](catalog::Txn& txn) { return catalog::find_vpc(txn, region.name, instance.vpc_id); });
  if (!vpc) throw std::runtime_error(instance.id + " is in " + instance.vpc_id + ", which is not there");
  region.host.ensure_network({.vpc_id = vpc->id, .cidr = vpc->cidr});
  region.host.add_address({.vpc_id = vpc->id, .mac = instance.mac, .private_ip = instance.private_ip}, instance.id);
}

void boot_guest(Region& region, jobs::Context& job, const catalog::Instance& instance) {
  ensure_address(region, instance);
  serve_disks(region, job, instance);
  prefetch_boot_disk(region, instance);
  const auto spec = domain_of(region, instance);
  if (const auto made = region.files.make_directories(region.console_log(instance.id).parent_path()); !made.ok()) {
    throw std::runtime_error(made.error().message());
  }
  job.keep_alive();
  region.host.start(spec);
}

void cut_power(Region& region, const catalog::Instance& instance) { region.host.power_off(instance.id); }

}  // namespace kiln::control
