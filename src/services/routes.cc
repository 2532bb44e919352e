#include "services/routes.h"

#include "base/text.h"

namespace kiln::services {

std::optional<wire::Labels> match_route(const Route& route, std::string_view method, std::string_view path) {
  if (route.method.empty() || method != route.method) return {};
  const auto wanted = base::split(route.path, '/');
  const auto given = base::split(path, '/');
  if (wanted.size() != given.size()) return {};
  wire::Labels labels;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::string_view pattern = wanted[i];
    if (!pattern.starts_with('{')) {
      if (pattern != given[i]) return {};
      continue;
    }
    auto value = base::percent_decode(given[i], false);
    if (!value || value->empty()) return {};
    labels.emplace_back(pattern.substr(1, pattern.size() - 2), std::move(*value));
  }
  return labels;
}

}  // namespace kiln::services
