#include "catalog/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "catalog/sql.h"

namespace kiln::catalog {
namespace {

constexpr std::uint32_t reserved_at_start = 4;  // the network, the router, DNS, and one for the future
constexpr std::uint32_t reserved_at_end = 1;    // broadcast

struct Range {
  std::uint32_t first = 0, last = 0;  // that instances may have, both included; empty when last < first
};

std::optional<std::uint32_t> parse_address(const std::string& text) {
  in_addr address{};
  if (inet_pton(AF_INET, text.c_str(), &address) != 1) return {};
  return ntohl(address.s_addr);
}

std::string format_address(std::uint32_t number) {
  const in_addr address{htonl(number)};
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

Range usable(const Subnet& subnet) {
  const auto slash = subnet.cidr.find('/');
  const auto network = parse_address(subnet.cidr.substr(0, slash));
  int bits = -1;
  if (slash != std::string::npos) {
    std::from_chars(subnet.cidr.data() + slash + 1, subnet.cidr.data() + subnet.cidr.size(), bits);
  }
  // The sizes that AWS allows; anything else was not checked when the row was written.
  if (!network || bits < 16 || bits > 28) {
    throw DatabaseError(DatabaseError::Kind::other,
                        "subnet " + subnet.id + ": wanted a.b.c.d/16 to /28, found " + subnet.cidr);
  }
  const std::uint32_t size = std::uint32_t{1} << (32 - bits);
  const std::uint32_t base = *network & ~(size - 1);
  return {base + reserved_at_start, base + size - 1 - reserved_at_end};
}

// Ascending. A terminated instance keeps its row for a while but not its address.
enum class Resting { taken, free };  // addresses of instances that are terminated, as long as they have rows

std::vector<std::uint32_t> taken_addresses(Txn& txn, const Subnet& subnet, Resting resting) {
  const std::string but_in = resting == Resting::taken ? "" : "terminated";
  const auto rows = txn.query(
      "SELECT private_ip FROM instance WHERE region = $1 AND vpc_id = $2 AND state <> $3 AND private_ip <> ''",
      {subnet.region, subnet.vpc_id, but_in});
  const Range range = usable(subnet);
  std::vector<std::uint32_t> taken;
  for (const std::string& text : first_column(rows)) {
    const auto number = parse_address(text);
    if (number && *number >= range.first && *number <= range.last) taken.push_back(*number);
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace

std::optional<Vpc> find_vpc(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Vpc>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::optional<Vpc> default_vpc(Txn& txn, const std::string& region, const std::string& account) {
  return select_one<Vpc>(txn, "WHERE region = $1 AND account = $2 AND is_default = 1", {region, account});
}

std::vector<Vpc> vpcs_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<Vpc>(txn, "WHERE region = $1 AND account = $2 ORDER BY created, id", {region, account});
}

std::optional<Subnet> find_subnet(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Subnet>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Subnet> subnets_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<Subnet>(txn, "WHERE region = $1 AND account = $2 ORDER BY zone, id", {region, account});
}

std::optional<SecurityGroup> find_security_group(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<SecurityGroup>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::optional<SecurityGroup> find_security_group_named(Txn& txn, const std::string& region, const std::string& vpc_id,
                                                       const std::string& name) {
  return select_one<SecurityGroup>(txn, "WHERE region = $1 AND vpc_id = $2 AND name = $3", {region, vpc_id, name});
}

std::vector<SecurityGroup> security_groups_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<SecurityGroup>(txn, "WHERE region = $1 AND account = $2 ORDER BY created, id", {region, account});
}

std::vector<SecurityGroupRule> security_group_rules(Txn& txn, const std::string& region, const std::string& group_id) {
  return select<SecurityGroupRule>(txn, "WHERE region = $1 AND group_id = $2 ORDER BY egress, id", {region, group_id});
}

std::vector<std::string> groups_referring_to(Txn& txn, const std::string& region, const std::string& group_id) {
  return first_column(
      txn.query("SELECT DISTINCT group_id FROM security_group_rule WHERE region = $1 AND source_group = $2 "
                "AND group_id <> $2 ORDER BY group_id",
                {region, group_id}));
}

std::optional<std::string> next_private_ip(Txn& txn, const Subnet& subnet) {
  const Range range = usable(subnet);
  // The DHCP server gives an address to nobody else while the lease of its last holder lasts, and a guest that was cut
  // off has not given its lease back; so addresses rest while there are others.
  for (const auto resting : {Resting::taken, Resting::free}) {
    std::uint32_t candidate = range.first;
    for (const std::uint32_t taken : taken_addresses(txn, subnet, resting)) {
      if (taken > candidate) break;
      candidate = taken + 1;
    }
    if (candidate <= range.last) return format_address(candidate);
  }
  return {};
}

std::int64_t free_addresses(Txn& txn, const Subnet& subnet) {
  const Range range = usable(subnet);
  const auto size = std::int64_t{range.last} - range.first + 1;
  return size - static_cast<std::int64_t>(taken_addresses(txn, subnet, Resting::free).size());
}

}  // namespace kiln::catalog
