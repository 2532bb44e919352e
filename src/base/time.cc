#include "base/time.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

namespace kiln::base {
namespace {

using std::chrono::microseconds;
using std::chrono::sys_days;
using std::chrono::year_month_day;

struct Civil {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

Civil to_civil(Micros time) {
  const auto point = std::chrono::sys_time<microseconds>(microseconds(time));
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const year_month_day date(day);
  const auto rest = std::chrono::duration_cast<std::chrono::seconds>(point - day).count();
  return {static_cast<int>(date.year()),          static_cast<int>(unsigned(date.month())),
          static_cast<int>(unsigned(date.day())), static_cast<int>(rest / 3600),
          static_cast<int>(rest / 60 % 60),       static_cast<int>(rest % 60)};
}

std::optional<Micros> from_civil(const Civil& c) {
  using namespace std::chrono;
  const year_month_day date{year(c.year), month(static_cast<unsigned>(c.month)), day(static_cast<unsigned>(c.day))};
  if (!date.ok() || c.hour > 23 || c.minute > 59 || c.second > 60) return {};
  const auto days = sys_days(date).time_since_epoch();
  return duration_cast<microseconds>(days + hours(c.hour) + minutes(c.minute) + std::chrono::seconds(c.second)).count();
}

// Reads exactly count digits at offset; -1 when there are not that many.
int digits(std::string_view text, std::size_t offset, std::size_t count) {
  if (text.size() < offset + count) return -1;
  int value = 0;
  for (const char c : text.substr(offset, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

bool any_negative(const Civil& c) {
  return c.year < 0 || c.month < 0 || c.day < 0 || c.hour < 0 || c.minute < 0 || c.second < 0;
}

}  // namespace

std::string to_iso8601(Micros time) {
  const Civil c = to_civil(time);
  const auto millis = (time % 1'000'000 + 1'000'000) % 1'000'000 / 1000;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour, c.minute, c.second,
                     millis);
}

std::optional<Micros> from_iso8601(std::string_view text) {
  const Civil c{digits(text, 0, 4),  digits(text, 5, 2),  digits(text, 8, 2),
                digits(text, 11, 2), digits(text, 14, 2), digits(text, 17, 2)};
  if (any_negative(c) || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':') {
    return {};
  }
  auto rest = text.substr(19);
  Micros fraction = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    Micros unit = 100'000;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      fraction += (rest.front() - '0') * unit;
      unit /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest != "Z") return {};
  const auto whole = from_civil(c);
  if (!whole) return {};
  return *whole + fraction;
}

std::string to_amz_date(Micros time) {
  const Civil c = to_civil(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year, c.month, c.day, c.hour, c.minute, c.second);
}

std::optional<Micros> from_amz_date(std::string_view text) {
  const Civil c{digits(text, 0, 4), digits(text, 4, 2),  digits(text, 6, 2),
                digits(text, 9, 2), digits(text, 11, 2), digits(text, 13, 2)};
  if (any_negative(c) || text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return {};
  return from_civil(c);
}

}  // namespace kiln::base
