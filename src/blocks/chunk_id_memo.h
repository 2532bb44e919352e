#pragma once
// The ids of the chunks of one disk that were asked for last: spares a reader the three nodes of the manifest.
//
// Owned by a Volume, for its base disk. Thread-safe. Direct-mapped: 4096 chunks are 2 GiB of disk in 160 KiB of memory.
// Asking with another disk forgets everything.

#include <array>
#include <memory>
#include <optional>

#include "base/mutex.h"
#include "blocks/disk_id.h"

namespace kiln::blocks {

class ChunkIdMemo {
 public:
  std::optional<ChunkId> find(const DiskId& disk, std::uint64_t chunk_index) {
    base::Lock lock(mutex_);
    if (!entries_ || !(disk_ == disk)) return {};
    const auto& entry = (*entries_)[chunk_index % count];
    if (entry.index_plus_one != chunk_index + 1) return {};
    return entry.id;
  }
  void keep(const DiskId& disk, std::uint64_t chunk_index, const ChunkId& id) {
    base::Lock lock(mutex_);
    if (!entries_ || !(disk_ == disk)) entries_ = std::make_unique<Entries>();
    disk_ = disk;
    (*entries_)[chunk_index % count] = {.index_plus_one = chunk_index + 1, .id = id};
  }

 private:
  static constexpr std::uint64_t count = 4096;
  struct Entry {
    std::uint64_t index_plus_one = 0;  // 0: nothing is kept here
    ChunkId id;
  };
  using Entries = std::array<Entry, count>;

  base::Mutex mutex_;
  DiskId disk_ KILN_GUARDED_BY(mutex_);
  std::unique_ptr<Entries> entries_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
