#include "control/groups.h"

#include "base/api_error.h"
#include "base/ids.h"
#include "catalog/instances.h"
#include "control/network.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::SecurityGroup;
using catalog::SecurityGroupRule;

[[noreturn]] void refuse_id(const std::string& id) {
  throw ApiError("InvalidGroup.NotFound", "The security group '" + id + "' does not exist");
}

SecurityGroup find_group(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id,
                         const std::string& name) {
  if (!id.empty()) {
    if (!base::is_id("sg", id))
      throw ApiError("InvalidGroupId.Malformed", "Invalid id: \"" + id + "\" (expecting \"sg-...\")");
    auto found = catalog::find_security_group(txn, region.name, id);
    if (!found || found->account != account) refuse_id(id);
    return *found;
  }
  if (name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter groupName or groupId");
  const auto network = ensure_default_network(txn, region, account);
  auto found = catalog::find_security_group_named(txn, region.name, network.vpc.id, name);
  if (!found) {
    throw ApiError("InvalidGroup.NotFound",
                   "The security group '" + name + "' does not exist in default VPC '" + network.vpc.id + "'");
  }
  return *found;
}

bool same(const SecurityGroupRule& a, const SecurityGroupRule& b) {
  return a.egress == b.egress && a.protocol == b.protocol && a.from_port == b.from_port && a.to_port == b.to_port &&
         a.cidr == b.cidr && a.cidr_ipv6 == b.cidr_ipv6 && a.source_group == b.source_group;
}

void check_rule(const SecurityGroupRule& rule) {
  const bool has_ports = rule.protocol == "tcp" || rule.protocol == "udp";
  if (rule.protocol.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ipProtocol");
  if (!has_ports && rule.protocol != "icmp" && rule.protocol != "icmpv6" && rule.protocol != "-1" &&
      rule.protocol.find_first_not_of("0123456789") != std::string::npos) {
    throw ApiError("InvalidPermission.Malformed",
                   "Unsupported IP protocol \"" + rule.protocol + "\" - supported: tcp, udp, icmp, icmpv6, -1");
  }
  if (has_ports && (rule.from_port < 0 || rule.to_port > 65535 || rule.from_port > rule.to_port)) {
    throw ApiError("InvalidParameterValue",
                   "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.");
  }
  if (!rule.cidr.empty() && rule.cidr.find('/') == std::string::npos) {
    throw ApiError("InvalidParameterValue", "CIDR block " + rule.cidr + " is malformed");
  }
}

}  // namespace

SecurityGroup create_group(Region& region, const NewGroup& what) {
  if (what.name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter GroupName");
  if (what.description.empty())
    throw ApiError("MissingParameter", "The request must contain the parameter GroupDescription");
  if (what.name.size() > 255 || what.name.starts_with("sg-")) {
    throw ApiError("InvalidParameterValue",
                   "Invalid group name '" + what.name + "': at most 255 characters, and not starting with sg-");
  }
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const std::string vpc_id = what.vpc_id.empty() ? ensure_default_network(txn, region, what.account).vpc.id
                                                   : vpc(txn, region, what.account, what.vpc_id).id;
    if (catalog::find_security_group_named(txn, region.name, vpc_id, what.name)) {
      throw ApiError("InvalidGroup.Duplicate",
                     "The security group '" + what.name + "' already exists for VPC '" + vpc_id + "'");
    }
    SecurityGroup group{.region = region.name,
                        .id = base::new_id("sg"),
                        .account = what.account,
                        .vpc_id = vpc_id,
                        .name = what.name,
                        .description = what.description,
                        .created = region.clock.now()};
    catalog::insert(txn, group);
    catalog::insert(txn, SecurityGroupRule{.region = region.name,
                                           .id = base::new_id("sgr"),
                                           .group_id = group.id,
                                           .egress = true,
                                           .protocol = "-1",
                                           .cidr = "0.0.0.0/0"});
    return group;
  });
}

SecurityGroup delete_group(Region& region, const std::string& account, const std::string& id, const std::string& name) {
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const SecurityGroup group = find_group(txn, region, account, id, name);
    if (group.name == "default") {
      throw ApiError("CannotDelete",
                     "the specified group: \"" + group.id + "\" name: \"default\" cannot be deleted by a user");
    }
    if (!catalog::instances_in_group(txn, region.name, group.id).empty()) {
      throw ApiError("DependencyViolation", "resource " + group.id + " has a dependent object");
    }
    for (const auto& other : catalog::groups_referring_to(txn, region.name, group.id)) {
      if (other != group.id) throw ApiError("DependencyViolation", "resource " + group.id + " has a dependent object");
    }
    txn.execute("DELETE FROM security_group_rule WHERE region = $1 AND group_id = $2", {region.name, group.id});
    remove_all_tags(txn, region, group.id);
    catalog::remove(txn, group);
    return group;
  });
}

std::vector<SecurityGroupRule> authorize(Region& region, const std::string& account, const std::string& group_id,
                                         const std::string& group_name, std::vector<SecurityGroupRule> added) {
  if (added.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ipPermissions");
  for (const auto& rule : added) check_rule(rule);
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const SecurityGroup group = find_group(txn, region, account, group_id, group_name);
    const auto present = catalog::security_group_rules(txn, region.name, group.id);
    for (auto& rule : added) {
      for (const auto& other : present) {
        if (same(rule, other)) {
          throw ApiError("InvalidPermission.Duplicate", "the specified rule \"peer: " + rule.cidr + rule.source_group +
                                                            ", " + rule.protocol + "\" already exists");
        }
      }
      if (!rule.source_group.empty()) find_group(txn, region, account, rule.source_group, "");
      rule.region = region.name;
      rule.id = base::new_id("sgr");
      rule.group_id = group.id;
      catalog::insert(txn, rule);
    }
    return added;
  });
}

std::vector<SecurityGroup> groups_for_launch(catalog::Txn& txn, const Region& region, const std::string& account,
                                             const std::string& vpc_id, const std::vector<std::string>& ids,
                                             const std::vector<std::string>& names) {
  std::vector<SecurityGroup> found;
  for (const auto& id : ids) found.push_back(find_group(txn, region, account, id, ""));
  for (const auto& name : names) found.push_back(find_group(txn, region, account, "", name));
  for (const auto& group : found) {
    if (group.vpc_id != vpc_id) {
      throw ApiError("InvalidParameter", "Security group " + group.id + " and subnet belong to different networks.");
    }
  }
  if (!found.empty()) return found;
  auto standard = catalog::find_security_group_named(txn, region.name, vpc_id, "default");
  if (standard) found.push_back(*standard);
  return found;
}

}  // namespace kiln::control
