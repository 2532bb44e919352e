#include "hypervisor/kvm_probe.h"

#include <gtest/gtest.h>

#include <chrono>

namespace kiln::hypervisor {
namespace {

TEST(KvmProbe, believes_only_a_flag_of_its_own) {
  EXPECT_TRUE(announces_virtualization("processor\t: 0\nflags\t\t: fpu vmx sse2\n"));
  EXPECT_TRUE(announces_virtualization("flags\t\t: fpu svm\n"));
  EXPECT_FALSE(announces_virtualization("flags\t\t: fpu vmxnet svme sse2\n"));
  EXPECT_FALSE(announces_virtualization("model name\t: vmx svm\nvmx flags\t: vnmi\n"));
  EXPECT_FALSE(announces_virtualization(""));
}

TEST(KvmProbe, ends_within_its_limit_whatever_kvm_does) {
  const auto begin = std::chrono::steady_clock::now();
  kvm_guest_computes(std::chrono::milliseconds(300));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

}  // namespace
}  // namespace kiln::hypervisor
