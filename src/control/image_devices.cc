#include "control/image_devices.h"

#include <algorithm>
#include <set>

#include "base/api_error.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::ImageDevice;

[[noreturn]] void refuse(const std::string& why) { throw ApiError("InvalidBlockDeviceMapping", why); }

bool is_device_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-") ==
             std::string::npos;
}

ImageDevice device_of(const std::string& region, const std::string& image_id, const ImageDeviceRequest& entry) {
  if (!entry.virtual_name.empty() && entry.has_ebs) {
    refuse("Device '" + entry.device_name + "' has both a virtual name and an EBS volume.");
  }
  ImageDevice device{.region = region,
                     .image_id = image_id,
                     .device_name = entry.device_name,
                     .snapshot_id = entry.snapshot_id,
                     .size_gib = entry.size_gib.value_or(0),
                     .volume_type = entry.volume_type.empty() ? "gp3" : entry.volume_type,
                     .delete_on_termination = entry.delete_on_termination.value_or(true),
                     .encrypted = entry.encrypted.value_or(false),
                     .iops = entry.iops,
                     .throughput = entry.throughput,
                     .virtual_name = entry.virtual_name};
  if (!entry.virtual_name.empty()) {
    if (!entry.virtual_name.starts_with("ephemeral")) {
      refuse("Virtual name '" + entry.virtual_name + "' of device '" + entry.device_name +
             "' is not ephemeral0 to ephemeral23.");
    }
    return device;
  }
  if (entry.encrypted && !entry.snapshot_id.empty()) {
    throw ApiError("InvalidParameter", "The parameter encrypted cannot be used together with snapshotId in a mapping.");
  }
  if (entry.snapshot_id.empty() && !entry.size_gib) {
    refuse("Device '" + entry.device_name + "' needs a snapshot or a size.");
  }
  if (entry.size_gib && (*entry.size_gib < 1 || *entry.size_gib > 65'536)) {
    refuse("Volume size " + std::to_string(*entry.size_gib) + " of device '" + entry.device_name +
           "' is not between 1 and 65536 GiB.");
  }
  return device;
}

}  // namespace

std::vector<ImageDevice> new_devices(const std::string& region, const std::string& image_id,
                                     const std::vector<ImageDeviceRequest>& entries) {
  std::vector<ImageDevice> devices;
  std::set<std::string> names;
  for (const auto& entry : entries) {
    if (!is_device_name(entry.device_name)) refuse("Device name '" + entry.device_name + "' is not valid.");
    if (!names.insert(entry.device_name).second) {
      refuse("Device name '" + entry.device_name + "' is specified more than once.");
    }
    if (!entry.no_device) devices.push_back(device_of(region, image_id, entry));
  }
  return devices;
}

void check_fits(ImageDevice& device, const catalog::Snapshot& snapshot) {
  if (device.size_gib == 0) device.size_gib = snapshot.size_gib;
  device.encrypted = snapshot.encrypted;
  if (device.size_gib < snapshot.size_gib) {
    refuse("Volume of size " + std::to_string(device.size_gib) + "GB is smaller than snapshot '" + snapshot.id +
           "', expect size >= " + std::to_string(snapshot.size_gib) + "GB");
  }
}

void number_devices(std::vector<ImageDevice>& devices) {
  for (std::size_t i = 0; i < devices.size(); ++i) devices[i].position = static_cast<int>(i);
}

}  // namespace kiln::control
