#pragma once
// Numbers as people read them. Pure functions.

#include <cstdint>
#include <string>

namespace kiln::cli {

std::string bytes(std::uint64_t count);            // "26.0 MiB", "512 B"
std::int64_t seconds_of(const std::string& text);  // 90, 90s, 15m, 1h, 7d; throws std::runtime_error

}  // namespace kiln::cli
