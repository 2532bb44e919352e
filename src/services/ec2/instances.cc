// RunInstances and DescribeInstances, and the table of all operations on instances.
#include <algorithm>
#include <map>

#include "base/api_error.h"
#include "control/launch.h"
#include "services/ec2/asked.h"
#include "services/ec2/filter.h"
#include "services/ec2/instances_attributes.h"
#include "services/ec2/instances_power.h"
#include "services/ec2/instances_shapes.h"
#include "services/ec2/launch_params.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"
#include "wire/query.h"

namespace kiln::services::ec2 {

struct DescribeInstancesRequest {
  std::vector<std::string> instance_id;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeInstancesResponse {
  std::vector<Reservation> reservation_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::DescribeInstancesRequest, instance_id, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeInstancesResponse, reservation_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;
using Texts = std::vector<std::string>;

template <class Items, class Text>
Texts each(const Items& items, Text text) {
  Texts texts;
  for (const auto& item : items) texts.push_back(text(item));
  return texts;
}

std::string flag(bool value) { return value ? "true" : "false"; }
Texts time_of(const wire::Timestamp& time) { return one(base::to_iso8601(time.micros)); }
template <class Text>
Texts disks(const Instance& i, Text text) {
  return each(i.block_device_mapping, text);
}
template <class Text>
Texts nics(const Instance& i, Text text) {
  return each(i.network_interface_set, text);
}
Texts group_ids(const Instance& i) {
  return each(i.group_set, [](const auto& g) { return g.group_id; });
}
Texts group_names(const Instance& i) {
  return each(i.group_set, [](const auto& g) { return g.group_name; });
}
Texts addresses(const Instance& i) {
  return nics(i, [](const auto& n) { return n.private_ip_address; });
}

const Filterable<Instance> instance_filters[] = {
    {"architecture", [](const Instance& i) { return one(i.architecture); }},
    {"availability-zone", [](const Instance& i) { return one(i.placement.availability_zone); }},
    {"block-device-mapping.attach-time",
     [](const Instance& i) {
       return disks(i, [](const auto& d) { return base::to_iso8601(d.ebs.attach_time.micros); });
     }},
    {"block-device-mapping.delete-on-termination",
     [](const Instance& i) { return disks(i, [](const auto& d) { return flag(d.ebs.delete_on_termination); }); }},
    {"block-device-mapping.device-name",
     [](const Instance& i) { return disks(i, [](const auto& d) { return d.device_name; }); }},
    {"block-device-mapping.status",
     [](const Instance& i) { return disks(i, [](const auto& d) { return d.ebs.status; }); }},
    {"block-device-mapping.volume-id",
     [](const Instance& i) { return disks(i, [](const auto& d) { return d.ebs.volume_id; }); }},
    {"boot-mode", [](const Instance& i) { return one(i.boot_mode); }},
    {"client-token", [](const Instance& i) { return one(i.client_token); }},
    {"current-instance-boot-mode", [](const Instance& i) { return one(i.current_instance_boot_mode); }},
    {"dns-name", [](const Instance& i) { return one(i.dns_name); }},
    {"ena-support", [](const Instance& i) { return one(i.ena_support); }},
    {"group-id", [](const Instance&) { return Texts{}; }},    // of EC2-Classic
    {"group-name", [](const Instance&) { return Texts{}; }},  // of EC2-Classic
    {"hibernation-options.configured", [](const Instance& i) { return one(i.hibernation_options.configured); }},
    {"hypervisor", [](const Instance& i) { return one(i.hypervisor); }},
    {"iam-instance-profile.arn",
     [](const Instance& i) { return i.iam_instance_profile ? one(i.iam_instance_profile->arn) : Texts{}; }},
    {"iam-instance-profile.id",
     [](const Instance& i) { return i.iam_instance_profile ? one(i.iam_instance_profile->id) : Texts{}; }},
    {"image-id", [](const Instance& i) { return one(i.image_id); }},
    {"instance-id", [](const Instance& i) { return one(i.instance_id); }},
    {"instance-lifecycle", [](const Instance&) { return Texts{}; }},  // spot and scheduled ones
    {"instance-state-code", [](const Instance& i) { return one(std::to_string(i.instance_state.code)); }},
    {"instance-state-name", [](const Instance& i) { return one(i.instance_state.name); }},
    {"instance-type", [](const Instance& i) { return one(i.instance_type); }},
    {"instance.group-id", group_ids},
    {"instance.group-name", group_names},
    {"ip-address", [](const Instance&) { return Texts{}; }},  // public: there are none
    {"kernel-id", [](const Instance&) { return Texts{}; }},
    {"key-name", [](const Instance& i) { return one(i.key_name); }},
    {"launch-index", [](const Instance& i) { return one(std::to_string(i.ami_launch_index)); }},
    {"launch-time", [](const Instance& i) { return time_of(i.launch_time); }},
    {"metadata-options.http-endpoint", [](const Instance& i) { return one(i.metadata_options.http_endpoint); }},
    {"metadata-options.http-put-response-hop-limit",
     [](const Instance& i) { return one(std::to_string(i.metadata_options.http_put_response_hop_limit)); }},
    {"metadata-options.http-tokens", [](const Instance& i) { return one(i.metadata_options.http_tokens); }},
    {"monitoring-state", [](const Instance& i) { return one(i.monitoring.state); }},
    {"network-interface.addresses.private-ip-address", addresses},
    {"network-interface.group-id", group_ids},
    {"network-interface.group-name", group_names},
    {"network-interface.mac-address",
     [](const Instance& i) { return nics(i, [](const auto& n) { return n.mac_address; }); }},
    {"network-interface.network-interface-id",
     [](const Instance& i) { return nics(i, [](const auto& n) { return n.network_interface_id; }); }},
    {"network-interface.owner-id", [](const Instance& i) { return nics(i, [](const auto& n) { return n.owner_id; }); }},
    {"network-interface.private-ip-address", addresses},
    {"network-interface.subnet-id",
     [](const Instance& i) { return nics(i, [](const auto& n) { return n.subnet_id; }); }},
    {"network-interface.vpc-id", [](const Instance& i) { return nics(i, [](const auto& n) { return n.vpc_id; }); }},
    {"owner-id", [](const Instance& i) { return one(i.owner_id); }},
    {"placement-group-name", [](const Instance& i) { return one(i.placement.group_name); }},
    {"platform", [](const Instance& i) { return one(i.platform); }},
    {"platform-details", [](const Instance& i) { return one(i.platform_details); }},
    {"private-dns-name", [](const Instance& i) { return one(i.private_dns_name); }},
    {"private-ip-address", [](const Instance& i) { return one(i.private_ip_address); }},
    {"product-code", [](const Instance&) { return Texts{}; }},
    {"ramdisk-id", [](const Instance&) { return Texts{}; }},
    {"reason", [](const Instance& i) { return one(i.reason); }},
    {"requester-id", [](const Instance&) { return Texts{}; }},
    {"reservation-id", [](const Instance& i) { return one(i.reservation_id); }},
    {"root-device-name", [](const Instance& i) { return one(i.root_device_name); }},
    {"root-device-type", [](const Instance& i) { return one(i.root_device_type); }},
    {"source-dest-check", [](const Instance& i) { return one(i.source_dest_check); }},
    {"state-reason-code", [](const Instance& i) { return i.state_reason ? one(i.state_reason->code) : Texts{}; }},
    {"state-reason-message", [](const Instance& i) { return i.state_reason ? one(i.state_reason->message) : Texts{}; }},
    {"subnet-id", [](const Instance& i) { return one(i.subnet_id); }},
    {"tenancy", [](const Instance& i) { return one(i.placement.tenancy); }},
    {"tpm-support", [](const Instance& i) { return one(i.tpm_support); }},
    {"usage-operation", [](const Instance& i) { return one(i.usage_operation); }},
    {"virtualization-type", [](const Instance& i) { return one(i.virtualization_type); }},
    {"vpc-id", [](const Instance& i) { return one(i.vpc_id); }},
};

std::vector<Instance> shapes_of(Call& call, const std::vector<std::string>& ids) {
  std::vector<Instance> shapes;
  for (const auto& details : control::describe_instances(call.region, call.principal, ids)) {
    shapes.push_back(to_shape(call.region, details));
  }
  return shapes;
}

std::vector<Reservation> by_reservation(std::vector<Instance> instances) {
  std::vector<Reservation> reservations;
  std::map<std::string, std::size_t> places;
  for (auto& instance : instances) {
    const auto [place, is_new] = places.emplace(instance.reservation_id, reservations.size());
    if (is_new) {
      reservations.push_back({.reservation_id = instance.reservation_id,
                              .owner_id = instance.owner_id,
                              .group_set = {},
                              .instances_set = {}});
    }
    reservations[place->second].instances_set.push_back(std::move(instance));
  }
  for (auto& reservation : reservations) {
    std::ranges::sort(reservation.instances_set, {}, &Instance::ami_launch_index);
  }
  return reservations;
}

control::LaunchDevice to_device(const BlockDeviceMapping& mapping) {
  control::LaunchDevice device;
  device.device_name = mapping.device_name;
  device.no_device = leaves_out(mapping);
  device.virtual_name = mapping.virtual_name.value_or("");
  if (!mapping.ebs) return device;
  const EbsBlockDevice& ebs = *mapping.ebs;
  device.snapshot_id = ebs.snapshot_id.value_or("");
  device.volume_type = ebs.volume_type.value_or("");
  if (ebs.volume_size) device.size_gib = *ebs.volume_size;
  device.delete_on_termination = ebs.delete_on_termination;
  device.encrypted = ebs.encrypted;
  device.kms_key = ebs.kms_key_id.value_or("");
  device.iops = ebs.iops;
  device.throughput = ebs.throughput;
  device.initialization_rate = ebs.volume_initialization_rate;
  return device;
}

// One network interface may be described instead of a subnet, groups and an address of the instance itself.
void take_network(control::Launch& launch, const RunInstancesRequest& request) {
  launch.subnet_id = request.subnet_id;
  launch.group_ids = request.security_group_id;
  launch.group_names = request.security_group;
  launch.private_ip = request.private_ip_address;
  if (request.network_interface.empty()) return;
  const auto& nic = request.network_interface.front();
  if (request.network_interface.size() > 1 || nic.device_index.value_or(0) != 0) {
    throw ApiError("AttachmentLimitExceeded", "Interface count " + std::to_string(request.network_interface.size()) +
                                                  " exceeds the limit of 1 for instances of this type");
  }
  if (!request.subnet_id.empty() || !request.security_group_id.empty() || !request.security_group.empty()) {
    throw ApiError("InvalidParameterCombination",
                   "Network interfaces and an instance-level subnet ID or security groups may not be specified on the "
                   "same request");
  }
  if (!nic.network_interface_id.empty()) {
    throw ApiError("InvalidNetworkInterfaceID.NotFound",
                   "The networkInterface ID '" + nic.network_interface_id + "' does not exist");
  }
  launch.subnet_id = nic.subnet_id;
  launch.group_ids = nic.security_group_id;
  if (!nic.private_ip_address.empty()) launch.private_ip = nic.private_ip_address;
}

void refuse_what_is_not_here(const RunInstancesRequest& request) {
  if (!request.placement.tenancy.empty() && request.placement.tenancy != "default") {
    throw ApiError("UnsupportedOperation", "Tenancy '" + request.placement.tenancy + "' is not supported");
  }
}

control::Launch to_launch(const Call& call, const RunInstancesRequest& request) {
  refuse_what_is_not_here(request);
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ImageId");
  if (!request.min_count) throw ApiError("MissingParameter", "The request must contain the parameter MinCount");
  if (!request.max_count) throw ApiError("MissingParameter", "The request must contain the parameter MaxCount");
  control::Launch launch;
  launch.image_id = request.image_id;
  launch.instance_type = request.instance_type;
  launch.min_count = *request.min_count;
  launch.max_count = *request.max_count;
  launch.key_name = request.key_name;
  launch.zone = request.placement.availability_zone;
  take_network(launch, request);
  launch.user_data = request.user_data;
  launch.profile = {.name = request.iam_instance_profile.name, .arn = request.iam_instance_profile.arn};
  for (const auto& mapping : request.block_device_mapping) launch.devices.push_back(to_device(mapping));
  launch.instance_tags = tags_for(request.tag_specification, "instance", {"instance", "volume", "network-interface"});
  launch.volume_tags = tags_for(request.tag_specification, "volume", {"instance", "volume", "network-interface"});
  if (!request.launch_template.launch_template_id.empty()) {
    launch.template_id = request.launch_template.launch_template_id;
    launch.template_version = request.launch_template.version;
  }
  launch.client_token = call.client_token;
  if (!request.instance_initiated_shutdown_behavior.empty()) {
    launch.shutdown_behavior = checked_shutdown_behavior(request.instance_initiated_shutdown_behavior);
  }
  launch.termination_protection = request.disable_api_termination;
  const auto options = checked_metadata_options(request.metadata_options);
  launch.tokens_required = options.tokens_required;
  launch.metadata_enabled = options.metadata_enabled;
  launch.hop_limit = options.hop_limit;
  return launch;
}

// The request with what its names stand for, which the caller is allowed to launch.
RunInstancesRequest without_names(Call& call, const RunInstancesRequest& request) {
  if (call.params == nullptr || !has_names(*call.params)) return request;
  const auto params = catalog::in_read(call.region.catalog, [&](catalog::Txn& txn) {
    return look_up_names(txn, call.region, call.principal, *call.params);
  });
  control::authorise(call.region, call.principal,
                     asked({.region = call.region,
                            .principal = call.principal,
                            .action = call.action,
                            .params = params,
                            .labels = {},
                            .body = {}}));
  RunInstancesRequest named;
  wire::decode_query(params, wire::Lists::flattened, wire::type_of<RunInstancesRequest>(), &named);
  return named;
}

Reservation run_instances(Call& call, const RunInstancesRequest& request) {
  const auto launched = control::launch(call.region, call.principal, to_launch(call, without_names(call, request)));
  auto reservations = by_reservation(shapes_of(call, launched.instance_ids));
  return std::move(reservations.at(0));
}

DescribeInstancesResponse describe_instances(Call& call, const DescribeInstancesRequest& request) {
  auto instances = shapes_of(call, request.instance_id);
  keep_matching<Instance>(instances, instance_filters, request.filter);
  auto page = paginate(
      std::move(instances),
      {.max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.instance_id.empty()},
      [](const Instance& i) { return i.instance_id; });
  return {.reservation_set = by_reservation(std::move(page.items)), .next_token = page.next_token};
}

constexpr Operation operations[] = {
    operation<describe_instance_attribute>("DescribeInstanceAttribute", Access::reads),
    operation<describe_instances>("DescribeInstances", Access::reads),
    operation<modify_instance_attribute>("ModifyInstanceAttribute", Access::writes),
    operation<modify_instance_metadata_options>("ModifyInstanceMetadataOptions", Access::writes),
    operation<reboot_instances>("RebootInstances", Access::writes),
    operation<run_instances>("RunInstances", Access::writes),
    operation<start_instances>("StartInstances", Access::writes),
    operation<stop_instances>("StopInstances", Access::writes),
    operation<terminate_instances>("TerminateInstances", Access::writes),
};

}  // namespace

std::span<const Operation> instance_operations() { return operations; }

}  // namespace kiln::services::ec2
