#include "cli/units.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

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

std::int64_t seconds_of(const std::string& text) {
  std::int64_t count = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string unit(end, text.data() + text.size());
  const std::int64_t scale = unit.empty() || unit == "s" ? 1
                             : unit == "m"               ? 60
                             : unit == "h"               ? 3600
                             : unit == "d"               ? 86400
                                                         : 0;
  if (failure != std::errc() || scale == 0 || count < 0 || count > 10'000'000) {
    throw std::runtime_error("'" + text + "' is no time: wanted a number of seconds, or 15m, 1h, 7d");
  }
  return count * scale;
}

}  // namespace kiln::cli
