#pragma once
// Disks in the formats of other programs, read and written by qemu-img in a sandbox (base/sandbox.h).
//
// qemu-img parses what a stranger wrote, so: it works on a private copy, which the stranger can no longer change and
// which has been inspected (images/inspect.h); the format is stated by driver and never guessed; and it is stopped when
// it takes longer, or writes more, than an honest file of this length needs. The files that this makes are sparse, lie
// in <region>/imports/ and have no name, so they go with their owner, and with the process that dies. Waits for as long
// as the conversion takes. Throws ApiError when the file is refused, std::runtime_error when there is no sandbox.

#include <cstdint>
#include <functional>

#include "base/fd.h"
#include "control/region.h"
#include "images/inspect.h"

namespace kiln::control {

// Asked several times a second; false gives the work up, which throws OperationCanceled.
using GoOn = std::function<bool()>;

// The disk that images::inspect() found in the file, as a raw one.
class ConvertedImage {
 public:
  ConvertedImage(Region& region, int file, const images::Disk& disk, const GoOn& go_on);
  int fd() const { return raw_.get(); }

 private:
  base::Fd raw_;
};

// A raw disk as a file of another format: qcow2, vmdk (streamOptimized) or vhd (dynamic).
base::Fd converted_disk(Region& region, int raw, std::uint64_t disk_bytes, images::Format format, const GoOn& go_on);

}  // namespace kiln::control
