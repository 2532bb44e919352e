#include "control/metadata.h"

#include <algorithm>
#include <set>

#include "catalog/images.h"
#include "catalog/keys.h"
#include "catalog/network.h"
#include "catalog/volumes.h"

namespace kiln::control {
namespace {

// What block-device-mapping/ names: ami and root are the root device, ebs1.. the others.
std::vector<std::pair<std::string, std::string>> device_names(const catalog::Instance& instance,
                                                              const std::vector<catalog::Attachment>& attachments) {
  std::vector<std::pair<std::string, std::string>> names{{"ami", instance.root_device_name}};
  int number = 1;
  for (const auto& attachment : attachments) {
    if (attachment.device_name == instance.root_device_name) continue;
    names.emplace_back("ebs" + std::to_string(number++), attachment.device_name);
  }
  names.emplace_back("root", instance.root_device_name);
  return names;
}

}  // namespace

std::optional<GuestMetadata> metadata_of(Region& region, const std::string& vpc_id, const std::string& address) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) -> std::optional<GuestMetadata> {
    auto instance = catalog::find_instance_at(txn, region.name, vpc_id, address);
    if (!instance) return {};
    GuestMetadata found;
    const auto image = catalog::find_image(txn, region.name, instance->image_id);
    found.architecture = image ? image->architecture : "x86_64";
    if (const auto vpc = catalog::find_vpc(txn, region.name, vpc_id)) found.vpc_cidr = vpc->cidr;
    if (const auto subnet = catalog::find_subnet(txn, region.name, instance->subnet_id))
      found.subnet_cidr = subnet->cidr;
    for (const auto& id : catalog::groups_of_instance(txn, region.name, instance->id)) {
      const auto group = catalog::find_security_group(txn, region.name, id);
      found.groups.emplace_back(id, group ? group->name : id);
    }
    found.profile = profile_of_guest(txn, region, instance->id);
    found.devices = device_names(*instance, catalog::attachments_of_instance(txn, region.name, instance->id));
    if (!instance->key_name.empty()) {
      const auto key = catalog::find_key_pair(txn, region.name, instance->account, instance->key_name);
      if (key) found.public_key = key->public_key;
    }
    found.instance = std::move(*instance);
    return found;
  });
}

std::vector<std::string> vpcs_with_guests(Region& region) {
  const auto on = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return catalog::instances_in_state(txn, region.name, {"pending", "running", "stopping", "shutting-down"});
  });
  std::set<std::string> vpcs;
  for (const auto& instance : on) vpcs.insert(instance.vpc_id);
  return {vpcs.begin(), vpcs.end()};
}

std::string private_dns_name(const std::string& region, const std::string& private_ip) {
  std::string name = "ip-" + private_ip;
  std::ranges::replace(name, '.', '-');
  return name + (region == "us-east-1" ? ".ec2.internal" : "." + region + ".compute.internal");
}

}  // namespace kiln::control
