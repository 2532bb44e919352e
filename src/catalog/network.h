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
  std::string protocol;    // tcp udp icmp -1
  int from_port = -1, to_port = -1;
  std::string cidr;        // exactly one of cidr, cidr_ipv6, source_group is set
  std::string cidr_ipv6;
  std::string source_group;
  std::string description;
};

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Vpc, "vpc", 2, region, id, account, cidr, is_default, created)
KILN_ROW(kiln::catalog::Subnet, "subnet", 2, region, id, account, vpc_id, zone, cidr, is_default)
KILN_ROW(kiln::catalog::SecurityGroup, "security_group", 2, region, id, account, vpc_id, name, description, created)
KILN_ROW(kiln::catalog::SecurityGroupRule, "security_group_rule", 2, region, id, group_id, egress, protocol, from_port,
         to_port, cidr, cidr_ipv6, source_group, description)
