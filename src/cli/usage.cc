#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"

namespace kiln::cli {

int usage(const Common& common) {
  fmt::print("{:<23} {:>11} {:>11} {:>11} {:>11}  {}\n", "id", "logical", "data", "stored", "exclusive", "name");
  const auto done =
      ask({.data_directory = common.data_directory,
           .request = {{"command", "usage"}, {"region", common.region}, {"account", common.account}}},
          [](const std::string& kind, const boost::json::object& item) {
            if (kind == "damaged") {
              fmt::print(stderr, "damaged: {} at {} of pack {}{}: {}\n", text(item, "kind"), number(item, "offset"),
                         text(item, "pack"), item.at("healed").as_bool() ? ", healed by another copy" : "",
                         text(item, "why"));
              return;
            }
            if (kind == "damaged_archive") {
              fmt::print(stderr, "damaged: the archive of {}: {}\n", text(item, "id"), text(item, "why"));
              return;
            }
            fmt::print("{:<23} {:>11} {:>11} {:>11} {:>11}  {}\n", text(item, "id"),
                       bytes(number(item, "logical_bytes")), bytes(number(item, "data_bytes")),
                       bytes(number(item, "stored_bytes")), bytes(number(item, "exclusive_bytes")), text(item, "name"));
          });
  fmt::print("\nsnapshots hold {} of disks in {} of packs: {} live, {} condemned\n",
             bytes(number(done, "logical_bytes")), bytes(number(done, "store_bytes")),
             bytes(number(done, "live_bytes")), bytes(number(done, "condemned_bytes")));
  if (number(done, "archive_bytes") > 0) fmt::print("archives hold {}\n", bytes(number(done, "archive_bytes")));
  fmt::print("volumes hold {} on this host; {} of the file system are free\n", bytes(number(done, "volume_bytes")),
             bytes(number(done, "free_bytes")));
  return 0;
}

}  // namespace kiln::cli
