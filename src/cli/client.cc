#include "cli/client.h"

#include <boost/json.hpp>
#include <stdexcept>

#include "services/operator/channel.h"

namespace kiln::cli {

namespace json = boost::json;

json::object ask(const Ask& what, const std::function<void(const std::string&, const json::object&)>& on_line) {
  auto channel = services::operators::Channel::connect(what.data_directory + "/kilnd.sock");
  channel.send(json::serialize(what.request), what.descriptor);
  while (const auto line = channel.receive()) {
    json::error_code failure;
    const json::value answer = json::parse(*line, failure);
    if (failure || !answer.is_object() || answer.as_object().empty()) {
      throw std::runtime_error("kilnd answered with something that is no answer: " + *line);
    }
    const auto& [kind, content] = *answer.as_object().begin();
    const json::object fields = content.is_object() ? content.as_object() : json::object();
    if (kind == "done") return fields;
    if (kind == "error") throw std::runtime_error(text(fields, "code") + ": " + text(fields, "message"));
    on_line(std::string(kind), fields);
  }
  throw std::runtime_error("kilnd went away before it had finished; what was begun is undone when it starts again");
}

std::uint64_t number(const json::object& from, const char* name) {
  const json::value* const value = from.if_contains(name);
  if (value == nullptr) return 0;
  if (value->is_uint64()) return value->as_uint64();
  if (value->is_int64() && value->as_int64() > 0) return static_cast<std::uint64_t>(value->as_int64());
  if (value->is_double() && value->as_double() > 0) return static_cast<std::uint64_t>(value->as_double());
  return 0;
}

std::string text(const json::object& from, const char* name) {
  const json::value* const value = from.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

}  // namespace kiln::cli
