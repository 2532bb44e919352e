#include "hypervisor/kvm_probe.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "base/fd.h"
#include "base/text.h"

namespace kiln::hypervisor {
namespace {

enum class Mode { protected_32, long_64 };

constexpr std::size_t memory_bytes = 0x200000;
constexpr std::uint64_t code_at = 0x1000;
constexpr std::uint64_t page_tables_at = 0x2000;  // three pages
constexpr std::uint64_t stack_at = 0x8000;

// mov ecx, 10'000'000; again: dec ecx; jnz again; mov al, 'P'; out 0xe9, al; hlt
// The bytes mean the same in both modes.
constexpr std::uint8_t code[] = {0xb9, 0x80, 0x96, 0x98, 0x00, 0xff, 0xc9, 0x75, 0xfc, 0xb0, 0x50, 0xe6, 0xe9, 0xf4};

kvm_segment segment(Mode mode, bool is_code) {
  kvm_segment s{};
  s.limit = 0xffffffff;
  s.g = s.present = s.s = 1;
  s.type = is_code ? 11 : 3;
  s.l = is_code && mode == Mode::long_64;
  s.db = !s.l;
  s.selector = is_code ? 8 : 16;
  return s;
}

bool set_registers(int vcpu, Mode mode, std::uint8_t* memory) {
  kvm_sregs system{};
  if (::ioctl(vcpu, KVM_GET_SREGS, &system) != 0) return false;
  system.cs = segment(mode, true);
  for (auto* s : {&system.ds, &system.es, &system.ss, &system.fs, &system.gs}) *s = segment(mode, false);
  system.cr0 |= 1;  // protection
  if (mode == Mode::long_64) {
    // One 2 MiB page, mapped to itself.
    const std::uint64_t entries[] = {page_tables_at + 0x1003, page_tables_at + 0x2003, 0x83};
    for (std::size_t level = 0; level < 3; ++level) {
      std::memcpy(memory + page_tables_at + level * 0x1000, &entries[level], sizeof entries[level]);
    }
    system.cr3 = page_tables_at;
    system.cr4 |= 1U << 5;                  // physical address extension
    system.cr0 |= 1U << 31;                 // paging
    system.efer |= (1U << 8) | (1U << 10);  // long mode, enabled and active
  }
  if (::ioctl(vcpu, KVM_SET_SREGS, &system) != 0) return false;
  kvm_regs registers{};
  registers.rip = code_at;
  registers.rsp = stack_at;
  registers.rflags = 2;
  return ::ioctl(vcpu, KVM_SET_REGS, &registers) == 0;
}

// Only system calls: this runs between fork and exit in a program of many threads.
bool loop_ends(int kvm, Mode mode) {
  const int vm = ::ioctl(kvm, KVM_CREATE_VM, 0UL);
  if (vm < 0) return false;
  ::ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
  auto* memory = static_cast<std::uint8_t*>(
      ::mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return false;
  kvm_userspace_memory_region region{};
  region.memory_size = memory_bytes;
  region.userspace_addr = reinterpret_cast<std::uint64_t>(memory);
  if (::ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) != 0) return false;
  const int vcpu = ::ioctl(vm, KVM_CREATE_VCPU, 0UL);
  const int shared_bytes = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL);
  if (vcpu < 0 || shared_bytes <= 0) return false;
  auto* shared = static_cast<kvm_run*>(
      ::mmap(nullptr, static_cast<std::size_t>(shared_bytes), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0));
  if (shared == MAP_FAILED) return false;
  std::memcpy(memory + code_at, code, sizeof code);
  if (!set_registers(vcpu, mode, memory)) return false;
  bool printed = false;
  while (true) {
    if (::ioctl(vcpu, KVM_RUN, 0UL) != 0) {
      if (errno == EINTR) continue;
      return false;
    }
    if (shared->exit_reason == KVM_EXIT_HLT) return printed;
    if (shared->exit_reason != KVM_EXIT_IO) return false;
    printed = reinterpret_cast<const char*>(shared)[shared->io.data_offset] == 'P';
  }
}

}  // namespace

bool announces_virtualization(std::string_view cpuinfo) {
  for (const auto line : base::split(cpuinfo, '\n')) {
    if (!line.starts_with("flags")) continue;
    for (const auto flag : base::split(line, ' ')) {
      if (flag == "vmx" || flag == "svm") return true;
    }
  }
  return false;
}

bool kvm_guest_computes(std::chrono::milliseconds limit) {
  const base::Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm) return false;
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) ::_exit(loop_ends(kvm.get(), Mode::protected_32) && loop_ends(kvm.get(), Mode::long_64) ? 0 : 1);
  const base::Fd watched(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd waiting{watched.get(), POLLIN, 0};
  if (!watched || ::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool kvm_is_usable() {
  std::ifstream file("/proc/cpuinfo");
  const std::string cpuinfo{std::istreambuf_iterator<char>(file), {}};
  return announces_virtualization(cpuinfo) && kvm_guest_computes(std::chrono::seconds(2));
}

}  // namespace kiln::hypervisor
