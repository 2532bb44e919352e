#pragma once
// Instances that exist: looking at them, and turning them on and off.
//
// Called on request threads; each function is one catalog transaction. A change writes the row's new state and starts
// the job that makes it true (instance_jobs.h), so after a crash the job goes on. Throws ApiError with AWS's codes:
// InvalidInstanceID.Malformed and .NotFound (also for what another account owns), IncorrectInstanceState,
// OperationNotPermitted. A call on several instances changes all of them or none.

#include <optional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/instance_profiles.h"
#include "catalog/instances.h"
#include "catalog/network.h"
#include "catalog/tags.h"
#include "catalog/volumes.h"
#include "control/region.h"

namespace kiln::control {

// An instance and what hangs on it.
struct InstanceDetails {
  struct Disk {
    catalog::Attachment attachment;
    catalog::Volume volume;
  };
  catalog::Instance instance;
  std::vector<Disk> disks;                     // by position
  std::vector<catalog::SecurityGroup> groups;  // by name
  std::vector<catalog::Tag> tags;              // by key, those of the caller
  std::optional<catalog::ProfileAssociation> profile;
  catalog::Image image;  // deregistered perhaps; empty id when its row has gone
};

// The caller's instances in the order of their launch; all of them when ids is empty.
std::vector<InstanceDetails> describe_instances(Region& region, const Principal& caller,
                                                const std::vector<std::string>& ids);
// One row of the caller's, in a transaction that the caller holds.
catalog::Instance instance_of(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id);

struct InstanceStateChange {
  std::string instance_id;
  std::string previous, current;
};

enum class Force { no, yes };  // pulls the plug instead of asking the guest

// Starting what runs, stopping what is stopped and terminating what is terminated succeed and change nothing.
std::vector<InstanceStateChange> start_instances(Region& region, const Principal& caller,
                                                 const std::vector<std::string>& ids);
std::vector<InstanceStateChange> stop_instances(Region& region, const Principal& caller,
                                                const std::vector<std::string>& ids, Force force);
std::vector<InstanceStateChange> terminate_instances(Region& region, const Principal& caller,
                                                     const std::vector<std::string>& ids);
void reboot_instances(Region& region, const Principal& caller, const std::vector<std::string>& ids);

// What ModifyInstanceAttribute and ModifyInstanceMetadataOptions can change; absent members stay as they are.
struct InstanceChanges {
  std::optional<std::string> instance_type;      // stopped only
  std::optional<std::string> user_data;          // base64; stopped only
  std::optional<std::string> shutdown_behavior;  // stop or terminate
  std::optional<bool> termination_protection;
  std::optional<std::vector<std::string>> group_ids;
  std::optional<bool> tokens_required, metadata_enabled;
  std::optional<int> hop_limit;
};
catalog::Instance change_instance(Region& region, const Principal& caller, const std::string& id,
                                  const InstanceChanges& changes);
// DeleteOnTermination of attached volumes, by device name. Throws InvalidInstanceAttributeValue for an unknown device.
struct DeleteOnTermination {
  std::string device_name;
  bool value = false;
};
void change_instance_devices(Region& region, const Principal& caller, const std::string& id,
                             const std::vector<DeleteOnTermination>& changes);

struct ConsoleOutput {
  std::string text;          // the last 64 KiB; empty when the guest has written nothing
  base::Micros updated = 0;  // when the guest last wrote
};
ConsoleOutput console_output(Region& region, const Principal& caller, const std::string& id);

}  // namespace kiln::control
