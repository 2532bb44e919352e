#pragma once
// Exporting a snapshot, or an image's root disk, into a file of a format that other programs read.
//
// The disk is read from the store, every chunk verified; another format than raw is then written by qemu-img in a
// sandbox (image_conversion.h). While that goes on the snapshot may be deleted and garbage collected: its bytes stay
// until the export ends. Runs on the caller's thread for as long as it takes. When it throws, or the process dies, the
// file holds anything and is to be thrown away; when it returns, the file is synced.

#include <cstdint>
#include <functional>
#include <string>

#include "control/region.h"
#include "images/format.h"

namespace kiln::control {

struct ExportRequest {
  std::string id;  // of a snapshot or an image of the caller's
  images::Format format = images::Format::raw;
};

struct ExportProgress {
  std::string_view step;  // reading, converting, writing
  std::uint64_t done_bytes = 0, total_bytes = 0;
};

struct Exported {
  std::string snapshot_id;
  std::uint64_t disk_bytes = 0;       // how large the disk is
  std::uint64_t file_bytes = 0;       // how long the file is
  std::uint64_t allocated_bytes = 0;  // how much of it is no hole
};

// Writes to fd, an empty regular file, which stays the caller's. progress is called a few times a second, and returns
// false to stop. Throws ApiError: what is wrong with the id, its state or the format; std::runtime_error when the store
// is damaged or a disk full.
Exported export_disk(Region& region, const Principal& caller, int fd, const ExportRequest& what,
                     const std::function<bool(const ExportProgress&)>& progress = {});

}  // namespace kiln::control
