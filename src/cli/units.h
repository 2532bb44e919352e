#pragma once
// Numbers as people read them. Pure functions.

#include <cstdint>
#include <string>

namespace kiln::cli {

std::string bytes(std::uint64_t count);  // "26.0 MiB", "512 B"

}  // namespace kiln::cli
