#include "control/launch.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/groups.h"
#include "control/image_aliases.h"
#include "control/images.h"
#include "control/instance_jobs.h"
#include "control/instance_state.h"
#include "control/instance_types.h"
#include "control/keys.h"
#include "control/network.h"
#include "control/tags.h"
#include "control/volumes.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Txn;

constexpr std::size_t max_user_data_bytes = 16 << 10;
constexpr int max_instances = 1000;  // of one account in one region, terminated ones aside

// What all instances of one launch have in common, once the checks have passed.
struct Plan {
  catalog::Image image;
  std::vector<catalog::ImageDevice> devices;  // as merged
  std::vector<std::string> image_snapshots;   // those that the image's permission covers
  std::optional<catalog::IamIdentity> profile;
  catalog::Subnet subnet;
  std::vector<catalog::SecurityGroup> groups;
  int count = 0;  // at most; the limit may leave fewer than were asked for
};

void check_counts(const Launch& request) {
  if (request.min_count < 1 || request.max_count < request.min_count) {
    throw ApiError("InvalidParameterValue", "Value (" + std::to_string(request.min_count) +
                                                ") for parameter minCount is "
                                                "invalid: it must be at least 1 and at most maxCount (" +
                                                std::to_string(request.max_count) + ")");
  }
  if (!request.private_ip.empty() && request.max_count > 1) {
    throw ApiError("InvalidParameterCombination", "A private IP address can be given to one instance only");
  }
}

void check_user_data(const std::string& text) {
  if (text.empty()) return;
  const auto bytes = base::from_base64(text);
  if (!bytes) throw ApiError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data");
  if (bytes->size() > max_user_data_bytes) {
    throw ApiError("InvalidParameterValue", "User data is limited to 16384 bytes");
  }
}

void check_type(const Launch& request, const catalog::Image& image) {
  if (find_instance_type(request.instance_type) == nullptr) {
    throw ApiError("InvalidParameterValue", "Invalid value '" + request.instance_type + "' for InstanceType.");
  }
  if (image.architecture != "x86_64" && image.architecture != "i386") {
    throw ApiError("InvalidParameterValue",
                   "The architecture 'i386,x86_64' of the specified instance type does not match the architecture '" +
                       image.architecture +
                       "' of the specified AMI. Specify an instance type and an AMI that have "
                       "matching architectures, and try again. You can use 'describe-instance-types' or "
                       "'describe-images' to discover the architecture of the instance type or AMI.");
  }
}

std::optional<std::uint32_t> parse_address(std::string_view text) {
  std::uint32_t address = 0;
  const auto parts = base::split(text, '.');
  if (parts.size() != 4) return {};
  for (const auto part : parts) {
    unsigned number = 256;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc{} || end != part.data() + part.size() || number > 255) return {};
    address = address << 8 | number;
  }
  return address;
}

// Whether an instance may have the address: in the subnet's range and not one of AWS's five reserved ones.
bool is_usable(const std::string& cidr, std::string_view address_text) {
  const auto slash = cidr.find('/');
  const auto network = parse_address(std::string_view(cidr).substr(0, slash));
  const auto address = parse_address(address_text);
  if (!network || !address || slash == std::string::npos) return false;
  const std::uint32_t size = 1U << (32 - std::stoi(cidr.substr(slash + 1)));
  return *address >= *network + 4 && *address < *network + size - 1;
}

std::string choose_address(Txn& txn, const Region& region, const catalog::Subnet& subnet, const std::string& wanted) {
  if (wanted.empty()) return control::next_private_ip(txn, subnet);
  if (!is_usable(subnet.cidr, wanted)) {
    throw ApiError("InvalidParameterValue", "Address " + wanted + " does not fall within the subnet's address range");
  }
  if (catalog::find_instance_at(txn, region.name, subnet.vpc_id, wanted)) {
    throw ApiError("InvalidIPAddress.InUse", "Address " + wanted + " is in use.");
  }
  return wanted;
}

catalog::Subnet choose_subnet(Txn& txn, const Region& region, const Principal& caller, const Launch& request) {
  if (!request.zone.empty() && std::ranges::find(region.zones, request.zone) == region.zones.end()) {
    throw ApiError("InvalidParameterValue", "Invalid availability zone: [" + request.zone + "]");
  }
  const auto network = ensure_default_network(txn, region, caller.account);
  if (!request.subnet_id.empty()) {
    auto chosen = subnet(txn, region, caller.account, request.subnet_id);
    if (request.zone.empty() || request.zone == chosen.zone) return chosen;
    throw ApiError("InvalidParameterValue",
                   "The availability zone '" + request.zone + "' is not that of the subnet '" + chosen.id + "'");
  }
  for (const auto& candidate : network.subnets) {
    if (request.zone.empty() || candidate.zone == request.zone) return candidate;
  }
  throw ApiError("MissingInput",
                 "No subnets found for the default VPC '" + network.vpc.id + "'. Please specify a subnet.");
}

Plan check(Txn& txn, Region& region, const Principal& caller, const Launch& request) {
  Plan plan;
  plan.image = image_for_launch(txn, region, caller, resolve_image_id(txn, region, caller, request.image_id));
  check_type(request, plan.image);
  const auto devices = catalog::image_devices(txn, region.name, plan.image.id);
  for (const auto& device : devices) plan.image_snapshots.push_back(device.snapshot_id);
  plan.devices = merge_devices(plan.image, devices, request.devices);
  if (!request.key_name.empty()) key_pair(txn, region, caller.account, request.key_name);
  if (!request.profile.empty()) plan.profile = instance_profile(txn, caller.account, request.profile);
  plan.subnet = choose_subnet(txn, region, caller, request);
  plan.groups =
      groups_for_launch(txn, region, caller.account, plan.subnet.vpc_id, request.group_ids, request.group_names);
  const auto count = txn.query("SELECT COUNT(*) FROM instance WHERE region = $1 AND account = $2 AND state <> $3",
                               {region.name, caller.account, std::string(instance_state::terminated)});
  const auto left = max_instances - std::get<std::int64_t>(count.at(0).at(0));
  if (left < request.min_count) {
    throw ApiError("InstanceLimitExceeded", "You have requested more instances (" + std::to_string(request.min_count) +
                                                ") than your current instance limit allows (" + std::to_string(left) +
                                                " more of " + std::to_string(max_instances) + ").");
  }
  plan.count = static_cast<int>(std::min<std::int64_t>(request.max_count, left));
  return plan;
}

catalog::Instance new_row(const Region& region, const Principal& caller, const Launch& request, const Plan& plan) {
  // Images that say v2.0 ask for tokens, and for one hop more so that containers reach the service (imdsSupport in
  // RegisterImage); the launch has the last word.
  const bool v2 = plan.image.imds_support == "v2.0";
  const base::Micros now = region.clock.now();
  catalog::Instance row;
  row.region = region.name;
  row.account = caller.account;
  row.zone = plan.subnet.zone;
  row.host = region.host.name();
  row.image_id = plan.image.id;
  row.instance_type = request.instance_type;
  row.state = instance_state::pending;
  row.key_name = request.key_name;
  row.user_data = request.user_data;
  row.vpc_id = plan.subnet.vpc_id;
  row.subnet_id = plan.subnet.id;
  row.tokens_required = request.tokens_required.value_or(v2);
  row.hop_limit = request.hop_limit.value_or(v2 ? 2 : 1);
  row.metadata_enabled = request.metadata_enabled.value_or(true);
  row.shutdown_behavior = request.shutdown_behavior;
  row.termination_protection = request.termination_protection;
  row.root_device_name = plan.image.root_device_name;
  if (request.client_token) row.client_token = request.client_token->token;
  row.launched = row.created = now;
  return row;
}

void add_disks(Txn& txn, Region& region, const catalog::Instance& instance, const Launch& request, const Plan& plan) {
  for (const auto& device : plan.devices) {
    const bool of_image = std::ranges::find(plan.image_snapshots, device.snapshot_id) != plan.image_snapshots.end();
    VolumeRequest wanted;
    wanted.id = base::new_id("vol");
    wanted.account = instance.account;
    wanted.zone = instance.zone;
    wanted.snapshot_id = device.snapshot_id;
    wanted.grant = of_image ? SnapshotGrant::image : SnapshotGrant::own;
    wanted.size_gib = device.size_gib;
    wanted.volume_type = device.volume_type;
    wanted.iops = device.iops;
    wanted.throughput = device.throughput;
    const auto asked = std::ranges::find(request.devices, device.device_name, &LaunchDevice::device_name);
    if (asked != request.devices.end()) {
      wanted.initialization_rate = asked->initialization_rate;
      wanted.encryption = {.encrypted = asked->encrypted, .key = asked->kms_key};
    }
    // What an image says of a device with a snapshot only tells what the snapshot is.
    if (device.snapshot_id.empty() && device.encrypted && !wanted.encryption.encrypted)
      wanted.encryption.encrypted = true;
    add_volume(txn, region, wanted);
    catalog::insert(txn, catalog::Attachment{.region = region.name,
                                             .volume_id = wanted.id,
                                             .instance_id = instance.id,
                                             .device_name = device.device_name,
                                             .position = device.position,
                                             .state = "attaching",
                                             .delete_on_termination = device.delete_on_termination,
                                             .attached = instance.created});
    add_tags(txn, region, instance.account, wanted.id, request.volume_tags);
  }
}

void add_instance(Txn& txn, Region& region, catalog::Instance row, const Launch& request, const Plan& plan) {
  row.id = base::new_id("i");
  // Guests find the metadata service of EC2 by a machine id that begins like this.
  row.uuid = "ec2" + base::new_uuid().substr(3);
  row.eni_id = base::new_id("eni");
  row.mac = mac_address(row.eni_id);
  catalog::insert(txn, row);
  for (const auto& group : plan.groups) {
    catalog::upsert(txn, catalog::InstanceGroup{.region = region.name, .instance_id = row.id, .group_id = group.id});
  }
  if (plan.profile) add_profile(txn, region, row, *plan.profile);
  add_disks(txn, region, row, request, plan);
  add_tags(txn, region, row.account, row.id, request.instance_tags);
  if (!request.template_id.empty()) {
    add_reserved_tags(txn, region, row.account, row.id,
                      {{"aws:ec2launchtemplate:id", request.template_id},
                       {"aws:ec2launchtemplate:version", request.template_version}});
  }
  region.jobs.start(txn, {.region = region.name, .kind = instance_job::launch, .subject = row.id, .arguments = {}});
}

Launched ids_of(Txn& txn, const Region& region, const std::string& reservation_id) {
  Launched launched{.reservation_id = reservation_id, .instance_ids = {}};
  for (const auto& row : catalog::instances_of_reservation(txn, region.name, reservation_id)) {
    if (row.state != instance_state::terminated) launched.instance_ids.push_back(row.id);
  }
  return launched;
}

// What the token made before; nothing when it is new.
std::optional<Launched> replay(Txn& txn, const Region& region, const Launch& request) {
  if (!request.client_token) return {};
  const auto& token = *request.client_token;
  const auto known = catalog::find_client_token(txn, token.region, token.account, token.operation, token.token);
  if (!known) return {};
  if (known->parameters != token.parameters) {
    throw ApiError("IdempotentParameterMismatch",
                   "The request uses the same client token as a previous, but non-identical request.");
  }
  auto launched = ids_of(txn, region, known->result);
  if (launched.instance_ids.empty()) {
    throw ApiError("IdempotentInstanceTerminated",
                   "The request to launch an instance uses the same client token as a "
                   "previous request for which the instance has been terminated.");
  }
  return launched;
}

Launched write_down(Txn& txn, Region& region, const Principal& caller, const Launch& request) {
  if (auto before = replay(txn, region, request)) return *before;
  Plan plan = check(txn, region, caller, request);
  catalog::Instance row = new_row(region, caller, request, plan);
  row.reservation_id = base::new_id("r");
  for (int i = 0; i < plan.count; ++i) {
    row.launch_index = i;
    try {
      row.private_ip = choose_address(txn, region, plan.subnet, request.private_ip);
    } catch (const ApiError& error) {
      // Fewer than the most that was asked for is a success, as long as the least is there.
      if (error.code() != "InsufficientFreeAddressesInSubnet" || i < request.min_count) throw;
      break;
    }
    add_instance(txn, region, row, request, plan);
  }
  plan.image.last_launched = row.created;
  catalog::update(txn, plan.image);
  if (request.client_token) {
    auto token = *request.client_token;
    token.result = row.reservation_id;
    catalog::remember_client_token(txn, token);
  }
  return ids_of(txn, region, row.reservation_id);
}

}  // namespace

Launched launch(Region& region, const Principal& caller, const Launch& request) {
  Launch checked = request;
  if (checked.instance_type.empty()) checked.instance_type = "t3.nano";
  check_counts(checked);
  check_user_data(checked.user_data);
  auto launched = with_ebs_key(region, caller.account, [&] {
    return catalog::in_txn(region.catalog, [&](Txn& txn) { return write_down(txn, region, caller, checked); });
  });
  region.jobs.wake();
  return launched;
}

}  // namespace kiln::control
