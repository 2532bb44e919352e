#include "jobs/arguments.h"

#include <boost/json.hpp>
#include <stdexcept>

namespace kiln::jobs {

std::string format_arguments(const Arguments& arguments) {
  boost::json::object object;
  for (const auto& [name, value] : arguments) object[name] = value;
  return boost::json::serialize(object);
}

Arguments parse_arguments(const std::string& text) {
  boost::system::error_code failure;
  const boost::json::value parsed = boost::json::parse(text, failure);
  if (failure || !parsed.is_object()) throw std::runtime_error("job arguments: wanted a JSON object, found " + text);
  Arguments arguments;
  for (const auto& member : parsed.get_object()) {
    if (!member.value().is_string()) {
      throw std::runtime_error("job arguments: wanted text for " + std::string(member.key()) + ", found " + text);
    }
    arguments.emplace(member.key(), member.value().get_string());
  }
  return arguments;
}

}  // namespace kiln::jobs
