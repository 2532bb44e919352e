// DescribeInstanceTypes, DescribeInstanceTypeOfferings, DescribeInstanceCreditSpecifications.
#include <algorithm>

#include "base/api_error.h"
#include "control/instance_types.h"
#include "control/instances.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct ProcessorInfo {
  std::vector<std::string> supported_architectures{"i386", "x86_64"};
  std::string manufacturer;
};

struct VCpuInfo {
  int default_v_cpus = 1, default_cores = 1, default_threads_per_core = 1;
};

struct MemoryInfo {
  std::int64_t size_in_mi_b = 0;
};

struct EbsInfo {
  std::string ebs_optimized_support = "unsupported";
  std::string encryption_support = "unsupported";
  std::string nvme_support = "unsupported";
};

struct NetworkInfo {
  std::string network_performance = "Up to 10 Gigabit";
  int maximum_network_interfaces = 1;
  int maximum_network_cards = 1;
  int default_network_card_index = 0;
  int ipv4_addresses_per_interface = 1;
  int ipv6_addresses_per_interface = 0;
  bool ipv6_supported = false;
  std::string ena_support = "supported";
  bool efa_supported = false;
  bool encryption_in_transit_supported = false;
};

struct PlacementGroupInfo {
  std::vector<std::string> supported_strategies;
};

struct InstanceTypeInfo {
  std::string instance_type;
  bool current_generation = true;
  bool free_tier_eligible = false;
  std::vector<std::string> supported_usage_classes{"on-demand"};
  std::vector<std::string> supported_root_device_types{"ebs"};
  std::vector<std::string> supported_virtualization_types{"hvm"};
  bool bare_metal = false;
  std::string hypervisor = "nitro";
  ProcessorInfo processor_info;
  VCpuInfo v_cpu_info;
  MemoryInfo memory_info;
  bool instance_storage_supported = false;
  EbsInfo ebs_info;
  NetworkInfo network_info;
  PlacementGroupInfo placement_group_info;
  bool hibernation_supported = false;
  bool burstable_performance_supported = false;
  bool dedicated_hosts_supported = false;
  bool auto_recovery_supported = true;
  std::vector<std::string> supported_boot_modes{"legacy-bios"};
  std::string nitro_enclaves_support = "unsupported";
  std::string nitro_tpm_support = "unsupported";
};

struct DescribeInstanceTypesRequest {
  std::vector<std::string> instance_type;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeInstanceTypesResponse {
  std::vector<InstanceTypeInfo> instance_type_set;
  std::optional<std::string> next_token;
};

struct InstanceTypeOffering {
  std::string instance_type, location_type, location;
};

struct DescribeInstanceTypeOfferingsRequest {
  std::string location_type;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeInstanceTypeOfferingsResponse {
  std::vector<InstanceTypeOffering> instance_type_offering_set;
  std::optional<std::string> next_token;
};

struct InstanceCreditSpecification {
  std::string instance_id, cpu_credits;
};

struct DescribeInstanceCreditSpecificationsRequest {
  std::vector<std::string> instance_id;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeInstanceCreditSpecificationsResponse {
  std::vector<InstanceCreditSpecification> instance_credit_specification_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::ProcessorInfo, supported_architectures, manufacturer)
KILN_WIRE(kiln::services::ec2::VCpuInfo, default_v_cpus, default_cores, default_threads_per_core)
KILN_WIRE(kiln::services::ec2::MemoryInfo, size_in_mi_b)
KILN_WIRE(kiln::services::ec2::EbsInfo, ebs_optimized_support, encryption_support, nvme_support)
KILN_WIRE(kiln::services::ec2::NetworkInfo, network_performance, maximum_network_interfaces, maximum_network_cards,
          default_network_card_index, ipv4_addresses_per_interface, ipv6_addresses_per_interface, ipv6_supported,
          ena_support, efa_supported, encryption_in_transit_supported)
KILN_WIRE(kiln::services::ec2::PlacementGroupInfo, supported_strategies)
KILN_WIRE(kiln::services::ec2::InstanceTypeInfo, instance_type, current_generation, free_tier_eligible,
          supported_usage_classes, supported_root_device_types, supported_virtualization_types, bare_metal, hypervisor,
          processor_info, v_cpu_info, memory_info, instance_storage_supported, ebs_info, network_info,
          placement_group_info, hibernation_supported, burstable_performance_supported, dedicated_hosts_supported,
          auto_recovery_supported, supported_boot_modes, nitro_enclaves_support, nitro_tpm_support)
KILN_WIRE(kiln::services::ec2::DescribeInstanceTypesRequest, instance_type, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeInstanceTypesResponse, instance_type_set, next_token)
KILN_WIRE(kiln::services::ec2::InstanceTypeOffering, instance_type, location_type, location)
KILN_WIRE(kiln::services::ec2::DescribeInstanceTypeOfferingsRequest, location_type, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeInstanceTypeOfferingsResponse, instance_type_offering_set, next_token)
KILN_WIRE(kiln::services::ec2::InstanceCreditSpecification, instance_id, cpu_credits)
KILN_WIRE(kiln::services::ec2::DescribeInstanceCreditSpecificationsRequest, instance_id, filter, max_results,
          next_token)
KILN_WIRE(kiln::services::ec2::DescribeInstanceCreditSpecificationsResponse, instance_credit_specification_set,
          next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

const Filterable<InstanceTypeInfo> type_filters[] = {
    {"auto-recovery-supported", [](const InstanceTypeInfo& t) { return one(t.auto_recovery_supported); }},
    {"bare-metal", [](const InstanceTypeInfo& t) { return one(t.bare_metal); }},
    {"burstable-performance-supported",
     [](const InstanceTypeInfo& t) { return one(t.burstable_performance_supported); }},
    {"current-generation", [](const InstanceTypeInfo& t) { return one(t.current_generation); }},
    {"dedicated-hosts-supported", [](const InstanceTypeInfo& t) { return one(t.dedicated_hosts_supported); }},
    {"free-tier-eligible", [](const InstanceTypeInfo& t) { return one(t.free_tier_eligible); }},
    {"hibernation-supported", [](const InstanceTypeInfo& t) { return one(t.hibernation_supported); }},
    {"hypervisor", [](const InstanceTypeInfo& t) { return one(t.hypervisor); }},
    {"instance-storage-supported", [](const InstanceTypeInfo& t) { return one(t.instance_storage_supported); }},
    {"instance-type", [](const InstanceTypeInfo& t) { return one(t.instance_type); }},
    {"memory-info.size-in-mib",
     [](const InstanceTypeInfo& t) { return one(std::to_string(t.memory_info.size_in_mi_b)); }},
    {"network-info.ena-support", [](const InstanceTypeInfo& t) { return one(t.network_info.ena_support); }},
    {"processor-info.supported-architecture",
     [](const InstanceTypeInfo& t) { return t.processor_info.supported_architectures; }},
    {"supported-boot-mode", [](const InstanceTypeInfo& t) { return t.supported_boot_modes; }},
    {"supported-root-device-type", [](const InstanceTypeInfo& t) { return t.supported_root_device_types; }},
    {"supported-usage-class", [](const InstanceTypeInfo& t) { return t.supported_usage_classes; }},
    {"supported-virtualization-type", [](const InstanceTypeInfo& t) { return t.supported_virtualization_types; }},
    {"vcpu-info.default-cores",
     [](const InstanceTypeInfo& t) { return one(std::to_string(t.v_cpu_info.default_cores)); }},
    {"vcpu-info.default-vcpus",
     [](const InstanceTypeInfo& t) { return one(std::to_string(t.v_cpu_info.default_v_cpus)); }},
};

const Filterable<InstanceTypeOffering> offering_filters[] = {
    {"instance-type", [](const InstanceTypeOffering& o) { return one(o.instance_type); }},
    {"location", [](const InstanceTypeOffering& o) { return one(o.location); }},
};

const Filterable<InstanceCreditSpecification> credit_filters[] = {
    {"instance-id", [](const InstanceCreditSpecification& s) { return one(s.instance_id); }},
};

InstanceTypeInfo to_shape(const control::InstanceType& type) {
  InstanceTypeInfo shape;
  shape.instance_type = type.name;
  shape.current_generation = type.current_generation;
  shape.v_cpu_info = {.default_v_cpus = type.vcpus, .default_cores = type.vcpus, .default_threads_per_core = 1};
  shape.memory_info.size_in_mi_b = type.memory_mib;
  shape.burstable_performance_supported = type.burstable;
  return shape;
}

DescribeInstanceTypesResponse describe_instance_types(Call&, const DescribeInstanceTypesRequest& request) {
  std::vector<InstanceTypeInfo> types;
  for (const auto& type : control::instance_types()) {
    const bool wanted =
        request.instance_type.empty() || std::ranges::any_of(request.instance_type, [&](const auto& pattern) {
          return base::matches_wildcard(pattern, type.name);
        });
    if (wanted) types.push_back(to_shape(type));
  }
  std::string unknown;
  for (const auto& name : request.instance_type) {
    const bool is_pattern = name.find_first_of("*?") != std::string::npos;
    if (!is_pattern && control::find_instance_type(name) == nullptr) unknown += (unknown.empty() ? "" : ", ") + name;
  }
  if (!unknown.empty()) {
    throw ApiError("InvalidInstanceType", "The following supplied instance types do not exist: [" + unknown + "]");
  }
  keep_matching<InstanceTypeInfo>(types, type_filters, request.filter);
  auto page = paginate(std::move(types),
                       {.max_results = request.max_results,
                        .next_token = request.next_token,
                        .has_ids = !request.instance_type.empty(),
                        .most = 100},
                       [](const InstanceTypeInfo& t) { return t.instance_type; });
  return {.instance_type_set = std::move(page.items), .next_token = page.next_token};
}

DescribeInstanceTypeOfferingsResponse describe_instance_type_offerings(
    Call& call, const DescribeInstanceTypeOfferingsRequest& request) {
  const std::string location_type = request.location_type.empty() ? "region" : request.location_type;
  std::vector<std::string> locations{call.region.name};
  if (location_type == "availability-zone") {
    locations = call.region.zones;
  } else if (location_type != "region") {
    throw ApiError("InvalidParameterValue", "Value (" + location_type + ") for parameter locationType is invalid.");
  }
  std::vector<InstanceTypeOffering> offerings;
  for (const auto& location : locations) {
    for (const auto& type : control::instance_types()) {
      offerings.push_back({std::string(type.name), location_type, location});
    }
  }
  keep_matching<InstanceTypeOffering>(offerings, offering_filters, request.filter);
  auto page = paginate(std::move(offerings), {.max_results = request.max_results, .next_token = request.next_token},
                       [](const InstanceTypeOffering& o) { return o.location + "/" + o.instance_type; });
  return {.instance_type_offering_set = std::move(page.items), .next_token = page.next_token};
}

// Processor time is not metered here, which is what "unlimited" means to the guest.
DescribeInstanceCreditSpecificationsResponse describe_instance_credit_specifications(
    Call& call, const DescribeInstanceCreditSpecificationsRequest& request) {
  std::vector<InstanceCreditSpecification> specifications;
  for (const auto& details : control::describe_instances(call.region, call.principal, request.instance_id)) {
    const auto* const type = control::find_instance_type(details.instance.instance_type);
    if (type != nullptr && type->burstable) specifications.push_back({details.instance.id, "unlimited"});
  }
  keep_matching<InstanceCreditSpecification>(specifications, credit_filters, request.filter);
  auto page = paginate(
      std::move(specifications),
      {.max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.instance_id.empty()},
      [](const InstanceCreditSpecification& s) { return s.instance_id; });
  return {.instance_credit_specification_set = std::move(page.items), .next_token = page.next_token};
}

constexpr Operation operations[] = {
    operation<describe_instance_credit_specifications>("DescribeInstanceCreditSpecifications", Access::reads),
    operation<describe_instance_type_offerings>("DescribeInstanceTypeOfferings", Access::reads),
    operation<describe_instance_types>("DescribeInstanceTypes", Access::reads),
};

}  // namespace

std::span<const Operation> instance_type_operations() { return operations; }

}  // namespace kiln::services::ec2
