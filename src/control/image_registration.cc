// RegisterImage: an image made of snapshots that are there.

#include <algorithm>
#include <array>
#include <set>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "catalog/snapshots.h"
#include "control/image_devices.h"
#include "control/images.h"
#include "control/snapshot_sharing.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;

constexpr std::size_t most_uefi_data = 64'000;

[[noreturn]] void refuse(const std::string& value, const std::string& parameter, const std::string& expected) {
  throw ApiError("InvalidParameterValue",
                 "Value (" + value + ") for parameter " + parameter + " is invalid. Expected: " + expected + ".");
}

void check_enumerations(const NewImage& what) {
  if (what.architecture != "x86_64" && what.architecture != "arm64") {
    if (what.architecture == "i386" || what.architecture == "x86_64_mac" || what.architecture == "arm64_mac") {
      throw ApiError("UnsupportedOperation", "Images of architecture " + what.architecture +
                                                 " cannot be launched here; specify x86_64 or arm64.");
    }
    refuse(what.architecture, "architecture", "'x86_64' or 'arm64'");
  }
  if (what.virtualization_type == "paravirtual") {
    throw ApiError("UnsupportedOperation", "Paravirtual images cannot be launched here; specify hvm.");
  }
  if (!what.virtualization_type.empty() && what.virtualization_type != "hvm") {
    refuse(what.virtualization_type, "virtualizationType", "'hvm'");
  }
  const auto& boot = what.boot_mode;
  if (!boot.empty() && boot != "legacy-bios" && boot != "uefi" && boot != "uefi-preferred") {
    refuse(boot, "bootMode", "'legacy-bios', 'uefi' or 'uefi-preferred'");
  }
  if (!what.imds_support.empty() && what.imds_support != "v2.0") refuse(what.imds_support, "imdsSupport", "'v2.0'");
  if (!what.sriov_net_support.empty() && what.sriov_net_support != "simple") {
    refuse(what.sriov_net_support, "sriovNetSupport", "'simple'");
  }
  if (!what.tpm_support.empty()) {
    if (what.tpm_support != "v2.0") refuse(what.tpm_support, "tpmSupport", "'v2.0'");
    if (boot != "uefi") {
      throw ApiError("InvalidParameterCombination", "tpmSupport v2.0 needs the boot mode uefi.");
    }
  }
  if (what.uefi_data.size() > most_uefi_data || !base::from_base64(what.uefi_data)) {
    throw ApiError("InvalidParameterValue", "The parameter uefiData is not base64 of at most " +
                                                std::to_string(most_uefi_data) + " characters.");
  }
  if (what.description.size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
}

Image image_row(Region& region, const Principal& caller, const NewImage& what, const std::string& id) {
  return {.region = region.name,
          .id = id,
          .account = caller.account,
          .name = what.name,
          .description = what.description,
          .architecture = what.architecture,
          .state = "available",
          .root_device_name = what.root_device_name,
          .virtualization_type = "hvm",
          .boot_mode = what.boot_mode,
          .imds_support = what.imds_support,
          .tpm_support = what.tpm_support,
          .sriov_net_support = what.sriov_net_support,
          .ena_support = what.ena_support,
          .location = what.location.empty() ? caller.account + "/" + what.name : what.location,
          .created = region.clock.now(),
          .uefi_data = what.uefi_data};
}

// The snapshots that the devices name are the caller's or shared with them, completed, and fit.
void settle_snapshots(catalog::Txn& txn, Region& region, const Principal& caller,
                      std::vector<catalog::ImageDevice>& devices) {
  for (auto& device : devices) {
    if (device.snapshot_id.empty()) continue;
    const auto snapshot = readable_snapshot(txn, region, caller.account, device.snapshot_id);
    if (snapshot.state != "completed") {
      throw ApiError("InvalidBlockDeviceMapping",
                     "Snapshot " + snapshot.id + " is " + snapshot.state + "; an image needs completed snapshots.");
    }
    check_not_archived(txn, region, snapshot.id);
    check_fits(device, snapshot);
  }
}

}  // namespace

void check_image_name(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& name) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_";
  if (name.size() < 3 || name.size() > 128 || name.find_first_not_of(allowed) != std::string::npos) {
    throw ApiError("InvalidAMIName.Malformed",
                   "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', "
                   "'[', ']', ' ', '.', '/', '-', ''', '@' and '_'");
  }
  if (const auto taken = catalog::find_registered_image_named(txn, region.name, account, name)) {
    throw ApiError("InvalidAMIName.Duplicate", "AMI name " + name + " is already in use by AMI " + taken->id);
  }
}

Image register_image(Region& region, const Principal& caller, const NewImage& asked) {
  NewImage what = asked;
  // AWS's default. It is said rather than guessed: an image registered as i386 would never launch.
  if (what.architecture.empty()) what.architecture = "i386";
  check_enumerations(what);
  if (what.name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter Name");
  const auto id = base::new_id("ami");
  auto devices = new_devices(region.name, id, what.devices);
  if (what.root_device_name.empty() && !devices.empty()) what.root_device_name = devices.front().device_name;
  const auto root = std::find_if(devices.begin(), devices.end(),
                                 [&](const auto& d) { return d.device_name == what.root_device_name; });
  if (root == devices.end() || root->snapshot_id.empty()) {
    throw ApiError("InvalidBlockDeviceMapping", "The root device '" + what.root_device_name +
                                                    "' needs an entry with a snapshot in the block device mapping.");
  }
  std::rotate(devices.begin(), root, root + 1);
  number_devices(devices);
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    check_image_name(txn, region, caller.account, what.name);
    auto rows = devices;
    settle_snapshots(txn, region, caller, rows);
    const auto image = image_row(region, caller, what, id);
    catalog::insert(txn, image);
    for (const auto& row : rows) catalog::insert(txn, row);
    add_tags(txn, region, caller.account, id, what.tags);
    return image;
  });
}

}  // namespace kiln::control
