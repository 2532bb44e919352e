#include "control/image_conversion.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/process.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::uint64_t memory_limit_bytes = std::uint64_t{1} << 30;
constexpr int qcow2_number = 3, raw_number = 4;  // of the descriptors in the sandbox

std::vector<std::string> sandboxed(std::uint64_t disk_bytes, std::chrono::seconds limit) {
  std::vector<std::string> arguments{"unshare", "--net"};
  // Without privilege a network namespace needs a user namespace around it.
  if (::geteuid() != 0) arguments.insert(arguments.end(), {"--user", "--map-current-user"});
  arguments.insert(arguments.end(),
                   {"prlimit", "--as=" + std::to_string(memory_limit_bytes), "--cpu=" + std::to_string(limit.count()),
                    "--fsize=" + std::to_string(disk_bytes), "--core=0", "--", "qemu-img", "convert", "-n", "--target-is-zero", "-f", "qcow2",
                    "-O", "raw", "/dev/fd/" + std::to_string(qcow2_number), "/dev/fd/" + std::to_string(raw_number)});
  return arguments;
}

// qemu-img's complaints name the descriptor, which says nothing to whoever gave the file.
std::string complaint(std::string output) {
  const std::string name = "/dev/fd/" + std::to_string(qcow2_number);
  for (auto at = output.find(name); at != std::string::npos; at = output.find(name)) output.replace(at, name.size(), "the file");
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output.substr(0, 400);
}

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
  // 20 MB/s is slow for any disk; ten minutes are there for the smallest.
  const std::chrono::seconds limit(600 + disk_bytes / 20'000'000);
  const auto ended = base::run({.arguments = sandboxed(disk_bytes, limit),
                                .descriptors = {{qcow2, qcow2_number}, {raw_.get(), raw_number}}},
                               limit);
  if (ended.timed_out) throw ApiError("InvalidParameterValue", "Reading the qcow2 file took too long.");
  if (ended.exit_code != 0) {
    throw ApiError("InvalidParameterValue", "The qcow2 file cannot be read: " + complaint(ended.output));
  }
  struct stat about {};
  if (::fstat(raw_.get(), &about) != 0 || static_cast<std::uint64_t>(about.st_size) != disk_bytes) {
    throw ApiError("InvalidParameterValue", "The qcow2 file holds another disk than its header says.");
  }
}

}  // namespace kiln::control
