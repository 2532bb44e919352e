// DescribeInstanceStatus.
#include "control/instance_state.h"
#include "control/instances.h"
#include "services/ec2/filter.h"
#include "services/ec2/instances_shapes.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct InstanceStatusDetails {
  std::string name, status;
};

struct InstanceStatusSummary {
  std::string status;
  std::vector<InstanceStatusDetails> details;
};

struct InstanceStatus {
  std::string instance_id;
  std::string availability_zone;
  InstanceState instance_state;
  InstanceStatusSummary instance_status, system_status;
};

struct DescribeInstanceStatusRequest {
  std::vector<std::string> instance_id;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
  bool include_all_instances = false;
};

struct DescribeInstanceStatusResponse {
  std::vector<InstanceStatus> instance_status_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::InstanceStatusDetails, name, status)
KILN_WIRE(kiln::services::ec2::InstanceStatusSummary, status, details)
KILN_WIRE(kiln::services::ec2::InstanceStatus, instance_id, availability_zone, instance_state, instance_status,
          system_status)
KILN_WIRE(kiln::services::ec2::DescribeInstanceStatusRequest, instance_id, filter, max_results, next_token,
          include_all_instances)
KILN_WIRE(kiln::services::ec2::DescribeInstanceStatusResponse, instance_status_set, next_token)

namespace kiln::services::ec2 {
namespace {

const Filterable<InstanceStatus> status_filters[] = {
    {"availability-zone", [](const InstanceStatus& s) { return one(s.availability_zone); }},
    {"event.code", [](const InstanceStatus&) { return std::vector<std::string>{}; }},
    {"event.description", [](const InstanceStatus&) { return std::vector<std::string>{}; }},
    {"instance-state-code", [](const InstanceStatus& s) { return one(std::to_string(s.instance_state.code)); }},
    {"instance-state-name", [](const InstanceStatus& s) { return one(s.instance_state.name); }},
    {"instance-status.reachability",
     [](const InstanceStatus& s) {
       return s.instance_status.details.empty() ? std::vector<std::string>{}
                                                : one(s.instance_status.details.front().status);
     }},
    {"instance-status.status", [](const InstanceStatus& s) { return one(s.instance_status.status); }},
    {"system-status.reachability",
     [](const InstanceStatus& s) {
       return s.system_status.details.empty() ? std::vector<std::string>{}
                                              : one(s.system_status.details.front().status);
     }},
    {"system-status.status", [](const InstanceStatus& s) { return one(s.system_status.status); }},
};

// A row says running only while its guest's vCPU runs and its disks are served: the reconciler sees to that. Whether
// the operating system inside is well is not looked at.
InstanceStatus status_of(const catalog::Instance& row) {
  InstanceStatus status;
  status.instance_id = row.id;
  status.availability_zone = row.zone;
  status.instance_state = to_state(row.state);
  if (row.state == control::instance_state::running) {
    status.instance_status = {.status = "ok", .details = {{"reachability", "passed"}}};
  } else {
    status.instance_status = {.status = "not-applicable", .details = {}};
  }
  status.system_status = status.instance_status;
  return status;
}

DescribeInstanceStatusResponse describe_instance_status(Call& call, const DescribeInstanceStatusRequest& request) {
  std::vector<InstanceStatus> statuses;
  for (const auto& details : control::describe_instances(call.region, call.principal, request.instance_id)) {
    if (request.include_all_instances || details.instance.state == control::instance_state::running) {
      statuses.push_back(status_of(details.instance));
    }
  }
  keep_matching<InstanceStatus>(statuses, status_filters, request.filter);
  auto page = paginate(
      std::move(statuses),
      {.max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.instance_id.empty()},
      [](const InstanceStatus& s) { return s.instance_id; });
  return {.instance_status_set = std::move(page.items), .next_token = page.next_token};
}

constexpr Operation operations[] = {
    operation<describe_instance_status>("DescribeInstanceStatus", Access::reads),
};

}  // namespace

std::span<const Operation> instance_status_operations() { return operations; }

}  // namespace kiln::services::ec2
