#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/client.h"
#include "cli/commands.h"

namespace kiln::cli {

int aliases(const Common& common) {
  ask({.data_directory = common.data_directory, .request = {{"command", "alias"}, {"region", common.region}}},
      [](const std::string& kind, const boost::json::object& item) {
        if (kind != "alias") return;
        fmt::print("{}  {}  version {}\n", text(item, "name"), text(item, "image"), number(item, "version"));
      });
  return 0;
}

int set_alias(const Common& common, const AliasOptions& options) {
  const auto done = ask({.data_directory = common.data_directory,
                         .request = {{"command", "alias"},
                                     {"change", "set"},
                                     {"region", common.region},
                                     {"account", common.account},
                                     {"alias", options.alias},
                                     {"image", options.image}}},
                        [](const std::string&, const boost::json::object&) {});
  fmt::print("{}\n", text(done, "name"));
  const auto* const is_public = done.if_contains("public");
  if (is_public != nullptr && is_public->is_bool() && !is_public->as_bool()) {
    fmt::print(stderr,
               "{} is not public: the alias names it to its owner and to whom it is shared with, and to others "
               "the newest earlier image that they can launch\n",
               options.image);
  }
  return 0;
}

int delete_alias(const Common& common, const AliasOptions& options) {
  const auto done = ask(
      {.data_directory = common.data_directory,
       .request = {{"command", "alias"}, {"change", "delete"}, {"region", common.region}, {"alias", options.alias}}},
      [](const std::string&, const boost::json::object&) {});
  fmt::print("{} is gone\n", text(done, "name"));
  return 0;
}

}  // namespace kiln::cli
