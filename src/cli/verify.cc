#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"

namespace kiln::cli {

int verify(const Common& common) {
  const bool terminal = ::isatty(2) == 1;
  const auto done =
      ask({.data_directory = common.data_directory,
           .request = {{"command", "verify"}, {"region", common.region}, {"account", common.account}}},
          [&](const std::string& kind, const boost::json::object& fields) {
            if (kind == "bad") {
              fmt::print("bad: chunk {} of {} ({}): {}{}\n", number(fields, "chunk_index"), text(fields, "root"),
                         text(fields, "id"), text(fields, "why"),
                         fields.contains("lost") && fields.at("lost").as_bool() ? "; no good copy is left" : "");
            } else if (terminal) {
              fmt::print(stderr, "\rverified {}\x1b[K", bytes(number(fields, "bytes")));
            }
          });
  if (terminal) fmt::print(stderr, "\n");
  fmt::print("{} roots, {} chunks and {} nodes, {}: {} bad\n", number(done, "roots"), number(done, "chunks"),
             number(done, "nodes"), bytes(number(done, "bytes")), number(done, "bad"));
  return number(done, "bad") == 0 ? 0 : 1;
}

}  // namespace kiln::cli
