// DescribeVpcs, DescribeSubnets.
#include "control/network.h"

#include "base/api_error.h"
#include "base/ids.h"
#include "control/tags.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/regions.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct VpcCidrBlockState {
  std::string state = "associated";
};

struct VpcCidrBlockAssociation {
  std::string association_id, cidr_block;
  VpcCidrBlockState cidr_block_state;
};

struct Vpc {
  std::string vpc_id, owner_id, state = "available", cidr_block;
  std::vector<VpcCidrBlockAssociation> cidr_block_association_set;
  std::string dhcp_options_id = "default", instance_tenancy = "default";
  bool is_default = false;
  std::vector<Tag> tag_set;
};

struct DescribeVpcsRequest {
  std::vector<Filter> filter;
  std::vector<std::string> vpc_id;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeVpcsResponse {
  std::vector<Vpc> vpc_set;
  std::optional<std::string> next_token;
};

struct Subnet {
  std::string subnet_id, subnet_arn, owner_id, vpc_id, cidr_block, state = "available", availability_zone;
  std::string availability_zone_id;
  int available_ip_address_count = 0;
  bool default_for_az = false, map_public_ip_on_launch = false, assign_ipv6_address_on_creation = false;
  std::vector<Tag> tag_set;
};

struct DescribeSubnetsRequest {
  std::vector<Filter> filter;
  std::vector<std::string> subnet_id;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeSubnetsResponse {
  std::vector<Subnet> subnet_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::VpcCidrBlockState, state)
KILN_WIRE(kiln::services::ec2::VpcCidrBlockAssociation, association_id, cidr_block, cidr_block_state)
KILN_WIRE(kiln::services::ec2::Vpc, vpc_id, owner_id, state, cidr_block, cidr_block_association_set, dhcp_options_id,
          instance_tenancy, is_default, tag_set)
KILN_WIRE(kiln::services::ec2::DescribeVpcsRequest, filter, vpc_id, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeVpcsResponse, vpc_set, next_token)
KILN_WIRE(kiln::services::ec2::Subnet, subnet_id, subnet_arn, owner_id, vpc_id, cidr_block, state, availability_zone,
          availability_zone_id, available_ip_address_count, default_for_az, map_public_ip_on_launch,
          assign_ipv6_address_on_creation, tag_set)
KILN_WIRE(kiln::services::ec2::DescribeSubnetsRequest, filter, subnet_id, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeSubnetsResponse, subnet_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

struct IdWords {
  const char* prefix;
  const char* not_found;
  const char* malformed;
  const char* words;
};

template <class T, class Member>
void keep_ids(std::vector<T>& items, const std::vector<std::string>& wanted, Member member, const IdWords& words) {
  if (wanted.empty()) return;
  for (const auto& id : wanted) {
    if (!base::is_id(words.prefix, id)) {
      throw ApiError(words.malformed, "Invalid id: \"" + id + "\" (expecting \"" + words.prefix + "-...\")");
    }
    if (std::none_of(items.begin(), items.end(), [&](const T& t) { return t.*member == id; })) {
      throw ApiError(words.not_found, std::string("The ") + words.words + " '" + id + "' does not exist");
    }
  }
  std::erase_if(items, [&](const T& t) { return std::find(wanted.begin(), wanted.end(), t.*member) == wanted.end(); });
}

constexpr Filterable<Vpc> vpc_filters[] = {
    {"cidr", [](const Vpc& v) { return one(v.cidr_block); }},
    {"cidr-block", [](const Vpc& v) { return one(v.cidr_block); }},
    {"dhcp-options-id", [](const Vpc& v) { return one(v.dhcp_options_id); }},
    {"is-default", [](const Vpc& v) { return one(v.is_default); }},
    {"isDefault", [](const Vpc& v) { return one(v.is_default); }},
    {"owner-id", [](const Vpc& v) { return one(v.owner_id); }},
    {"state", [](const Vpc& v) { return one(v.state); }},
    {"vpc-id", [](const Vpc& v) { return one(v.vpc_id); }},
};

DescribeVpcsResponse describe_vpcs(Call& call, const DescribeVpcsRequest& request) {
  std::vector<Vpc> vpcs;
  const auto& account = call.principal.account;
  call.region.catalog.run_in_txn([&](catalog::Txn& txn) {
    vpcs.clear();
    control::ensure_default_network(txn, call.region, account);
    for (const auto& row : catalog::vpcs_of(txn, call.region.name, account)) {
      vpcs.push_back({.vpc_id = row.id,
                      .owner_id = row.account,
                      .cidr_block = row.cidr,
                      .cidr_block_association_set = {{"vpc-cidr-assoc-" + row.id.substr(4), row.cidr, {}}},
                      .is_default = row.is_default,
                      .tag_set = to_shape(control::tags_of(txn, call.region, account, row.id))});
    }
  });
  keep_ids(vpcs, request.vpc_id, &Vpc::vpc_id, {"vpc", "InvalidVpcID.NotFound", "InvalidVpcID.Malformed", "vpc ID"});
  keep_matching<Vpc>(vpcs, vpc_filters, request.filter);
  auto page = paginate(std::move(vpcs), {request.max_results, request.next_token, !request.vpc_id.empty()},
                       [](const Vpc& v) { return v.vpc_id; });
  return {std::move(page.items), page.next_token};
}

constexpr Filterable<Subnet> subnet_filters[] = {
    {"availability-zone", [](const Subnet& s) { return one(s.availability_zone); }},
    {"availabilityZone", [](const Subnet& s) { return one(s.availability_zone); }},
    {"availability-zone-id", [](const Subnet& s) { return one(s.availability_zone_id); }},
    {"cidr-block", [](const Subnet& s) { return one(s.cidr_block); }},
    {"default-for-az", [](const Subnet& s) { return one(s.default_for_az); }},
    {"map-public-ip-on-launch", [](const Subnet& s) { return one(s.map_public_ip_on_launch); }},
    {"owner-id", [](const Subnet& s) { return one(s.owner_id); }},
    {"state", [](const Subnet& s) { return one(s.state); }},
    {"subnet-id", [](const Subnet& s) { return one(s.subnet_id); }},
    {"vpc-id", [](const Subnet& s) { return one(s.vpc_id); }},
};

DescribeSubnetsResponse describe_subnets(Call& call, const DescribeSubnetsRequest& request) {
  std::vector<Subnet> subnets;
  const auto& account = call.principal.account;
  call.region.catalog.run_in_txn([&](catalog::Txn& txn) {
    subnets.clear();
    control::ensure_default_network(txn, call.region, account);
    for (const auto& row : catalog::subnets_of(txn, call.region.name, account)) {
      subnets.push_back({.subnet_id = row.id,
                         .subnet_arn = "arn:aws:ec2:" + call.region.name + ":" + account + ":subnet/" + row.id,
                         .owner_id = row.account,
                         .vpc_id = row.vpc_id,
                         .cidr_block = row.cidr,
                         .availability_zone = row.zone,
                         .availability_zone_id = zone_id(call.region, row.zone),
                         .available_ip_address_count = static_cast<int>(catalog::free_addresses(txn, row)),
                         .default_for_az = row.is_default,
                         .tag_set = to_shape(control::tags_of(txn, call.region, account, row.id))});
    }
  });
  keep_ids(subnets, request.subnet_id, &Subnet::subnet_id,
           {"subnet", "InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", "subnet ID"});
  keep_matching<Subnet>(subnets, subnet_filters, request.filter);
  auto page = paginate(std::move(subnets), {request.max_results, request.next_token, !request.subnet_id.empty()},
                       [](const Subnet& s) { return s.subnet_id; });
  return {std::move(page.items), page.next_token};
}

constexpr Operation operations[] = {
    operation<describe_subnets>("DescribeSubnets", Access::reads),
    operation<describe_vpcs>("DescribeVpcs", Access::reads),
};

}  // namespace

std::span<const Operation> network_operations() { return operations; }

}  // namespace kiln::services::ec2
