#include "control/network.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "base/api_error.h"
#include "base/digest.h"
#include "base/ids.h"
#include "base/text.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::uint32_t subnet_addresses = 4096;  // a /20

struct Cidr {
  std::uint32_t address = 0;
  int bits = 0;
};

std::string dotted(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255);
}

Cidr parse_cidr(std::string_view text) {
  Cidr cidr;
  const auto slash = text.find('/');
  for (const auto part : base::split(text.substr(0, slash), '.')) {
    unsigned number = 256;
    std::from_chars(part.data(), part.data() + part.size(), number);
    if (number > 255) throw std::runtime_error("not an IPv4 range: " + std::string(text));
    cidr.address = cidr.address << 8 | number;
  }
  const auto bits = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  std::from_chars(bits.data(), bits.data() + bits.size(), cidr.bits);
  return cidr;
}

// The first /16, counted up from the region's, that no VPC of the catalog has: all regions share one host's routes.
std::string free_vpc_cidr(catalog::Txn& txn, const Region& region) {
  std::set<std::string> taken;
  for (const auto& each : catalog::select<catalog::Vpc>(txn, "")) taken.insert(each.cidr);
  std::uint32_t address = parse_cidr(region.vpc_cidr_base).address;
  while (taken.contains(dotted(address) + "/16")) address += 1U << 16;
  return dotted(address) + "/16";
}

}  // namespace

DefaultNetwork ensure_default_network(catalog::Txn& txn, const Region& region, const std::string& account) {
  DefaultNetwork network;
  const auto found = catalog::default_vpc(txn, region.name, account);
  if (found) {
    network.vpc = *found;
    network.subnets = catalog::select<catalog::Subnet>(
        txn, "WHERE region = $1 AND vpc_id = $2 AND is_default = 1 ORDER BY zone", {region.name, found->id});
    network.group =
        catalog::find_security_group_named(txn, region.name, found->id, "default").value_or(catalog::SecurityGroup{});
    return network;
  }
  network.vpc = {.region = region.name,
                 .id = base::new_id("vpc"),
                 .account = account,
                 .cidr = free_vpc_cidr(txn, region),
                 .is_default = true,
                 .created = region.clock.now()};
  catalog::insert(txn, network.vpc);
  std::uint32_t address = parse_cidr(network.vpc.cidr).address;
  for (const auto& zone : region.zones) {
    network.subnets.push_back({.region = region.name,
                               .id = base::new_id("subnet"),
                               .account = account,
                               .vpc_id = network.vpc.id,
                               .zone = zone,
                               .cidr = dotted(address) + "/20",
                               .is_default = true});
    catalog::insert(txn, network.subnets.back());
    address += subnet_addresses;
  }
  network.group = {.region = region.name,
                   .id = base::new_id("sg"),
                   .account = account,
                   .vpc_id = network.vpc.id,
                   .name = "default",
                   .description = "default VPC security group",
                   .created = region.clock.now()};
  catalog::insert(txn, network.group);
  for (const bool egress : {false, true}) {
    catalog::SecurityGroupRule rule{.region = region.name,
                                    .id = base::new_id("sgr"),
                                    .group_id = network.group.id,
                                    .egress = egress,
                                    .protocol = "-1"};
    (egress ? rule.cidr : rule.source_group) = egress ? "0.0.0.0/0" : network.group.id;
    catalog::insert(txn, rule);
  }
  return network;
}

catalog::Subnet subnet(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  auto found = catalog::find_subnet(txn, region.name, id);
  if (!found || found->account != account) {
    throw ApiError("InvalidSubnetID.NotFound", "The subnet ID '" + id + "' does not exist");
  }
  return *found;
}

catalog::Vpc vpc(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  auto found = catalog::find_vpc(txn, region.name, id);
  if (!found || found->account != account) {
    throw ApiError("InvalidVpcID.NotFound", "The vpc ID '" + id + "' does not exist");
  }
  return *found;
}

std::string next_private_ip(catalog::Txn& txn, const catalog::Subnet& subnet) {
  const auto address = catalog::next_private_ip(txn, subnet);
  if (!address) {
    throw ApiError("InsufficientFreeAddressesInSubnet",
                   "The subnet '" + subnet.id + "' does not have enough free addresses to satisfy the request.");
  }
  return *address;
}

std::string mac_address(const std::string& eni_id) {
  // Locally administered, unicast. QEMU's own 52:54:00 leaves 24 bits, in which collisions are likely too early.
  const auto digest = base::sha256(eni_id);
  std::string text = "02";
  for (std::size_t i = 0; i < 5; ++i) text += fmt::format(":{:02x}", static_cast<unsigned>(digest.bytes[i]));
  return text;
}

}  // namespace kiln::control
