#include "http/message.h"

#include "base/text.h"

namespace kiln::http {

std::optional<std::string_view> find_header(const Headers& headers, std::string_view name) {
  const std::string wanted = base::lower(name);
  for (const auto& [spelled, value] : headers) {
    if (spelled.size() == wanted.size() && base::lower(spelled) == wanted) return value;
  }
  return {};
}

}  // namespace kiln::http
