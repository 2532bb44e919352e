#include "wire/params.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/text.h"

namespace kiln::wire {
namespace {

constexpr std::size_t most_parameters = 10'000;
constexpr std::size_t longest_name = 512;

[[noreturn]] void refuse(const std::string& why) { throw base::ApiError("InvalidQueryParameter", why); }

std::string decode(std::string_view text) {
  auto decoded = base::percent_decode(text, true);
  if (!decoded) refuse("The AWS query string is malformed: a % is not followed by two hexadecimal digits.");
  return std::move(*decoded);
}

}  // namespace

Params Params::parse_pairs(std::string_view text) {
  Params params;
  if (text.empty()) return params;
  if (static_cast<std::size_t>(std::count(text.begin(), text.end(), '&')) >= most_parameters) {
    refuse("The request has more than 10000 parameters.");
  }
  for (const std::string_view part : base::split(text, '&')) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || equals + 1 == part.size()) continue;
    if (equals > longest_name) refuse("The name of a parameter is longer than 512 characters.");
    params.pairs_.emplace_back(decode(part.substr(0, equals)), decode(part.substr(equals + 1)));
  }
  std::sort(params.pairs_.begin(), params.pairs_.end());
  return params;
}

Params Params::parse_lists(std::string_view text) { return parse_pairs(text); }

Params Params::parse(std::string_view text) {
  auto params = parse_pairs(text);
  const auto twice = std::adjacent_find(params.pairs_.begin(), params.pairs_.end(),
                                        [](const Pair& a, const Pair& b) { return a.first == b.first; });
  if (twice != params.pairs_.end()) refuse("The parameter " + twice->first + " is given more than once.");
  return params;
}

Params Params::of(std::vector<Pair> pairs) {
  Params params;
  std::erase_if(pairs, [](const Pair& pair) { return pair.second.empty(); });
  params.pairs_ = std::move(pairs);
  std::sort(params.pairs_.begin(), params.pairs_.end());
  return params;
}

std::vector<Params::Pair>::const_iterator Params::first_under(std::string_view path_with_dot) const {
  return std::lower_bound(pairs_.begin(), pairs_.end(), path_with_dot,
                          [](const Pair& pair, std::string_view name) { return pair.first < name; });
}

std::optional<std::string_view> Params::find(std::string_view name) const {
  const auto found = first_under(name);
  if (found == pairs_.end() || found->first != name) return {};
  return found->second;
}

bool Params::has_under(std::string_view name) const {
  if (find(name)) return true;
  const std::string path = std::string(name) + '.';
  const auto found = first_under(path);
  return found != pairs_.end() && found->first.starts_with(path);
}

}  // namespace kiln::wire
