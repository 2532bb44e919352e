#pragma once
// The system calls that a sandboxed program may make, as a filter for the kernel. Everything else answers ENOSYS, which
// programs and the C library take for an older kernel. A pure function.

#include <linux/filter.h>

#include <vector>

namespace kiln::base {

std::vector<sock_filter> seccomp_filter();

}  // namespace kiln::base
