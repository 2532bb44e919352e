#pragma once
// The sizes of machine that can be launched. A constant table; safe on every thread.

#include <cstdint>
#include <span>
#include <string_view>

namespace kiln::control {

struct InstanceType {
  std::string_view name;  // t3.nano
  int vcpus = 1;
  std::int64_t memory_mib = 0;
  bool burstable = false;  // of a t family
  bool current_generation = true;

  std::uint64_t memory_bytes() const { return static_cast<std::uint64_t>(memory_mib) << 20; }
  std::string_view family() const { return name.substr(0, name.find('.')); }
};

// In the order of families and sizes. kiln.tiny is ours: the smallest machine in which a small Linux boots, for tests
// and small hosts.
std::span<const InstanceType> instance_types();
// Null when there is no such type.
const InstanceType* find_instance_type(std::string_view name);

}  // namespace kiln::control
