#pragma once
// Writes the content of a finished disk into a file: chunks are read, verified and written by a few threads at once.
//
// Called by whoever exports a disk; waits for the disk. Zeros are left out, so the file should be new or of zeros; it
// is given the disk's size. The first error ends the work. Nothing is synced: that is the caller's, who also removes
// what a failure left.

#include <cstdint>
#include <functional>

#include "base/error.h"
#include "base/files.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct RestoreOptions {
  unsigned threads = 0;  // 0: one for each processor
  // Told how many bytes of the disk are done, from any of the threads, one at a time.
  std::function<void(std::uint64_t)> progress{};
  // Asked before each chunk, likewise; false ends the work without an error, and unfinished.
  std::function<bool()> go_on{};
};

base::Status restore(Store& store, const DiskId& disk, base::File& file, const RestoreOptions& options = {});

}  // namespace kiln::blocks
