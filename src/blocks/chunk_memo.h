#pragma once
// The chunks of a disk that were asked for last: their ids, which spares a reader the three nodes of the manifest, and
// the way to their bytes while a cache holds them, which spares it the cache's lock, that all readers share.
//
// Owned by a Volume, for its base disk. Thread-safe; readers of different chunks seldom wait for each other.
// Direct-mapped: 4096 chunks are 2 GiB of disk in 400 KiB of memory. Bytes are not kept alive by it.

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "blocks/disk_source.h"

namespace kiln::blocks {

class ChunkMemo {
 public:
  struct Known {
    ChunkId id;
    ChunkBytes bytes;  // null: ask the source, and keep() what it holds then
  };

  std::optional<Known> find(const DiskId& disk, std::uint64_t chunk_index) {
    auto& row = row_of(chunk_index);
    base::Lock lock(row.mutex);
    if (row.entries.empty()) return {};
    auto& entry = row.entries[chunk_index / rows % entries_a_row];
    if (entry.index_plus_one != chunk_index + 1 || !(entry.disk == disk)) return {};
    Known known{.id = entry.id, .bytes = nullptr};
    // Now and then the source is asked all the same, or its cache would take what is read most for unused.
    if (++entry.uses % uses_a_question != 0) known.bytes = entry.bytes.lock();
    return known;
  }
  void keep(const DiskId& disk, std::uint64_t chunk_index, const ChunkId& id, const ChunkBytes& bytes) {
    auto& row = row_of(chunk_index);
    base::Lock lock(row.mutex);
    row.entries.resize(entries_a_row);
    row.entries[chunk_index / rows % entries_a_row] = {
        .index_plus_one = chunk_index + 1, .disk = disk, .id = id, .bytes = bytes};
  }

 private:
  static constexpr std::size_t rows = 64, entries_a_row = 64;
  static constexpr unsigned uses_a_question = 64;
  struct Entry {
    std::uint64_t index_plus_one = 0;  // 0: nothing is kept here
    DiskId disk;
    ChunkId id;
    std::weak_ptr<const base::Bytes> bytes;
    unsigned uses = 0;
  };
  struct Row {
    base::Mutex mutex;
    std::vector<Entry> entries KILN_GUARDED_BY(mutex);  // none before the first is kept
  };
  Row& row_of(std::uint64_t chunk_index) { return rows_[chunk_index % rows]; }

  std::array<Row, rows> rows_;
};

}  // namespace kiln::blocks
