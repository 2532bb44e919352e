#include "control/image_conversion.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/process.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::uint64_t memory_limit_bytes = std::uint64_t{1} << 30;
constexpr int qcow2_number = 3, raw_number = 4;  // of the descriptors in the sandbox

std::string descriptor(int number) { return "/dev/fd/" + std::to_string(number); }

// qemu-img's complaints name the descriptor, which says nothing to whoever gave the file.
std::string complaint(const std::string& output) {
  std::string line = output.substr(0, output.find('\n'));
  const std::string name = descriptor(qcow2_number);
  for (auto at = line.find(name); at != std::string::npos; at = line.find(name))
    line.replace(at, name.size(), "the file");
  return line.substr(0, 400);
}

// Runs qemu-img in the sandbox; refuses the file when it ends with another code than those accepted.
struct Jail {
  int qcow2, raw;
  std::uint64_t disk_bytes;

  void run(const std::string& verb, const std::vector<std::string>& rest, std::initializer_list<int> accepted,
           const std::string& refusal) const {
    // 20 MB/s is slow for any disk; ten minutes are there for the smallest.
    const std::chrono::seconds limit(600 + disk_bytes / 20'000'000);
    std::vector<std::string> arguments{"unshare", "--net"};
    // Without privilege a network namespace needs a user namespace around it.
    if (::geteuid() != 0) arguments.insert(arguments.end(), {"--user", "--map-current-user"});
    arguments.insert(arguments.end(),
                     {"prlimit", "--as=" + std::to_string(memory_limit_bytes), "--cpu=" + std::to_string(limit.count()),
                      "--fsize=" + std::to_string(disk_bytes), "--core=0", "--", "qemu-img", verb, "-f", "qcow2"});
    arguments.insert(arguments.end(), rest.begin(), rest.end());
    const auto ended =
        base::run({.arguments = arguments, .descriptors = {{qcow2, qcow2_number}, {raw, raw_number}}}, limit);
    if (ended.timed_out) throw ApiError("InvalidParameterValue", "Reading the qcow2 file took too long.");
    if (std::find(accepted.begin(), accepted.end(), ended.exit_code) == accepted.end()) {
      throw ApiError("InvalidParameterValue", refusal + ": " + complaint(ended.output));
    }
  }
};

}  // namespace

ConvertedImage::ConvertedImage(Region& region, int qcow2, std::uint64_t disk_bytes) {
  const auto directory = region.directory / "imports";
  if (auto made = region.files.make_directories(directory); !made) throw std::runtime_error(made.error().message());
  const auto path = directory / (base::new_uuid() + ".raw");
  raw_ = base::Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!raw_) throw std::runtime_error(base::Error::from_errno("open " + path.string()).message());
  if (auto unnamed = region.files.remove(path); !unnamed) throw std::runtime_error(unnamed.error().message());
  if (::ftruncate(raw_.get(), static_cast<off_t>(disk_bytes)) != 0) {
    throw std::runtime_error(base::Error::from_errno("ftruncate " + path.string()).message());
  }
  const Jail jail{.qcow2 = qcow2, .raw = raw_.get(), .disk_bytes = disk_bytes};
  // What lies past the end of a file that was cut short reads as zeros, without an error: only the check tells. 3 says
  // that clusters are lost, which costs space and no data.
  jail.run("check", {descriptor(qcow2_number)}, {0, 3}, "The qcow2 file is truncated or damaged");
  jail.run("convert", {"-n", "--target-is-zero", "-O", "raw", descriptor(qcow2_number), descriptor(raw_number)}, {0},
           "The qcow2 file cannot be read");
  struct stat about {};
  if (::fstat(raw_.get(), &about) != 0 || static_cast<std::uint64_t>(about.st_size) != disk_bytes) {
    throw ApiError("InvalidParameterValue", "The qcow2 file holds another disk than its header says.");
  }
}

}  // namespace kiln::control
