#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"

namespace kiln::cli {

int scrub(const Common& common, bool now) {
  const bool terminal = ::isatty(2) == 1;
  const auto done =
      ask({.data_directory = common.data_directory,
           .request = {{"command", "scrub"}, {"region", common.region}, {"account", common.account}, {"now", now}}},
          [&](const std::string& kind, const boost::json::object& fields) {
            if (kind == "bad") {
              fmt::print("bad: {} at {} of pack {}: {}\n", text(fields, "id").empty() ? "footer" : text(fields, "kind"),
                         number(fields, "offset"), text(fields, "pack"), text(fields, "why"));
            } else if (kind == "bad_archive") {
              fmt::print("bad: the archive of {} at {}: {}\n", text(fields, "id"), number(fields, "offset"),
                         text(fields, "why"));
            } else if (terminal) {
              fmt::print(stderr, "\rread {} packs, {}\x1b[K", number(fields, "packs"), bytes(number(fields, "bytes")));
            }
          });
  if (terminal && now) fmt::print(stderr, "\n");
  if (now) {
    fmt::print("{} packs, {} records, {}: {} bad\n", number(done, "packs"), number(done, "records"),
               bytes(number(done, "bytes")), number(done, "bad"));
  } else {
    const auto when = [&](const char* name) {
      const auto seconds = number(done, name);
      return seconds == 0 ? std::string("never") : base::to_iso8601(base::seconds(seconds));
    };
    fmt::print("this pass: {} packs, {}, since {}; last whole pass: {}; {} bad\n", number(done, "packs"),
               bytes(number(done, "bytes")), when("began_seconds"), when("finished_seconds"), number(done, "bad"));
  }
  return number(done, "bad") == 0 ? 0 : 1;
}

}  // namespace kiln::cli
