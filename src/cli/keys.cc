#include <fmt/format.h>

#include <boost/json.hpp>
#include <stdexcept>

#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"

namespace kiln::cli {

int keys(const Common& common) {
  fmt::print("{:<36}  {:<12}  {:<15}  {:<8}  {}\n", "id", "account", "state", "manager", "aliases, description");
  ask({.data_directory = common.data_directory,
       .request = {{"command", "keys"}, {"region", common.region}, {"account", common.account}}},
      [](const std::string& kind, const boost::json::object& item) {
        if (kind == "stray") {
          fmt::print(stderr, "{}: its material is in the key store and no region has such a key\n", text(item, "id"));
          return;
        }
        auto state = text(item, "state");
        if (const auto seconds = number(item, "deletion_seconds"); seconds > 0) {
          state += " on " + base::to_iso8601(base::seconds(static_cast<std::int64_t>(seconds))).substr(0, 10);
        }
        fmt::print("{:<36}  {:<12}  {:<15}  {:<8}  {} {}\n", text(item, "id"), text(item, "account"), state,
                   text(item, "manager"), text(item, "aliases"), text(item, "description"));
      });
  return 0;
}

int delete_key(const Common& common, const DeleteKeyOptions& options) {
  if (!options.now) {
    throw std::runtime_error(
        "a key is deleted by its owner, with kms schedule-key-deletion and 7 days to think; the operator's way is at "
        "once: --now");
  }
  if (!options.yes) {
    throw std::runtime_error("everything that " + options.key +
                             " encrypts, every snapshot and volume, is lost for good: say --yes to that");
  }
  const auto done = ask({.data_directory = common.data_directory,
                         .request = {{"command", "delete-key"}, {"region", common.region}, {"key", options.key}}},
                        [](const std::string&, const boost::json::object&) {});
  fmt::print("{} is destroyed\n", text(done, "arn"));
  return 0;
}

}  // namespace kiln::cli
