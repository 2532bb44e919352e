#pragma once
// What the metadata service knows of an instance. Looked up on request threads; one read transaction each.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catalog/instances.h"
#include "control/instance_profiles.h"
#include "control/region.h"

namespace kiln::control {

struct GuestMetadata {
  catalog::Instance instance;
  std::string architecture;
  std::string vpc_cidr, subnet_cidr;
  std::vector<std::pair<std::string, std::string>> groups;   // id, name
  std::vector<std::pair<std::string, std::string>> devices;  // "ami", "root", "ebs1" ...: device name
  std::optional<ProfileOfGuest> profile;
  std::string public_key;  // one authorized_keys line; empty when it has none
};

// The instance that has this address in this VPC; nothing when none that is on does.
std::optional<GuestMetadata> metadata_of(Region& region, const std::string& vpc_id, const std::string& address);

// VPCs in which a guest may be on: their bridges need a metadata service.
std::vector<std::string> vpcs_with_guests(Region& region);

// ip-10-77-0-4.ec2.internal in us-east-1, ip-10-77-0-4.eu-west-1.compute.internal elsewhere.
std::string private_dns_name(const std::string& region, const std::string& private_ip);

}  // namespace kiln::control
