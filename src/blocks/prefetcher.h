#pragma once
// Brings chunks of a disk near before a guest asks for them: the boot trace of an image, or a whole volume at a rate.
//
// Owned by a VolumeTable; source is lent and must outlive it. Thread-safe. The work is done by threads of its own, at
// low priority, so that reads of guests come first; they exist while there is work. A chunk that cannot be brought is
// left for the guest's own read, which says what is wrong. Nothing survives the process: what was asked is asked again
// by nobody, and reads are slower, that is all.

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "blocks/disk_source.h"

namespace kiln::blocks {

// So many reads of the store are under way at once: its latency counts once for so many.
constexpr std::size_t prefetch_width = 32;

class Prefetcher {
 public:
  explicit Prefetcher(DiskSource& source);
  ~Prefetcher();  // waits for the reads that are under way
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // In this order, or all of the disk when chunks is empty; bytes_per_second of plaintext, 0 for as fast as it goes.
  // Returns at once. What is asked again while it is at it is not begun again: jobs repeat their steps.
  void start(const DiskId& disk, std::vector<std::uint64_t> chunks, std::uint64_t bytes_per_second);
  // How many of the start()s are still at it.
  std::size_t running();

 private:
  class Run;
  DiskSource& source_;
  base::Mutex mutex_;
  std::vector<std::unique_ptr<Run>> runs_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
