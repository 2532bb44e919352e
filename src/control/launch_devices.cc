#include <algorithm>
#include <map>
#include <set>

#include "base/api_error.h"
#include "control/launch.h"

namespace kiln::control {
namespace {

using catalog::ImageDevice;

constexpr std::size_t max_devices = 26;  // vda to vdz

[[noreturn]] void refuse(const std::string& message) { throw base::ApiError("InvalidBlockDeviceMapping", message); }

ImageDevice merged(ImageDevice device, const LaunchDevice& change, bool is_root) {
  if (!change.snapshot_id.empty() && is_root && change.snapshot_id != device.snapshot_id) {
    refuse("snapshotId cannot be modified on root device");
  }
  if (!change.snapshot_id.empty()) device.snapshot_id = change.snapshot_id;
  if (change.size_gib) device.size_gib = *change.size_gib;
  if (!change.volume_type.empty() && change.volume_type != device.volume_type) {
    // What the image says of its own type's performance means nothing for another one.
    device.volume_type = change.volume_type;
    device.iops.reset();
    device.throughput.reset();
  }
  if (change.delete_on_termination) device.delete_on_termination = *change.delete_on_termination;
  if (change.encrypted) device.encrypted = *change.encrypted;
  if (change.iops) device.iops = change.iops;
  if (change.throughput) device.throughput = change.throughput;
  return device;
}

ImageDevice added(const LaunchDevice& change) {
  if (change.snapshot_id.empty() && !change.size_gib) {
    refuse("Missing size or snapshot for the device '" + change.device_name + "'");
  }
  ImageDevice device;
  device.device_name = change.device_name;
  device.volume_type = "gp2";
  device.delete_on_termination = false;
  return merged(device, change, false);
}

}  // namespace

std::vector<ImageDevice> merge_devices(const catalog::Image& image, const std::vector<ImageDevice>& devices,
                                       const std::vector<LaunchDevice>& changes) {
  std::map<std::string, ImageDevice> by_name;
  for (const auto& device : devices) {
    if (device.virtual_name.empty()) by_name.emplace(device.device_name, device);
  }
  std::set<std::string> seen;
  for (const auto& change : changes) {
    if (change.device_name.empty()) refuse("A block device mapping has no device name");
    if (!seen.insert(change.device_name).second) refuse("Duplicate device name: " + change.device_name);
    const bool is_root = change.device_name == image.root_device_name;
    const auto found = by_name.find(change.device_name);
    if (change.no_device || !change.virtual_name.empty()) {
      if (is_root) refuse("The root device " + change.device_name + " cannot be left out");
      if (found != by_name.end()) by_name.erase(found);
    } else if (found == by_name.end()) {
      by_name.emplace(change.device_name, added(change));
    } else {
      found->second = merged(found->second, change, is_root);
    }
  }
  const auto root = by_name.find(image.root_device_name);
  if (root == by_name.end()) refuse("The image " + image.id + " has no root device " + image.root_device_name);
  if (by_name.size() > max_devices) refuse("More than " + std::to_string(max_devices) + " devices");

  std::vector<ImageDevice> result{std::move(root->second)};
  by_name.erase(root);
  for (auto& [name, device] : by_name) result.push_back(std::move(device));
  for (std::size_t i = 0; i < result.size(); ++i) result[i].position = static_cast<int>(i);
  return result;
}

}  // namespace kiln::control
