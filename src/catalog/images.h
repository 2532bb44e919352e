#pragma once
// Images, their block devices and launch permissions. A deregistered image keeps its row while instances live.

#include "catalog/table.h"

namespace kiln::catalog {

struct Image {
  std::string region, id;
  std::string account;
  std::string name, description;
  std::string architecture = "x86_64";
  std::string state;  // pending available failed deregistered disabled
  std::string state_reason_code, state_reason_message;
  std::string root_device_name;
  std::string virtualization_type = "hvm";
  std::string boot_mode;     // empty: what the instance type does
  std::string imds_support;  // "v2.0" or empty
  std::string tpm_support;
  std::string sriov_net_support = "simple";
  bool ena_support = true;
  std::string platform;                                                  // "windows" or empty
  std::string location;                                                  // account/name, as AWS writes imageLocation
  std::string source_image_id, source_image_region, source_instance_id;  // lineage, from the first day
  std::optional<base::Micros> deregistered;
  std::optional<base::Micros> last_launched;
  base::Micros created = 0;
  std::string uefi_data;  // base64, as given; empty
  std::optional<base::Micros> deprecation;
  std::string deregistration_protection;        // with-cooldown, without-cooldown, or empty
  std::optional<base::Micros> protected_until;  // for a day after protection with cooldown was taken away
};

struct ImageDevice {
  std::string region, image_id;
  int position = 0;
  std::string device_name;
  std::string snapshot_id;  // empty: a new empty volume
  std::int64_t size_gib = 0;
  std::string volume_type = "gp3";
  bool delete_on_termination = true;
  bool encrypted = false;
  std::optional<int> iops, throughput;
  std::string virtual_name;  // ephemeralN, or empty
};

struct LaunchPermission {
  std::string region, image_id;
  std::string kind;   // account, group, organization, organizational-unit
  std::string value;  // 12 digits, "all", an ARN
};

// Any state, deregistered ones included: what a caller may see is control's rule.
std::optional<Image> find_image(Txn& txn, const std::string& region, const std::string& id);
// Oldest first. Registered means neither deregistered nor failed; the name of such an image is taken.
std::optional<Image> find_registered_image_named(Txn& txn, const std::string& region, const std::string& account,
                                                 const std::string& name);
// A page of own images, public ones, and those shared with the account or with an organisation that it belongs to;
// without deregistered ones. By id, those after the one given; at most so many.
std::vector<Image> images_visible_to(Txn& txn, const std::string& region, const std::string& account,
                                     const std::string& after, std::int64_t most);
// Registered images with the snapshot among their devices: why it cannot be deleted.
std::vector<Image> images_using_snapshot(Txn& txn, const std::string& region, const std::string& snapshot_id);

std::vector<ImageDevice> image_devices(Txn& txn, const std::string& region, const std::string& image_id);
std::vector<LaunchPermission> launch_permissions(Txn& txn, const std::string& region, const std::string& image_id);
// Whether the image is public or shared with the account, or with an organisation that it belongs to; says nothing of
// its owner.
bool has_launch_permission(Txn& txn, const std::string& region, const std::string& image_id,
                           const std::string& account);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Image, "image", 2, region, id, account, name, description, architecture, state,
         state_reason_code, state_reason_message, root_device_name, virtualization_type, boot_mode, imds_support,
         tpm_support, sriov_net_support, ena_support, platform, location, source_image_id, source_image_region,
         source_instance_id, deregistered, last_launched, created, uefi_data, deprecation, deregistration_protection,
         protected_until)
KILN_ROW(kiln::catalog::ImageDevice, "image_device", 3, region, image_id, position, device_name, snapshot_id, size_gib,
         volume_type, delete_on_termination, encrypted, iops, throughput, virtual_name)
KILN_ROW(kiln::catalog::LaunchPermission, "launch_permission", 4, region, image_id, kind, value)
