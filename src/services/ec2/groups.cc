// CreateSecurityGroup, DeleteSecurityGroup, DescribeSecurityGroups, AuthorizeSecurityGroupIngress.
#include "control/groups.h"

#include "base/api_error.h"
#include "control/network.h"
#include "control/tags.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct IpRange {
  std::string cidr_ip;
  std::optional<std::string> description;
};

struct Ipv6Range {
  std::string cidr_ipv6;
  std::optional<std::string> description;
};

struct UserIdGroupPair {
  std::optional<std::string> group_id;
  std::optional<std::string> group_name;
  std::optional<std::string> user_id;
  std::optional<std::string> description;
};

struct IpPermission {
  std::string ip_protocol;
  std::optional<int> from_port, to_port;
  std::vector<UserIdGroupPair> groups;
  std::vector<IpRange> ip_ranges;
  std::vector<Ipv6Range> ipv6_ranges;
};

struct SecurityGroup {
  std::string owner_id, group_id, group_name, group_description, vpc_id;
  std::vector<IpPermission> ip_permissions, ip_permissions_egress;
  std::vector<Tag> tag_set;
  std::string security_group_arn;
};

struct CreateSecurityGroupRequest {
  std::string group_name, group_description, vpc_id;
  std::vector<TagSpecification> tag_specification;
};

struct CreateSecurityGroupResponse {
  bool return_ = true;
  std::string group_id;
  std::vector<Tag> tag_set;
  std::string security_group_arn;
};

struct DeleteSecurityGroupRequest {
  std::string group_id, group_name;
};

struct DeleteSecurityGroupResponse {
  bool return_ = true;
  std::string group_id;
};

struct DescribeSecurityGroupsRequest {
  std::vector<Filter> filter;
  std::vector<std::string> group_id, group_name;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeSecurityGroupsResponse {
  std::vector<SecurityGroup> security_group_info;
  std::optional<std::string> next_token;
};

// The flat members are the older form of one permission; clients send both forms still.
struct AuthorizeSecurityGroupIngressRequest {
  std::string group_id, group_name;
  std::vector<IpPermission> ip_permissions;
  std::string ip_protocol, cidr_ip, source_security_group_name;
  std::optional<int> from_port, to_port;
};

struct SecurityGroupRule {
  std::string security_group_rule_id, group_id, group_owner_id, ip_protocol;
  bool is_egress = false;
  int from_port = -1, to_port = -1;
  std::optional<std::string> cidr_ipv4, cidr_ipv6, description;
};

struct AuthorizeSecurityGroupIngressResponse {
  bool return_ = true;
  std::vector<SecurityGroupRule> security_group_rule_set;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::IpRange, cidr_ip, description)
KILN_WIRE(kiln::services::ec2::Ipv6Range, cidr_ipv6, description)
KILN_WIRE(kiln::services::ec2::UserIdGroupPair, group_id, group_name, user_id, description)
KILN_WIRE(kiln::services::ec2::IpPermission, ip_protocol, from_port, to_port, groups, ip_ranges, ipv6_ranges)
KILN_WIRE(kiln::services::ec2::SecurityGroup, owner_id, group_id, group_name, group_description, vpc_id, ip_permissions,
          ip_permissions_egress, tag_set, security_group_arn)
KILN_WIRE(kiln::services::ec2::CreateSecurityGroupRequest, group_name, group_description, vpc_id, tag_specification)
KILN_WIRE(kiln::services::ec2::CreateSecurityGroupResponse, return_, group_id, tag_set, security_group_arn)
KILN_WIRE(kiln::services::ec2::DeleteSecurityGroupRequest, group_id, group_name)
KILN_WIRE(kiln::services::ec2::DeleteSecurityGroupResponse, return_, group_id)
KILN_WIRE(kiln::services::ec2::DescribeSecurityGroupsRequest, filter, group_id, group_name, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeSecurityGroupsResponse, security_group_info, next_token)
KILN_WIRE(kiln::services::ec2::AuthorizeSecurityGroupIngressRequest, group_id, group_name, ip_permissions, ip_protocol,
          cidr_ip, source_security_group_name, from_port, to_port)
KILN_WIRE(kiln::services::ec2::SecurityGroupRule, security_group_rule_id, group_id, group_owner_id, ip_protocol,
          is_egress, from_port, to_port, cidr_ipv4, cidr_ipv6, description)
KILN_WIRE(kiln::services::ec2::AuthorizeSecurityGroupIngressResponse, return_, security_group_rule_set)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

std::string arn(const Call& call, const std::string& group_id) {
  return "arn:aws:ec2:" + call.region.name + ":" + call.principal.account + ":security-group/" + group_id;
}

std::optional<std::string> if_any(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

// Rules of one protocol and port range are one permission on the wire.
std::vector<IpPermission> to_permissions(const Call& call, const std::vector<catalog::SecurityGroupRule>& rules,
                                         bool egress) {
  std::vector<IpPermission> permissions;
  for (const auto& rule : rules) {
    if (rule.egress != egress) continue;
    const bool has_ports = rule.protocol != "-1";
    const auto from = has_ports ? std::optional(rule.from_port) : std::nullopt;
    const auto to = has_ports ? std::optional(rule.to_port) : std::nullopt;
    auto same = std::find_if(permissions.begin(), permissions.end(), [&](const IpPermission& p) {
      return p.ip_protocol == rule.protocol && p.from_port == from && p.to_port == to;
    });
    if (same == permissions.end()) {
      permissions.push_back({.ip_protocol = rule.protocol, .from_port = from, .to_port = to});
      same = std::prev(permissions.end());
    }
    if (!rule.cidr.empty()) same->ip_ranges.push_back({rule.cidr, if_any(rule.description)});
    if (!rule.cidr_ipv6.empty()) same->ipv6_ranges.push_back({rule.cidr_ipv6, if_any(rule.description)});
    if (!rule.source_group.empty()) {
      same->groups.push_back(
          {.group_id = rule.source_group, .user_id = call.principal.account, .description = if_any(rule.description)});
    }
  }
  return permissions;
}

std::vector<catalog::SecurityGroupRule> to_rows(const IpPermission& permission) {
  std::vector<catalog::SecurityGroupRule> rows;
  catalog::SecurityGroupRule row;
  row.protocol = permission.ip_protocol == "6"    ? "tcp"
                 : permission.ip_protocol == "17" ? "udp"
                                                  : permission.ip_protocol;
  row.from_port = permission.from_port.value_or(-1);
  row.to_port = permission.to_port.value_or(-1);
  for (const auto& range : permission.ip_ranges) {
    rows.push_back(row);
    rows.back().cidr = range.cidr_ip;
    rows.back().description = range.description.value_or("");
  }
  for (const auto& range : permission.ipv6_ranges) {
    rows.push_back(row);
    rows.back().cidr_ipv6 = range.cidr_ipv6;
    rows.back().description = range.description.value_or("");
  }
  for (const auto& pair : permission.groups) {
    rows.push_back(row);
    rows.back().source_group = pair.group_id.value_or("");
    rows.back().description = pair.description.value_or("");
  }
  return rows;
}

CreateSecurityGroupResponse create_security_group(Call& call, const CreateSecurityGroupRequest& request) {
  const auto tags = tags_for(request.tag_specification, "security-group", {"security-group"});
  const auto group = control::create_group(call.region, {.account = call.principal.account,
                                                         .vpc_id = request.vpc_id,
                                                         .name = request.group_name,
                                                         .description = request.group_description});
  const auto rows = catalog::in_txn(call.region.catalog, [&](catalog::Txn& txn) {
    control::add_tags(txn, call.region, call.principal.account, group.id, tags);
    return control::tags_of(txn, call.region, call.principal.account, group.id);
  });
  return {.group_id = group.id, .tag_set = to_shape(rows), .security_group_arn = arn(call, group.id)};
}

DeleteSecurityGroupResponse delete_security_group(Call& call, const DeleteSecurityGroupRequest& request) {
  return {.group_id =
              control::delete_group(call.region, call.principal.account, request.group_id, request.group_name).id};
}

constexpr Filterable<SecurityGroup> group_filters[] = {
    {"description", [](const SecurityGroup& g) { return one(g.group_description); }},
    {"group-id", [](const SecurityGroup& g) { return one(g.group_id); }},
    {"group-name", [](const SecurityGroup& g) { return one(g.group_name); }},
    {"owner-id", [](const SecurityGroup& g) { return one(g.owner_id); }},
    {"vpc-id", [](const SecurityGroup& g) { return one(g.vpc_id); }},
};

std::vector<SecurityGroup> all_groups(Call& call) {
  std::vector<SecurityGroup> groups;
  call.region.catalog.run_in_txn([&](catalog::Txn& txn) {
    groups.clear();
    control::ensure_default_network(txn, call.region, call.principal.account);
    for (const auto& row : catalog::security_groups_of(txn, call.region.name, call.principal.account)) {
      const auto rules = catalog::security_group_rules(txn, call.region.name, row.id);
      groups.push_back({.owner_id = row.account,
                        .group_id = row.id,
                        .group_name = row.name,
                        .group_description = row.description,
                        .vpc_id = row.vpc_id,
                        .ip_permissions = to_permissions(call, rules, false),
                        .ip_permissions_egress = to_permissions(call, rules, true),
                        .tag_set = to_shape(control::tags_of(txn, call.region, call.principal.account, row.id)),
                        .security_group_arn = arn(call, row.id)});
    }
  });
  return groups;
}

// Ids and names that were asked for must be there.
template <class Member>
void keep_named(std::vector<SecurityGroup>& groups, const std::vector<std::string>& wanted, Member member) {
  if (wanted.empty()) return;
  for (const auto& name : wanted) {
    if (std::none_of(groups.begin(), groups.end(), [&](const SecurityGroup& g) { return g.*member == name; })) {
      throw ApiError("InvalidGroup.NotFound", "The security group '" + name + "' does not exist");
    }
  }
  std::erase_if(groups, [&](const SecurityGroup& g) {
    return std::find(wanted.begin(), wanted.end(), g.*member) == wanted.end();
  });
}

DescribeSecurityGroupsResponse describe_security_groups(Call& call, const DescribeSecurityGroupsRequest& request) {
  for (const auto& id : request.group_id) {
    if (!id.starts_with("sg-")) {
      throw ApiError("InvalidGroupId.Malformed", "Invalid id: \"" + id + "\" (expecting \"sg-...\")");
    }
  }
  auto groups = all_groups(call);
  keep_named(groups, request.group_id, &SecurityGroup::group_id);
  keep_named(groups, request.group_name, &SecurityGroup::group_name);
  keep_matching<SecurityGroup>(groups, group_filters, request.filter);
  auto page = paginate(std::move(groups),
                       {.max_results = request.max_results,
                        .next_token = request.next_token,
                        .has_ids = !request.group_id.empty() || !request.group_name.empty()},
                       [](const SecurityGroup& g) { return g.group_id; });
  return {std::move(page.items), page.next_token};
}

AuthorizeSecurityGroupIngressResponse authorize_ingress(Call& call,
                                                        const AuthorizeSecurityGroupIngressRequest& request) {
  auto permissions = request.ip_permissions;
  if (!request.ip_protocol.empty()) {
    IpPermission flat{.ip_protocol = request.ip_protocol, .from_port = request.from_port, .to_port = request.to_port};
    if (!request.cidr_ip.empty()) flat.ip_ranges.push_back({request.cidr_ip, {}});
    permissions.push_back(flat);
  }
  std::vector<catalog::SecurityGroupRule> rows;
  for (const auto& permission : permissions) {
    for (auto& row : to_rows(permission)) rows.push_back(row);
  }
  AuthorizeSecurityGroupIngressResponse response;
  for (const auto& rule :
       control::authorize(call.region, call.principal.account, request.group_id, request.group_name, rows)) {
    response.security_group_rule_set.push_back({.security_group_rule_id = rule.id,
                                                .group_id = rule.group_id,
                                                .group_owner_id = call.principal.account,
                                                .ip_protocol = rule.protocol,
                                                .is_egress = rule.egress,
                                                .from_port = rule.from_port,
                                                .to_port = rule.to_port,
                                                .cidr_ipv4 = if_any(rule.cidr),
                                                .cidr_ipv6 = if_any(rule.cidr_ipv6),
                                                .description = if_any(rule.description)});
  }
  return response;
}

constexpr Operation operations[] = {
    operation<authorize_ingress>("AuthorizeSecurityGroupIngress", Access::writes),
    operation<create_security_group>("CreateSecurityGroup", Access::writes),
    operation<delete_security_group>("DeleteSecurityGroup", Access::writes),
    operation<describe_security_groups>("DescribeSecurityGroups", Access::reads),
};

}  // namespace

std::span<const Operation> group_operations() { return operations; }

}  // namespace kiln::services::ec2
