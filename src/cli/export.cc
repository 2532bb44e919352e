#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "base/fd.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"
#include "images/format.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

// A file beside the output that gets its name when it is complete. Where the file system can, it has no name until
// then, so that nothing is left of it even when we are killed.
class NewFile {
 public:
  NewFile(fs::path output, bool replace) : output_(std::move(output)), replace_(replace) {
    directory_ = output_.has_parent_path() ? output_.parent_path() : fs::path(".");
    if (output_.filename().empty() || fs::is_directory(output_)) {
      throw std::runtime_error(output_.string() + " is a directory; name a file");
    }
    check_free();
    temporary_ = directory_ / ("." + output_.filename().string() + ".partial-" + std::to_string(::getpid()));
    file_ = base::Fd(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666));
    named_ = !file_;
    if (named_) file_ = base::Fd(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file_) fail("cannot write " + output_.string());
  }
  ~NewFile() {
    if (named_) ::unlink(temporary_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  int fd() const { return file_.get(); }

  void finish() {
    check_free();
    const auto source = "/proc/self/fd/" + std::to_string(file_.get());
    if (!named_ && ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      fail("naming " + temporary_.string());
    }
    named_ = true;
    if (::rename(temporary_.c_str(), output_.c_str()) != 0) fail("naming " + output_.string());
    named_ = false;
    const base::Fd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory) ::fsync(directory.get());
  }

 private:
  void check_free() const {
    if (!replace_ && fs::exists(fs::symlink_status(output_))) {
      throw std::runtime_error(output_.string() + " is there already; --force replaces it");
    }
  }

  const fs::path output_;
  const bool replace_;
  fs::path directory_, temporary_;
  base::Fd file_;
  bool named_ = false;
};

void show(const std::string& step, std::uint64_t done, std::uint64_t total) {
  const bool terminal = ::isatty(2) == 1;
  const auto line = step == "reading" ? fmt::format("reading {} of {}", bytes(done), bytes(total)) : step + " it";
  fmt::print(stderr, "{}{}{}", terminal ? "\r" : "", line, terminal ? "\x1b[K" : "\n");
  std::fflush(stderr);
}

}  // namespace

int export_disk(const Common& common, const ExportOptions& options) {
  const std::string format =
      options.format.empty() ? std::string(images::to_string(images::named_by_ending(options.output))) : options.format;
  NewFile file(options.output, options.force);
  boost::json::object request{{"command", "export"},
                              {"id", options.id},
                              {"format", format},
                              {"region", common.region},
                              {"account", common.account}};
  std::uint64_t shown = ~std::uint64_t{0};
  const auto done =
      ask({.data_directory = common.data_directory, .request = std::move(request), .descriptor = file.fd()},
          [&](const std::string& kind, const boost::json::object& fields) {
            if (kind != "progress") return;
            // A line for each tenth and step where there is no terminal to write it again on.
            const auto total = number(fields, "total_bytes");
            const auto tenth = number(fields, "done_bytes") * 10 / std::max<std::uint64_t>(total, 1);
            const auto place = text(fields, "step") == "reading" ? tenth : 100 + text(fields, "step")[0];
            if (::isatty(2) != 1 && place == shown) return;
            shown = place;
            show(text(fields, "step"), number(fields, "done_bytes"), total);
          });
  file.finish();
  fmt::print(stderr, "{}exported {}, a disk of {}, as {}: {} long, of which {} are data\n",
             ::isatty(2) == 1 ? "\n" : "", text(done, "snapshot"), bytes(number(done, "disk_bytes")), format,
             bytes(number(done, "file_bytes")), bytes(number(done, "allocated_bytes")));
  fmt::print("{}\n", options.output);
  return 0;
}

}  // namespace kiln::cli
