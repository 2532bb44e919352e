#include "wire/rest.h"

#include <algorithm>

#include "base/api_error.h"
#include "wire/scalar.h"

namespace kiln::wire {
namespace {

std::optional<std::string_view> find(const RestSource& source, const Member& member) {
  if (member.in == In::header) return source.header(member.bound_name);
  if (member.in == In::query) return source.query.find(member.bound_name);
  if (member.in != In::uri) return {};
  const auto found = std::ranges::find(source.labels, member.bound_name, &Labels::value_type::first);
  return found == source.labels.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

}  // namespace

void decode_bound(const RestSource& source, const Type& type, void* value) {
  for (const Member& member : type.members) {
    const auto text = find(source, member);
    if (!text) continue;
    const Type& held = member.type();
    void* at = member.at(value);
    const bool optional = held.kind == Kind::optional;
    if (optional) at = held.append(at);
    if (!parse_scalar(optional ? held.element().kind : held.kind, *text, at)) {
      throw base::ApiError("ValidationException",
                           "Value '" + std::string(*text) + "' at '" + std::string(member.lower) + "' is not valid.");
    }
  }
}

void encode_bound(const Type& type, const void* value, std::vector<std::pair<std::string, std::string>>& headers) {
  for (const Member& member : type.members) {
    if (member.in != In::header) continue;
    const Type* held = &member.type();
    const void* at = member.at_const(value);
    if (held->kind == Kind::optional) {
      if (held->size(at) == 0) continue;
      at = held->get(at, 0);
      held = &held->element();
    }
    std::string text;
    print_scalar(held->kind, at, text);
    if (!text.empty()) headers.emplace_back(member.bound_name, std::move(text));
  }
}

}  // namespace kiln::wire
