#include "control/instance_types.h"

#include <algorithm>

namespace kiln::control {
namespace {

// Processors and memory as in "Amazon EC2 instance types"; kiln.tiny is ours.
constexpr InstanceType table[] = {
    {.name = "kiln.tiny", .vcpus = 1, .memory_mib = 192},
    {.name = "t2.nano", .vcpus = 1, .memory_mib = 512, .burstable = true, .current_generation = false},
    {.name = "t2.micro", .vcpus = 1, .memory_mib = 1024, .burstable = true, .current_generation = false},
    {.name = "t2.small", .vcpus = 1, .memory_mib = 2048, .burstable = true, .current_generation = false},
    {.name = "t2.medium", .vcpus = 2, .memory_mib = 4096, .burstable = true, .current_generation = false},
    {.name = "t2.large", .vcpus = 2, .memory_mib = 8192, .burstable = true, .current_generation = false},
    {.name = "t3.nano", .vcpus = 2, .memory_mib = 512, .burstable = true},
    {.name = "t3.micro", .vcpus = 2, .memory_mib = 1024, .burstable = true},
    {.name = "t3.small", .vcpus = 2, .memory_mib = 2048, .burstable = true},
    {.name = "t3.medium", .vcpus = 2, .memory_mib = 4096, .burstable = true},
    {.name = "t3.large", .vcpus = 2, .memory_mib = 8192, .burstable = true},
    {.name = "t3.xlarge", .vcpus = 4, .memory_mib = 16384, .burstable = true},
    {.name = "t3.2xlarge", .vcpus = 8, .memory_mib = 32768, .burstable = true},
    {.name = "m5.large", .vcpus = 2, .memory_mib = 8192},
    {.name = "m5.xlarge", .vcpus = 4, .memory_mib = 16384},
    {.name = "m5.2xlarge", .vcpus = 8, .memory_mib = 32768},
    {.name = "m5.4xlarge", .vcpus = 16, .memory_mib = 65536},
    {.name = "c5.large", .vcpus = 2, .memory_mib = 4096},
    {.name = "c5.xlarge", .vcpus = 4, .memory_mib = 8192},
    {.name = "c5.2xlarge", .vcpus = 8, .memory_mib = 16384},
    {.name = "c5.4xlarge", .vcpus = 16, .memory_mib = 32768},
    {.name = "r5.large", .vcpus = 2, .memory_mib = 16384},
    {.name = "r5.xlarge", .vcpus = 4, .memory_mib = 32768},
    {.name = "r5.2xlarge", .vcpus = 8, .memory_mib = 65536},
};

}  // namespace

std::span<const InstanceType> instance_types() { return table; }

const InstanceType* find_instance_type(std::string_view name) {
  const auto found = std::ranges::find(table, name, &InstanceType::name);
  return found == std::end(table) ? nullptr : found;
}

}  // namespace kiln::control
