#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"

namespace kiln::cli {
int gc(const Common& common, const GcOptions& options) {
  const auto done = ask({.data_directory = common.data_directory,
                         .request = {{"command", "gc"},
                                     {"region", common.region},
                                     {"account", common.account},
                                     {"grace_seconds", seconds_of(options.grace)},
                                     {"force", options.force}}},
                        [](const std::string&, const boost::json::object&) {});
  fmt::print("{} roots reach {} of {} in {} packs\n", number(done, "roots"), bytes(number(done, "live_bytes")),
             bytes(number(done, "bytes")), number(done, "packs"));
  if (number(done, "compacted_packs") > 0) {
    fmt::print("compacted {} packs, copied {}\n", number(done, "compacted_packs"), bytes(number(done, "copied_bytes")));
  }
  if (number(done, "revived_packs") > 0) {
    fmt::print(stderr, "{} packs were condemned and needed or read; they are live again\n",
               number(done, "revived_packs"));
  }
  fmt::print("condemned {} packs ({}), deleted {} packs ({})\n", number(done, "condemned_packs"),
             bytes(number(done, "condemned_bytes")), number(done, "deleted_packs"),
             bytes(number(done, "deleted_bytes")));
  if (number(done, "deleted_archives") > 0) {
    fmt::print("deleted {} archives of no snapshot ({})\n", number(done, "deleted_archives"),
               bytes(number(done, "deleted_archive_bytes")));
  }
  if (const auto refused = text(done, "refused"); !refused.empty()) {
    fmt::print(stderr, "nothing was deleted: {}\n", refused);
    return 1;
  }
  return 0;
}

}  // namespace kiln::cli
