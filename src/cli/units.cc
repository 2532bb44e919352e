#include "cli/units.h"

#include <fmt/format.h>

namespace kiln::cli {

std::string bytes(std::uint64_t count) {
  if (count < 1024) return fmt::format("{} B", count);
  double value = static_cast<double>(count);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    value /= 1024;
    unit = next;
    if (value < 1024) break;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

}  // namespace kiln::cli
