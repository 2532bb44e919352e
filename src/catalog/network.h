#pragma once
// The network an account finds in a region: a default VPC with one subnet per zone, and security groups.

#include "catalog/table.h"

namespace kiln::catalog {

struct Vpc {
  std::string region, id;
  std::string account;
  std::string cidr;
  bool is_default = false;
  base::Micros created = 0;
};

struct Subnet {
  std::string region, id;
  std::string account;
  std::string vpc_id, zone, cidr;
  bool is_default = false;
};

struct SecurityGroup {
  std::string region, id;
  std::string account;
  std::string vpc_id, name, description;
  base::Micros created = 0;
};

// One row per (protocol, ports, source).
struct SecurityGroupRule {
  std::string region, id;  // sgr-...
  std::string group_id;
  bool egress = false;
  std::string protocol;  // tcp udp icmp -1
  int from_port = -1, to_port = -1;
  std::string cidr;  // exactly one of cidr, cidr_ipv6, source_group is set
  std::string cidr_ipv6;
  std::string source_group;
  std::string description;
};

std::optional<Vpc> find_vpc(Txn& txn, const std::string& region, const std::string& id);
std::optional<Vpc> default_vpc(Txn& txn, const std::string& region, const std::string& account);
std::vector<Vpc> vpcs_of(Txn& txn, const std::string& region, const std::string& account);

std::optional<Subnet> find_subnet(Txn& txn, const std::string& region, const std::string& id);
std::vector<Subnet> subnets_of(Txn& txn, const std::string& region, const std::string& account);

std::optional<SecurityGroup> find_security_group(Txn& txn, const std::string& region, const std::string& id);
std::optional<SecurityGroup> find_security_group_named(Txn& txn, const std::string& region, const std::string& vpc_id,
                                                       const std::string& name);
std::vector<SecurityGroup> security_groups_of(Txn& txn, const std::string& region, const std::string& account);
std::vector<SecurityGroupRule> security_group_rules(Txn& txn, const std::string& region, const std::string& group_id);
// Groups with a rule whose source is this group: why it cannot be deleted.
std::vector<std::string> groups_referring_to(Txn& txn, const std::string& region, const std::string& group_id);

// The lowest address of the subnet that is neither reserved (the first four and the last, as in AWS) nor held by an
// instance that is not terminated nor, while there are others, by one that is; nothing when the subnet is full. The
// caller stores it in the same transaction.
std::optional<std::string> next_private_ip(Txn& txn, const Subnet& subnet);
// How many next_private_ip could still give.
std::int64_t free_addresses(Txn& txn, const Subnet& subnet);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Vpc, "vpc", 2, region, id, account, cidr, is_default, created)
KILN_ROW(kiln::catalog::Subnet, "subnet", 2, region, id, account, vpc_id, zone, cidr, is_default)
KILN_ROW(kiln::catalog::SecurityGroup, "security_group", 2, region, id, account, vpc_id, name, description, created)
KILN_ROW(kiln::catalog::SecurityGroupRule, "security_group_rule", 2, region, id, group_id, egress, protocol, from_port,
         to_port, cidr, cidr_ipv6, source_group, description)
