#pragma once
// Which slots of a cache stay, whatever else is read: empty files beside them, which everybody who makes room in the
// cache respects (slot_cache.h, docs/formats/slot-cache.md).
//
// A pin is of a chunk, there being a slot of it or not: a slot that is damaged and filled again is still pinned. Made
// and removed by the daemon alone, which knows how much it pins; one object for each directory, used by one thread at a
// time. Nothing is synced: after a power cut the daemon pins again. An error leaves some of what was asked for done.

#include <cstdint>
#include <set>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "blocks/disk_id.h"

namespace kiln::blocks {

constexpr std::string_view pin_suffix = ".pin";
constexpr bool is_pin_name(std::string_view name) {
  return name.size() == 64 + pin_suffix.size() && name.ends_with(pin_suffix);
}

// How many bytes of slots may be pinned of a cache with this budget.
constexpr std::uint64_t most_pinned_bytes(std::uint64_t budget_bytes) { return budget_bytes / 2; }

class SlotPins {
 public:
  // directory is the cache's.
  SlotPins(base::Files& files, base::Path directory) : files_(files), directory_(std::move(directory)) {}

  base::Result<std::set<ChunkId>> list();
  // When it returns nobody removes the slots any more. Waits at most two seconds for whoever fills a slot of a group;
  // Fault::busy then.
  base::Status pin(const std::set<ChunkId>& ids);
  base::Status unpin(const std::set<ChunkId>& ids);
  // Whether there is a slot.
  bool filled(const ChunkId& id);

 private:
  base::Path group_of(const ChunkId& id) const;

  base::Files& files_;
  const base::Path directory_;
};

}  // namespace kiln::blocks
