#pragma once
// A qcow2 file as a raw one, made by qemu-img in a sandbox.
//
// qemu-img parses what a stranger wrote, so: the format is stated and never guessed, the head was inspected before (no
// backing file, no data file), and the process has no network, limited memory and time, and cannot write a file longer
// than the disk. The raw file is sparse, lies in <region>/imports/ and has no name, so it goes with its owner, and with
// the process that dies. Waits for as long as the conversion takes. Throws ApiError when qemu-img refuses the file.

#include <cstdint>

#include "base/fd.h"
#include "control/region.h"

namespace kiln::control {

class ConvertedImage {
 public:
  ConvertedImage(Region& region, int qcow2, std::uint64_t disk_bytes);
  int fd() const { return raw_.get(); }

 private:
  base::Fd raw_;
};

}  // namespace kiln::control
