#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/client.h"
#include "cli/commands.h"

namespace kiln::cli {
namespace {

template <class Say>
void each(const boost::json::object& answer, const char* name, Say say) {
  const boost::json::value* const list = answer.if_contains(name);
  if (list == nullptr || !list->is_array()) return;
  for (const auto& item : list->as_array()) {
    if (item.is_string()) say(std::string(item.as_string()));
  }
}

}  // namespace

int share(const Common& common, const ShareOptions& options) {
  const auto done = ask(
      {.data_directory = common.data_directory,
       .request = {{"command", "share"}, {"region", common.region}, {"image", options.image}, {"with", options.with}}},
      [](const std::string&, const boost::json::object&) {});
  fmt::print("{} is shared with account {}\n", options.image, options.with);
  each(done, "shared", [&](const std::string& id) { fmt::print("{} is shared with it as well\n", id); });
  int exit_code = 0;
  each(done, "of_others", [&](const std::string& id) {
    fmt::print(stderr, "{} is another account's, which alone can share it: without it the image cannot be copied\n",
               id);
    exit_code = 1;
  });
  each(done, "keys", [&](const std::string& arn) {
    fmt::print(stderr, "{} encrypts it: its policy must let account {} use it\n", arn, options.with);
  });
  return exit_code;
}

}  // namespace kiln::cli
