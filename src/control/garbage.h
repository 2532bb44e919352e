#pragma once
// Giving back the space of what no root reaches any more (docs/decisions/garbage-collection.md).
//
//   mark     the epoch is raised and all roots and packs are read in one transaction; the trees are walked
//   condemn  packs with nothing live that nobody referenced since and no living session wrote: no longer found for
//            deduplication, still readable. One transaction, with every pack that one that stays needs kept too
//   compact  what is alive in packs that are mostly dead is copied; one transaction makes the copies live and condemns
//            the old packs, unless somebody referenced one since the mark
//   delete   condemned by an earlier mark, for the grace, still unreferenced in this one, not read by any disk server
//            since, and no upload is under way that may have found it before it was condemned
//
// collect runs on a CLI request's thread, for minutes on a large store; two at once are safe. After a crash the next
// one goes on. It throws, and condemns and deletes nothing, when a root cannot be read. Without force it deletes
// nothing when more than 1 GiB would go and that is more than a fifth of the store, or there is no root at all: a small
// store is emptied without being asked about.

#include <functional>
#include <string>

#include "control/region.h"

namespace kiln::control {

struct CollectOptions {
  base::Micros grace = base::seconds(3600);  // how long a pack stays condemned; 0: it goes in this very call
  bool force = false;
  // Compaction: packs of which less than this share is alive, and how many bytes one call copies at most.
  unsigned compact_below_percent = 50;  // 0: none
  std::uint64_t compact_at_most_bytes = std::uint64_t{8} << 30;
  // Asked between the steps, of which none takes long; false ends the call with std::runtime_error.
  std::function<bool()> go_on = {};
};

struct Collected {
  std::int64_t epoch = 0;
  std::uint64_t roots = 0;
  std::uint64_t packs = 0, bytes = 0, live_bytes = 0;  // before
  std::uint64_t condemned_packs = 0, condemned_bytes = 0;
  std::uint64_t compacted_packs = 0, copied_bytes = 0;  // condemned as well, after what is alive in them was copied
  std::uint64_t deleted_packs = 0, deleted_bytes = 0;
  std::uint64_t deleted_archives = 0, deleted_archive_bytes = 0;  // files that no snapshot's row names
  std::uint64_t revived_packs = 0;            // condemned ones that turned out to be needed, or were read
  std::uint64_t wrongly_condemned_packs = 0;  // of those the ones that a root needs: there must be none, ever
  std::string refused;                        // not empty: why nothing was deleted
};

Collected collect(Region& region, const CollectOptions& options);

}  // namespace kiln::control
