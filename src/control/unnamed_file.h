#pragma once
// A file for the length of one piece of work: in a directory of the region, without a name, so that it goes with its
// owner, and with the process that dies. Throws std::runtime_error.

#include <cstdint>
#include <functional>

#include "base/fd.h"
#include "control/region.h"

namespace kiln::control {

// Who may open it anew, through /proc: a program in a sandbox, which is another user.
enum class OthersMay { read, write };

base::Fd unnamed_file(Region& region, OthersMay others_may);

// Copies length bytes of from at offset to the start of to, holes as holes. go_on is asked between pieces; false when
// it said so. Throws when from ends early, too.
bool copy_sparse(int from, std::uint64_t offset, std::uint64_t length, int to, const std::function<bool()>& go_on);

// How much a file takes on disk.
std::uint64_t allocated_bytes(int fd);

}  // namespace kiln::control
