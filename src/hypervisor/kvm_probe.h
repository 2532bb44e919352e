#pragma once
// Whether KVM can really run a guest here.
//
// /dev/kvm and even libvirt's capabilities can be there where hardware virtualisation is not: under a hypervisor that
// emulates part of KVM, a guest of three instructions runs and a kernel hangs. So the processor must announce vmx or
// svm, and a small guest must finish ten million turns of a loop, which takes milliseconds on hardware. Any thread;
// takes at most the time given.

#include <chrono>
#include <string_view>

namespace kiln::hypervisor {

// Whether a /proc/cpuinfo has the vmx or svm flag.
bool announces_virtualization(std::string_view cpuinfo);

// Whether a guest that counts in a loop, in 32-bit and in 64-bit mode, comes to its end within limit. It runs in a
// child process, because a guest that hangs cannot be stopped in any other way.
bool kvm_guest_computes(std::chrono::milliseconds limit);

// Both, for this machine.
bool kvm_is_usable();

}  // namespace kiln::hypervisor
