// DescribeRegions, DescribeAvailabilityZones.
#include "services/ec2/regions.h"

#include "base/api_error.h"
#include "base/text.h"
#include "control/source_region.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct Region {
  std::string region_name, region_endpoint, opt_in_status = "opt-in-not-required";
};

struct DescribeRegionsRequest {
  std::vector<Filter> filter;
  std::vector<std::string> region_name;
  bool all_regions = false;
};

struct DescribeRegionsResponse {
  std::vector<Region> region_info;
};

struct ZoneMessage {
  std::string message;
};

struct AvailabilityZone {
  std::string zone_name, zone_state = "available", region_name, zone_id, group_name, network_border_group;
  std::string zone_type = "availability-zone", opt_in_status = "opt-in-not-required";
  std::vector<ZoneMessage> message_set;
};

struct DescribeAvailabilityZonesRequest {
  std::vector<Filter> filter;
  std::vector<std::string> zone_name, zone_id;
  bool all_availability_zones = false;
};

struct DescribeAvailabilityZonesResponse {
  std::vector<AvailabilityZone> availability_zone_info;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::Region, region_name, region_endpoint, opt_in_status)
KILN_WIRE(kiln::services::ec2::DescribeRegionsRequest, filter, region_name, all_regions)
KILN_WIRE(kiln::services::ec2::DescribeRegionsResponse, region_info)
KILN_WIRE(kiln::services::ec2::ZoneMessage, message)
KILN_WIRE(kiln::services::ec2::AvailabilityZone, zone_name, zone_state, region_name, zone_id, group_name,
          network_border_group, zone_type, opt_in_status, message_set)
KILN_WIRE(kiln::services::ec2::DescribeAvailabilityZonesRequest, filter, zone_name, zone_id, all_availability_zones)
KILN_WIRE(kiln::services::ec2::DescribeAvailabilityZonesResponse, availability_zone_info)

namespace kiln::services::ec2 {

std::string zone_id(const control::Region& region, const std::string& zone) {
  // us-east-1 -> use1, eu-central-1 -> euc1, as AWS abbreviates; the zone's place in the region's list counts.
  std::string id;
  const auto parts = base::split(region.name, '-');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool whole = i == 0 || i + 1 == parts.size();
    id += whole ? parts[i] : parts[i].substr(0, 1);
  }
  const auto at = std::find(region.zones.begin(), region.zones.end(), zone) - region.zones.begin();
  return id + "-az" + std::to_string(at + 1);
}

void check_destination(const Call& call, const std::string& region) {
  if (region.empty() || region == call.region.name) return;
  throw base::ApiError("InvalidParameterValue", "Value (" + region +
                                                    ") for parameter DestinationRegion is invalid. A copy is asked of "
                                                    "its destination, which is '" +
                                                    call.region.name + "' here.");
}

namespace {

using base::ApiError;

constexpr Filterable<Region> region_filters[] = {
    {"endpoint", [](const Region& r) { return one(r.region_endpoint); }},
    {"opt-in-status", [](const Region& r) { return one(r.opt_in_status); }},
    {"region-name", [](const Region& r) { return one(r.region_name); }},
};

DescribeRegionsResponse describe_regions(Call& call, const DescribeRegionsRequest& request) {
  std::vector<Region> regions;
  for (const auto& region : call.region.regions->all()) {
    regions.push_back({.region_name = region->name, .region_endpoint = call.host});
  }
  if (const auto* const remotes = call.region.regions->remotes()) {
    for (auto& known : remotes->all()) {
      const auto host = known.endpoint.substr(known.endpoint.find("//") + 2);
      regions.push_back({.region_name = std::move(known.name), .region_endpoint = host.substr(0, host.find('/'))});
    }
  }
  for (const auto& name : request.region_name) {
    if (std::none_of(regions.begin(), regions.end(), [&](const Region& r) { return r.region_name == name; })) {
      throw ApiError("InvalidParameterValue", "Invalid region names [" + name + "]");
    }
  }
  std::erase_if(regions, [&](const Region& r) {
    return !request.region_name.empty() && std::find(request.region_name.begin(), request.region_name.end(),
                                                     r.region_name) == request.region_name.end();
  });
  keep_matching<Region>(regions, region_filters, request.filter);
  return {std::move(regions)};
}

constexpr Filterable<AvailabilityZone> zone_filters[] = {
    {"group-name", [](const AvailabilityZone& z) { return one(z.group_name); }},
    {"opt-in-status", [](const AvailabilityZone& z) { return one(z.opt_in_status); }},
    {"region-name", [](const AvailabilityZone& z) { return one(z.region_name); }},
    {"state", [](const AvailabilityZone& z) { return one(z.zone_state); }},
    {"zone-id", [](const AvailabilityZone& z) { return one(z.zone_id); }},
    {"zone-name", [](const AvailabilityZone& z) { return one(z.zone_name); }},
    {"zone-type", [](const AvailabilityZone& z) { return one(z.zone_type); }},
};

template <class Member>
void keep_zones(std::vector<AvailabilityZone>& zones, const std::vector<std::string>& wanted, Member member) {
  if (wanted.empty()) return;
  for (const auto& name : wanted) {
    if (std::none_of(zones.begin(), zones.end(), [&](const AvailabilityZone& z) { return z.*member == name; })) {
      throw ApiError("InvalidParameterValue", "Invalid availability zone: [" + name + "]");
    }
  }
  std::erase_if(zones, [&](const AvailabilityZone& z) {
    return std::find(wanted.begin(), wanted.end(), z.*member) == wanted.end();
  });
}

DescribeAvailabilityZonesResponse describe_availability_zones(Call& call,
                                                              const DescribeAvailabilityZonesRequest& request) {
  std::vector<AvailabilityZone> zones;
  for (const auto& zone : call.region.zones) {
    zones.push_back({.zone_name = zone,
                     .region_name = call.region.name,
                     .zone_id = zone_id(call.region, zone),
                     .group_name = call.region.name + "-zg-1",
                     .network_border_group = call.region.name});
  }
  keep_zones(zones, request.zone_name, &AvailabilityZone::zone_name);
  keep_zones(zones, request.zone_id, &AvailabilityZone::zone_id);
  keep_matching<AvailabilityZone>(zones, zone_filters, request.filter);
  return {std::move(zones)};
}

constexpr Operation operations[] = {
    operation<describe_availability_zones>("DescribeAvailabilityZones", Access::reads),
    operation<describe_regions>("DescribeRegions", Access::reads),
};

}  // namespace

std::span<const Operation> region_operations() { return operations; }

}  // namespace kiln::services::ec2
