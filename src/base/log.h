#pragma once
// One line a fact, to standard error: "2026-01-02T03:04:05.678Z info control: instance i-1 is running".
//
// Thread-safe, and safe before main. The library behind it stays out of headers because it is slow to compile.

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace kiln::base {

enum class Level { debug, info, warning, error };

void set_log_level(Level at_least);
void log_line(Level level, std::string_view area, std::string_view text);

template <class... Args>
void log_info(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log_line(Level::info, area, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_debug(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log_line(Level::debug, area, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log_line(Level::warning, area, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(std::string_view area, fmt::format_string<Args...> format, Args&&... args) {
  log_line(Level::error, area, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace kiln::base
