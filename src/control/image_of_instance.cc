// CreateImage: an image of an instance's volumes, all cut at one point in time.

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "catalog/instances.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"
#include "control/cuts.h"
#include "control/guest_power.h"
#include "control/image_devices.h"
#include "control/image_lifecycle.h"
#include "control/images.h"
#include "control/instances.h"
#include "control/snapshot_sharing.h"
#include "control/snapshots.h"
#include "control/tags.h"
#include "control/uploads.h"
#include "jobs/arguments.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Fault;
using catalog::Image;
using catalog::ImageDevice;
using catalog::Snapshot;

// --- the request

const ImageDeviceRequest* entry_for(const NewImageOfInstance& what, const std::string& device_name) {
  for (const auto& entry : what.devices) {
    if (entry.device_name == device_name) return &entry;
  }
  return nullptr;
}

[[noreturn]] void refuse_mapping(const std::string& why) { throw ApiError("InvalidBlockDeviceMapping", why); }

// Only DeleteOnTermination of a volume that is there can be said anew.
void check_change(const ImageDeviceRequest& entry, const catalog::Volume& volume) {
  const bool other_size = entry.size_gib && *entry.size_gib != volume.size_gib;
  if (other_size || entry.encrypted || !entry.snapshot_id.empty() || !entry.virtual_name.empty()) {
    refuse_mapping("The size, encryption and snapshot of device '" + entry.device_name + "' are those of volume " +
                   volume.id + " and cannot be changed.");
  }
}

ImageDevice device_of(const catalog::Attachment& attachment, const catalog::Volume& volume,
                      const ImageDeviceRequest* entry, const std::string& image_id) {
  ImageDevice device{.region = volume.region,
                     .image_id = image_id,
                     .device_name = attachment.device_name,
                     .snapshot_id = base::new_id("snap"),
                     .size_gib = volume.size_gib,
                     .volume_type = volume.volume_type,
                     .delete_on_termination = attachment.delete_on_termination,
                     .encrypted = volume.encrypted,
                     .iops = volume.iops,
                     .throughput = volume.throughput};
  if (volume.volume_type != "io1" && volume.volume_type != "io2" && volume.volume_type != "gp3") device.iops.reset();
  if (entry != nullptr) {
    check_change(*entry, volume);
    if (entry->delete_on_termination) device.delete_on_termination = *entry->delete_on_termination;
    if (!entry->volume_type.empty()) device.volume_type = entry->volume_type;
  }
  return device;
}

struct Plan {
  std::vector<ImageDevice> devices;
  std::vector<std::pair<std::string, std::string>> snapshots;  // id, volume
};

Plan plan(catalog::Txn& txn, Region& region, const Principal& caller, const NewImageOfInstance& what,
          const catalog::Instance& instance, const std::string& image_id) {
  Plan made;
  std::set<std::string> present;
  for (const auto& attachment : catalog::attachments_of_instance(txn, region.name, instance.id)) {
    const auto volume = catalog::find_volume(txn, region.name, attachment.volume_id);
    if (!volume) continue;
    present.insert(attachment.device_name);
    const auto* const entry = entry_for(what, attachment.device_name);
    if (entry != nullptr && entry->no_device) {
      if (attachment.device_name == instance.root_device_name) refuse_mapping("The root device cannot be left out.");
      continue;
    }
    made.devices.push_back(device_of(attachment, *volume, entry, image_id));
    made.snapshots.emplace_back(made.devices.back().snapshot_id, volume->id);
  }
  if (made.snapshots.empty()) refuse_mapping("Instance " + instance.id + " has no volume to make an image of.");
  std::vector<ImageDeviceRequest> more;
  for (const auto& entry : what.devices) {
    if (!present.contains(entry.device_name)) more.push_back(entry);
  }
  for (auto& device : new_devices(region.name, image_id, more)) {
    if (!device.snapshot_id.empty())
      check_fits(device, readable_snapshot(txn, region, caller.account, device.snapshot_id));
    made.devices.push_back(std::move(device));
  }
  number_devices(made.devices);
  return made;
}

Image image_row(catalog::Txn& txn, Region& region, const NewImageOfInstance& what, const catalog::Instance& instance,
                const std::string& id) {
  // What the guest is and needs is what the image that it was launched from said, deregistered or not.
  Image image = catalog::find_image(txn, region.name, instance.image_id).value_or(Image{});
  image.region = region.name;
  image.id = id;
  image.account = instance.account;
  image.name = what.name;
  image.description = what.description;
  image.state = "pending";
  image.state_reason_code.clear();
  image.state_reason_message.clear();
  image.root_device_name = instance.root_device_name;
  image.location = instance.account + "/" + what.name;
  image.source_image_id = instance.image_id;
  image.source_image_region = region.name;
  image.source_instance_id = instance.id;
  image.deregistered.reset();
  image.last_launched.reset();
  clear_lifecycle(image);
  image.created = region.clock.now();
  return image;
}

// --- the job; its subject is the instance

std::vector<Snapshot> own_snapshots(catalog::Txn& txn, const Region& region, const std::string& image_id) {
  return catalog::select<Snapshot>(txn, "WHERE region = $1 AND image_id = $2 ORDER BY id", {region.name, image_id});
}
std::vector<Snapshot> own_snapshots(Region& region, const std::string& image_id) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return own_snapshots(txn, region, image_id); });
}

// The uploads are started in the transaction that says the cut is made.
bool cut_is_made(const std::vector<Snapshot>& snapshots) {
  return std::all_of(snapshots.begin(), snapshots.end(),
                     [](const Snapshot& s) { return s.generation || s.state != "pending"; });
}

std::optional<catalog::Instance> instance_now(Region& region, const std::string& id) {
  return catalog::in_read(region.catalog,
                          [&](catalog::Txn& txn) { return catalog::find_instance(txn, region.name, id); });
}

// The guest is off on our account: it runs as far as its owner was told.
bool to_reboot(Region& region, jobs::Context& job, const std::optional<catalog::Instance>& instance) {
  return job.argument("reboot") == "yes" && instance && instance->state == "running" &&
         region.host.state(instance->id).power != hypervisor::Power::absent;
}

void step_shut_down(Region& region, jobs::Context& job) {
  const auto instance = instance_now(region, job.job().subject);
  if (cut_is_made(own_snapshots(region, job.argument("image"))) || !to_reboot(region, job, instance)) return;
  shut_down_guest(region, job, *instance);
}

void step_boot(Region& region, jobs::Context& job) {
  const auto instance = instance_now(region, job.job().subject);
  if (to_reboot(region, job, instance)) boot_guest(region, job, *instance);
}

// A disk server that died, or went with its host, is otherwise brought back by a job of the instance, which would wait
// for this one to end.
void serve_disks_again(Region& region, jobs::Context& job) {
  const auto instance = instance_now(region, job.job().subject);
  if (instance && instance->state == "running") serve_disks(region, job, *instance);
}

void step_cut(Region& region, jobs::Context& job) {
  const auto snapshots = own_snapshots(region, job.argument("image"));
  if (cut_is_made(snapshots)) return;
  std::map<std::string, std::uint64_t> generations;
  const auto done = cut_together(region, snapshots, generations);
  const bool server_died = !done && done.error().fault() == Fault::io && !region.disk_servers.runs(job.job().subject);
  if (!done && (done.error().fault() == Fault::busy || server_died)) {
    serve_disks_again(region, job);
    throw jobs::Retry(done.error().message(), base::seconds(1) / 10);
  }
  if (!done) throw std::runtime_error(done.error().message());
  job.in_txn([&](catalog::Txn& txn) {
    for (auto snapshot : own_snapshots(txn, region, job.argument("image"))) {
      if (snapshot.state != "pending") continue;
      snapshot.generation = static_cast<std::int64_t>(generations[snapshot.id]);
      catalog::update(txn, snapshot);
      region.jobs.start(txn, {.region = region.name,
                              .kind = "create-snapshot",
                              .subject = snapshot.volume_id,
                              .arguments = {{"snapshot", snapshot.id}}});
    }
  });
  region.jobs.wake();
}

void undo_cut(Region& region, jobs::Context& job) {
  const auto snapshots = own_snapshots(region, job.argument("image"));
  if (cut_is_made(snapshots)) return;
  for (const auto& snapshot : snapshots) give_up_cut(region, snapshot.volume_id, snapshot.id);
}

}  // namespace

Image create_image(Region& region, const Principal& caller, const NewImageOfInstance& what) {
  if (what.name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter Name");
  if (what.description.size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  const auto id = base::new_id("ami");
  auto image = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto instance = instance_of(txn, region, caller, what.instance_id);
    if (instance.state != "running" && instance.state != "stopped") {
      throw ApiError("IncorrectInstanceState", "Instance is not in state 'running' or 'stopped': " + instance.id +
                                                   " is '" + instance.state + "'");
    }
    check_image_name(txn, region, caller.account, what.name);
    const auto planned = plan(txn, region, caller, what, instance, id);
    const auto row = image_row(txn, region, what, instance, id);
    catalog::insert(txn, row);
    for (const auto& device : planned.devices) catalog::insert(txn, device);
    for (const auto& [snapshot_id, volume_id] : planned.snapshots) {
      auto snapshot =
          add_snapshot(txn, region, snapshot_id, volume_id, "Created by CreateImage(" + instance.id + ") for " + id);
      snapshot.image_id = id;
      catalog::update(txn, snapshot);
      add_tags(txn, region, caller.account, snapshot_id, what.snapshot_tags);
    }
    add_tags(txn, region, caller.account, id, what.image_tags);
    region.jobs.start(txn, {.region = region.name,
                            .kind = "create-image",
                            .subject = instance.id,
                            .arguments = {{"image", id}, {"reboot", what.reboot == Reboot::yes ? "yes" : "no"}}});
    return row;
  });
  region.jobs.wake();
  return image;
}

void add_image_jobs(jobs::Runner& runner, Regions& regions) {
  const auto in_region = [&regions](void (*step)(Region&, jobs::Context&)) {
    return [&regions, step](jobs::Context& job) { step(regions.at(job.job().region), job); };
  };
  const auto failed = [&regions](catalog::Txn& txn, const catalog::Job& job) {
    auto& region = regions.at(job.region);
    const auto image_id = jobs::parse_arguments(job.arguments)["image"];
    const auto snapshots = own_snapshots(txn, region, image_id);
    // Once the cut is made the uploads make the image complete without this job.
    if (cut_is_made(snapshots)) return;
    for (auto snapshot : snapshots) {
      snapshot.state = "error";
      snapshot.state_message = job.error;
      catalog::update(txn, snapshot);
    }
    image_failed(txn, region, image_id, job.error);
  };
  runner.add({.name = "create-image",
              .steps = {{"shut-down", in_region(step_shut_down), in_region(step_boot)},
                        {"cut", in_region(step_cut), in_region(undo_cut)},
                        {"boot", in_region(step_boot)}},
              .on_failed = failed});
}

}  // namespace kiln::control
