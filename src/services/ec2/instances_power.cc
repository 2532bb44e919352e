#include "services/ec2/instances_power.h"

#include "base/api_error.h"

namespace kiln::services::ec2 {
namespace {

InstanceStateChangesResponse to_response(const std::vector<control::InstanceStateChange>& changes) {
  InstanceStateChangesResponse response;
  for (const auto& change : changes) {
    response.instances_set.push_back({change.instance_id, to_state(change.current), to_state(change.previous)});
  }
  return response;
}

}  // namespace

InstanceStateChangesResponse start_instances(Call& call, const InstancesRequest& request) {
  return to_response(control::start_instances(call.region, call.principal, request.instance_id));
}

InstanceStateChangesResponse stop_instances(Call& call, const StopInstancesRequest& request) {
  if (request.hibernate) {
    throw base::ApiError("UnsupportedHibernationConfiguration",
                         "The instance was not launched with hibernation enabled, so it cannot be hibernated.");
  }
  const auto force = request.force ? control::Force::yes : control::Force::no;
  return to_response(control::stop_instances(call.region, call.principal, request.instance_id, force));
}

Done reboot_instances(Call& call, const InstancesRequest& request) {
  control::reboot_instances(call.region, call.principal, request.instance_id);
  return {};
}

InstanceStateChangesResponse terminate_instances(Call& call, const InstancesRequest& request) {
  return to_response(control::terminate_instances(call.region, call.principal, request.instance_id));
}

}  // namespace kiln::services::ec2
