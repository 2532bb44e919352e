#pragma once
// Importing a disk image file: streamed into the block store, made a snapshot, registered as an image.
//
// The file is what somebody uploads, so its format is declared, its head is looked at before any tool opens it, and
// qcow2 is read by qemu-img in a sandbox: no network, limited memory, time and file size, and the format stated. Runs
// on the caller's thread for as long as the file takes. Holes are skipped. The image is there, available, when it
// returns; when it throws, or the process dies, nothing is left that the next start or garbage collection does not
// remove.

#include <functional>
#include <map>
#include <string>

#include "control/region.h"
#include "images/format.h"

namespace kiln::control {

struct ImportRequest {
  std::string name, description = {};
  images::Format format = images::Format::raw;
  std::string architecture = "x86_64";
  std::string boot_mode = {};
  std::uint64_t most_bytes = blocks::max_disk_bytes;  // the largest disk that is accepted
  std::uint64_t expected_bytes = 0;                   // of the file, when the sender knows: another size is refused
  std::map<std::string, std::string> tags = {};
};

struct ImportProgress {
  std::uint64_t done_bytes = 0, total_bytes = 0;  // of the disk
  std::uint64_t new_bytes = 0;                    // that the store did not have
  std::uint64_t known_bytes = 0;                  // that it had, or that are zeros
  std::uint64_t stored_bytes = 0;                 // that it grew by
  double bytes_per_second = 0;
};

struct Imported {
  std::string image_id, snapshot_id;
  ImportProgress total;
};

// Reads from fd, which stays the caller's; a regular file or a block device, read by offset. progress is called a few
// times a second, and returns false to stop. Throws ApiError: what is wrong with the file, or with the name.
Imported import_image(Region& region, const Principal& caller, int fd, const ImportRequest& what,
                      const std::function<bool(const ImportProgress&)>& progress = {});

}  // namespace kiln::control
