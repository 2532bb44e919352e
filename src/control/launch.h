#pragma once
// Launching instances: what RunInstances asks, checked and written down in one transaction.
//
// launch() is called on request threads, and by whatever else launches (scaling, pipelines). The rows are there and
// `pending` when it returns, with one `launch` job per instance, which makes them run (instance_jobs.h). Nothing is
// there when it throws ApiError. Checks come in AWS's order: the image (exists, available, permitted), the type, the
// devices, the key, the profile, the subnet, the groups, the address.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/client_tokens.h"
#include "catalog/images.h"
#include "catalog/instances.h"
#include "control/instance_profiles.h"
#include "control/region.h"

namespace kiln::control {

// One entry of a block device mapping; overrides the image's entry of the same device name, member by member.
struct LaunchDevice {
  std::string device_name;
  bool no_device = false;    // drops the image's entry
  std::string virtual_name;  // ephemeralN: no such disks here, the entry is dropped
  std::string snapshot_id;
  std::string volume_type;
  std::optional<std::int64_t> size_gib;
  std::optional<bool> delete_on_termination;
  std::optional<bool> encrypted;
  std::string kms_key;  // as the caller named it
  std::optional<int> iops, throughput;
  std::optional<int> initialization_rate;  // of the volume, never of the image
};

struct Launch {
  std::string image_id;       // or resolve:ssm: and a parameter that names it
  std::string instance_type;  // empty: t3.nano
  int min_count = 1, max_count = 1;
  std::string key_name;
  std::vector<std::string> group_ids, group_names;  // none: the default group
  std::string subnet_id, zone;                      // none: the first zone's default subnet
  std::string private_ip;
  std::string user_data;  // base64
  std::vector<LaunchDevice> devices;
  std::map<std::string, std::string> instance_tags, volume_tags;
  std::string template_id, template_version;         // it was made of, for the tags that say so; empty: none
  std::optional<catalog::ClientToken> client_token;  // kept with the reservation's id: a replay answers with that
  std::string shutdown_behavior = "stop";
  bool termination_protection = false;
  ProfileName profile;  // of the instance; empty: none
  std::optional<bool> tokens_required, metadata_enabled;
  std::optional<int> hop_limit;
};

struct Launched {
  std::string reservation_id;
  std::vector<std::string> instance_ids;  // in the order of their launch index
};

Launched launch(Region& region, const Principal& caller, const Launch& request);

// The image's devices with the request's merged in, as volumes to make: the root first, then by device name; positions
// follow. Sizes of 0 are the snapshot's. Throws InvalidBlockDeviceMapping.
std::vector<catalog::ImageDevice> merge_devices(const catalog::Image& image,
                                                const std::vector<catalog::ImageDevice>& devices,
                                                const std::vector<LaunchDevice>& changes);

}  // namespace kiln::control
