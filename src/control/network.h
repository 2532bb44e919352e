#pragma once
// The network that an account finds in a region: a default VPC, one subnet per zone, a default security group.
//
// Made the first time anybody of the account looks or launches, in the caller's transaction. Each VPC is a /16 of its
// own, counted up from the region's vpc_cidr_base, because all of them live on one host; subnets are /20s of it, one
// per zone, as AWS's default ones are.

#include <optional>
#include <string>
#include <vector>

#include "catalog/network.h"
#include "control/region.h"

namespace kiln::control {

struct DefaultNetwork {
  catalog::Vpc vpc;
  std::vector<catalog::Subnet> subnets;  // in the order of the region's zones
  catalog::SecurityGroup group;          // "default"
};

DefaultNetwork ensure_default_network(catalog::Txn& txn, const Region& region, const std::string& account);

// Throws InvalidSubnetID.NotFound.
catalog::Subnet subnet(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id);
// Throws InvalidVpcID.NotFound.
catalog::Vpc vpc(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id);

// catalog::next_private_ip; throws InsufficientFreeAddressesInSubnet when there is none.
std::string next_private_ip(catalog::Txn& txn, const catalog::Subnet& subnet);
// 02:... derived from the network interface's id, so that it is the same at each start.
std::string mac_address(const std::string& eni_id);

}  // namespace kiln::control
