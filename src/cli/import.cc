#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "base/fd.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"
#include "images/format.h"

namespace kiln::cli {
namespace {

// A bar on a terminal, a line every tenth elsewhere.
class ProgressBar {
 public:
  explicit ProgressBar(std::string name) : name_(std::move(name)), terminal_(::isatty(2) == 1) {}

  void show(const boost::json::object& p) {
    const auto done = number(p, "done_bytes");
    const auto total = number(p, "total_bytes");
    const auto tenth = total == 0 ? 0 : done * 10 / total;
    if (!terminal_ && tenth == shown_) return;
    shown_ = tenth;
    const auto filled = total == 0 ? 0 : static_cast<std::size_t>(done * 30 / total);
    const std::string bar = std::string(filled, '#') + std::string(30 - std::min<std::size_t>(filled, 30), '.');
    const std::string line = fmt::format("{} [{}] {} of {}, {}/s, {} new, {} already stored", name_, bar, bytes(done),
                                         bytes(total), bytes(number(p, "bytes_per_second")),
                                         bytes(number(p, "new_bytes")), bytes(number(p, "known_bytes")));
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r" : "", line, terminal_ ? "\x1b[K" : "\n");
    std::fflush(stderr);
  }
  void end() const {
    if (terminal_) fmt::print(stderr, "\n");
  }

 private:
  const std::string name_;
  const bool terminal_;
  std::uint64_t shown_ = ~std::uint64_t{0};
};

}  // namespace

int import(const Common& common, const ImportOptions& options) {
  const base::Fd file(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    throw std::runtime_error("cannot read " + options.file + ": " + std::strerror(errno));
  }
  const std::string format =
      options.format.empty() ? std::string(images::to_string(images::named_by_ending(options.file))) : options.format;
  boost::json::object request{{"command", "import"},
                              {"name", options.name},
                              {"description", options.description},
                              {"format", format},
                              {"architecture", options.architecture},
                              {"region", common.region},
                              {"account", common.account}};
  if (S_ISREG(status.st_mode)) request["expected_bytes"] = status.st_size;
  ProgressBar bar(options.name);
  const auto done =
      ask({.data_directory = common.data_directory, .request = std::move(request), .descriptor = file.get()},
          [&](const std::string& kind, const boost::json::object& fields) {
            if (kind == "progress") bar.show(fields);
          });
  bar.show(done);
  bar.end();
  fmt::print(stderr, "imported {} as {} ({}): {} new in {} of store, {} already stored\n", options.file,
             text(done, "image"), text(done, "snapshot"), bytes(number(done, "new_bytes")),
             bytes(number(done, "stored_bytes")), bytes(number(done, "known_bytes")));
  fmt::print("{}\n", text(done, "image"));
  return 0;
}

}  // namespace kiln::cli
