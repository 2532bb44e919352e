#pragma once
// StartInstances, StopInstances, RebootInstances, TerminateInstances.

#include <string>
#include <vector>

#include "services/call.h"
#include "services/ec2/instances_shapes.h"

namespace kiln::services::ec2 {

struct InstanceStateChange {
  std::string instance_id;
  InstanceState current_state, previous_state;
};

// Of all four; force is StopInstances' alone.
struct InstancesRequest {
  std::vector<std::string> instance_id;
};
struct StopInstancesRequest {
  std::vector<std::string> instance_id;
  bool force = false;
  bool hibernate = false;
};

struct InstanceStateChangesResponse {
  std::vector<InstanceStateChange> instances_set;
};

InstanceStateChangesResponse start_instances(Call& call, const InstancesRequest& request);
InstanceStateChangesResponse stop_instances(Call& call, const StopInstancesRequest& request);
Done reboot_instances(Call& call, const InstancesRequest& request);
InstanceStateChangesResponse terminate_instances(Call& call, const InstancesRequest& request);

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::InstanceStateChange, instance_id, current_state, previous_state)
KILN_WIRE(kiln::services::ec2::InstancesRequest, instance_id)
KILN_WIRE(kiln::services::ec2::StopInstancesRequest, instance_id, force, hibernate)
KILN_WIRE(kiln::services::ec2::InstanceStateChangesResponse, instances_set)
