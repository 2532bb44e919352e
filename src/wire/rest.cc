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

void parse(const Member& member, Kind kind, std::string_view text, void* at) {
  if (parse_scalar(kind, text, at)) return;
  throw base::ApiError("ValidationException",
                       "Value '" + std::string(text) + "' at '" + std::string(member.lower) + "' is not valid.");
}

// A list in the query string is its name given several times.
void decode_list(const RestSource& source, const Member& member, const Type& list, void* value) {
  const std::string name(member.bound_name);
  for (auto at = source.query.first_under(name); at != source.query.all().end() && at->first == name; ++at) {
    parse(member, list.element().kind, at->second, list.append(value));
  }
}

}  // namespace

void decode_bound(const RestSource& source, const Type& type, void* value) {
  for (const Member& member : type.members) {
    const Type& held = member.type();
    void* at = member.at(value);
    if (held.kind == Kind::list && member.in == In::query) {
      decode_list(source, member, held, at);
      continue;
    }
    const auto text = find(source, member);
    if (!text) continue;
    const bool optional = held.kind == Kind::optional;
    if (optional) at = held.append(at);
    parse(member, optional ? held.element().kind : held.kind, *text, at);
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
