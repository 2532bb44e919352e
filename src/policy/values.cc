#include "policy/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <string>

#include "base/text.h"

namespace kiln::policy {
namespace {

// Takes exactly count digits off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return {};
  int value = 0;
  for (const char c : text.substr(0, count)) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<base::Micros> take_day(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return {};
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return {};
  const auto day = take_digits(text, 2);
  if (!day) return {};
  const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return {};
  return base::seconds(std::int64_t{86'400} * std::chrono::sys_days(date).time_since_epoch().count());
}

// hh:mm, and :ss and a fraction that may follow.
std::optional<base::Micros> take_time(std::string_view& text) {
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ':')) return {};
  const auto minute = take_digits(text, 2);
  if (!minute || *hour > 23 || *minute > 59) return {};
  base::Micros time = base::seconds(*hour * 3600 + *minute * 60);
  if (!take(text, ':')) return time;
  const auto second = take_digits(text, 2);
  if (!second || *second > 60) return {};
  time += base::seconds(*second);
  if (!take(text, '.')) return time;
  if (text.empty() || text.front() < '0' || text.front() > '9') return {};
  for (base::Micros unit = 100'000; !text.empty() && text.front() >= '0' && text.front() <= '9'; unit /= 10) {
    time += unit * (text.front() - '0');
    text.remove_prefix(1);
  }
  return time;
}

// Z, +hh:mm or -hh:mm: what the time is ahead of UTC.
std::optional<base::Micros> take_zone(std::string_view& text) {
  if (take(text, 'Z')) return 0;
  const int sign = text.starts_with('-') ? -1 : 1;
  if (!take(text, '-') && !take(text, '+')) return {};
  const auto ahead = take_time(text);
  return ahead ? std::optional(sign * *ahead) : std::nullopt;
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

std::optional<base::Micros> parse_date(std::string_view text) {
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || seconds > 253'402'300'799) return {};  // the end of the year 9999
    return base::seconds(seconds);
  }
  auto time = take_day(text);
  if (!time || text.empty()) return time;
  if (!take(text, 'T')) return {};
  const auto of_day = take_time(text);
  if (!of_day) return {};
  const auto ahead = take_zone(text);
  if (!ahead || !text.empty()) return {};
  return *time + *of_day - *ahead;
}

std::optional<bool> parse_boolean(std::string_view text) {
  const auto word = base::lower(text);
  if (word == "true") return true;
  if (word == "false") return false;
  return {};
}

bool AddressRange::holds(const AddressRange& one) const {
  if (one.bits < bits) return false;
  const std::size_t whole = bits / 8;
  if (!std::equal(address.begin(), address.begin() + whole, one.address.begin())) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || ((address[whole] ^ one.address[whole]) >> (8 - rest)) == std::byte{0};
}

std::optional<AddressRange> parse_addresses(std::string_view text) {
  const auto slash = text.find('/');
  const std::string name(text.substr(0, slash));
  if (name.find('\0') != std::string::npos) return {};
  AddressRange range;
  in_addr v4{};
  const bool is_v4 = ::inet_pton(AF_INET, name.c_str(), &v4) == 1;
  if (is_v4) {
    range.address[10] = range.address[11] = std::byte{0xFF};
    std::memcpy(&range.address[12], &v4, sizeof v4);
  } else if (::inet_pton(AF_INET6, name.c_str(), range.address.data()) != 1) {
    return {};
  }
  if (slash == std::string_view::npos) return range;
  const auto digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const unsigned most = is_v4 ? 32 : 128;
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || bits > most) return {};
  range.bits = bits + 128 - most;
  return range;
}

}  // namespace kiln::policy
