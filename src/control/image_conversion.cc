#include "control/image_conversion.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "base/sandbox.h"
#include "control/unnamed_file.h"

namespace kiln::control {
namespace {

using base::ApiError;
using images::Format;

constexpr const char* qemu_img = "/usr/bin/qemu-img";
constexpr std::uint64_t mib = 1 << 20;
// What is left to everybody else on the disk that the region is on.
constexpr std::uint64_t disk_reserve = 512 * mib;

[[noreturn]] void refuse(const std::string& why) { throw ApiError("InvalidParameterValue", why); }

std::string driver(Format format) { return format == Format::vhd ? "vpc" : std::string(images::to_string(format)); }

// qemu-img's complaints begin with its name and may say where the file is in the sandbox, which says nothing to whoever
// gave it.
std::string complaint(const std::string& output) {
  std::string line = output.substr(0, output.find('\n'));
  if (line.starts_with("qemu-img: ")) line.erase(0, 10);
  for (const std::string name : {"'/image'", "/image"}) {
    for (auto at = line.find(name); at != std::string::npos; at = line.find(name)) {
      line.replace(at, name.size(), "the file");
    }
  }
  return line.substr(0, 400);
}

enum class Stop { no, asked, grown, full };

struct Job {
  std::uint64_t input_bytes = 0;   // that it has to read
  std::uint64_t output_bytes = 0;  // how long its output may become
  std::uint64_t grown_bytes = 0;   // how much of that may be more than holes
  std::string output_name = "out";
};

// One run of qemu-img, with the input as /image, the output, if any, by its own name.
base::SandboxFinished run(int image, int out, const Job& job, std::vector<std::string> arguments, const GoOn& go_on) {
  auto stop = Stop::no;
  base::Sandboxed what{.program = qemu_img, .arguments = std::move(arguments)};
  what.files.push_back({image, "image"});
  if (out >= 0) what.files.push_back({out, job.output_name});
  what.file_bytes = job.output_bytes;
  // 5 MB/s is slow for any decoder on any disk; half a minute is there for the smallest.
  what.cpu = std::chrono::seconds(30 + job.input_bytes / 5'000'000);
  what.limit = 4 * what.cpu;
  what.go_on = [&] {
    if (go_on && !go_on()) stop = Stop::asked;
    if (out >= 0 && allocated_bytes(out) > job.grown_bytes) stop = Stop::grown;
    struct statvfs space {};
    if (out >= 0 && ::fstatvfs(out, &space) == 0 && space.f_bavail * space.f_frsize < disk_reserve) stop = Stop::full;
    return stop == Stop::no;
  };
  auto ended = base::run_sandboxed(what);
  if (stop == Stop::asked) throw ApiError("OperationCanceled", "The work was given up.");
  if (stop == Stop::full) throw ApiError("InsufficientVolumeCapacity", "The host's disk is too full for this.");
  if (stop == Stop::grown || (out >= 0 && allocated_bytes(out) > job.grown_bytes)) {
    refuse("The file is refused: what is in it becomes more than " + std::to_string(job.grown_bytes) +
           " bytes, which is taken for an attack.");
  }
  constexpr int killed = 128 + 9;
  if (ended.timed_out || ended.exit_code == killed) refuse("The file is refused: reading it takes too long.");
  return ended;
}

void expect(const base::SandboxFinished& ended, std::initializer_list<int> accepted, const std::string& refusal) {
  if (std::ranges::find(accepted, ended.exit_code) == accepted.end()) refuse(refusal + ": " + complaint(ended.output));
}

std::string options(const std::string& name, const std::string& path, const std::string& more = {}) {
  return "driver=" + name + ",file.driver=file,file.filename=" + path + more;
}

// A copy that nobody else can change, of exactly the part that was inspected, found again to be what it was.
base::Fd private_copy(Region& region, int file, const images::Disk& disk, const GoOn& go_on) {
  auto copy = unnamed_file(region, OthersMay::read);
  if (!copy_sparse(file, disk.offset, disk.length, copy.get(), go_on)) {
    throw ApiError("OperationCanceled", "The work was given up.");
  }
  const images::FileSource source(copy.get(), disk.length);
  const auto again =
      images::inspect(images::Window(source), {.declared = disk.format, .most_virtual_bytes = disk.virtual_bytes});
  if (!again) refuse("The file is refused: " + again.error().message());
  if (again->virtual_bytes != disk.virtual_bytes) refuse("The file was changed while it was read.");
  return copy;
}

base::Fd output_file(Region& region, std::uint64_t size_bytes) {
  auto out = unnamed_file(region, OthersMay::write);
  if (::ftruncate(out.get(), static_cast<off_t>(size_bytes)) != 0) {
    throw std::runtime_error(base::Error::from_errno("ftruncate").message());
  }
  return out;
}

}  // namespace

ConvertedImage::ConvertedImage(Region& region, int file, const images::Disk& disk, const GoOn& go_on) {
  const auto copy = private_copy(region, file, disk, go_on);
  raw_ = output_file(region, disk.virtual_bytes);
  const auto input_bytes = std::max(allocated_bytes(copy.get()), mib);
  const Job job{.input_bytes = input_bytes,
                .output_bytes = disk.virtual_bytes,
                .grown_bytes = images::most_grown_bytes(input_bytes)};
  const auto what = "The " + std::string(images::to_string(disk.format)) + " file ";
  // The inspector reads only so many tables; and what lies past the end of a file reads as zeros, without an error. 3
  // says that clusters are lost, which costs space and no data.
  if (disk.format == Format::qcow2) {
    expect(run(copy.get(), -1, job, {"check", "--image-opts", options("qcow2", "/image")}, go_on), {0, 3},
           what + "is truncated or damaged");
  }
  // A VHD has its size twice, and qemu-img would choose by the name of the program that wrote it.
  const auto source =
      options(driver(disk.format), "/image", disk.format == Format::vhd ? ",force_size_calc=current_size" : "");
  expect(
      run(copy.get(), raw_.get(), job,
          {"convert", "-n", "--target-is-zero", "--image-opts", "--target-image-opts", source, options("raw", "/out")},
          go_on),
      {0}, what + "cannot be read");
  struct stat about {};
  if (::fstat(raw_.get(), &about) != 0 || static_cast<std::uint64_t>(about.st_size) != disk.virtual_bytes) {
    refuse(what + "holds another disk than its header says.");
  }
}

base::Fd converted_disk(Region& region, int raw, std::uint64_t disk_bytes, Format format, const GoOn& go_on) {
  auto out = unnamed_file(region, OthersMay::write);
  // Tables and the ends of blocks come on top of the disk's own bytes.
  const auto most = disk_bytes + disk_bytes / 8 + 256 * mib;
  const Job job{.input_bytes = allocated_bytes(raw) + disk_bytes / 1000, .output_bytes = most, .grown_bytes = most};
  std::vector<std::string> arguments{"convert", "-f", "raw", "-O", driver(format)};
  if (format == Format::vmdk) arguments.insert(arguments.end(), {"-o", "subformat=streamOptimized"});
  // Otherwise the disk grows to a size that cylinders, heads and sectors can say.
  if (format == Format::vhd) arguments.insert(arguments.end(), {"-o", "subformat=dynamic,force_size=on"});
  if (format == Format::qcow2) arguments.push_back("-c");
  arguments.insert(arguments.end(), {"/image", "/" + job.output_name});
  const auto ended = run(raw, out.get(), job, std::move(arguments), go_on);
  if (ended.exit_code != 0) throw std::runtime_error("writing the file: " + complaint(ended.output));
  return out;
}

}  // namespace kiln::control
