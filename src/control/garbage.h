#pragma once
// Giving back the space of what no root reaches any more (docs: "mark, condemn, delete").
//
//   mark     the epoch is raised and all roots are read in one transaction; the trees are walked
//   condemn  packs with nothing live that nobody referenced since and no living session wrote: no longer found for
//            deduplication, still readable
//   delete   condemned by an earlier mark, for the grace, still unreferenced in this one, and no upload is under way
//            that may have found it before it was condemned
//
// collect runs on a CLI request's thread, for minutes on a large store; two at once are safe. After a crash the next
// one goes on. It throws, and condemns and deletes nothing, when a root cannot be read. Without force it deletes
// nothing when more than 1 GiB would go and that is more than a fifth of the store, or there is no root at all: a small
// store is emptied without being asked about.

#include <string>

#include "control/region.h"

namespace kiln::control {

struct CollectOptions {
  base::Micros grace = base::seconds(3600);  // how long a pack stays condemned; 0: it goes in this very call
  bool force = false;
};

struct Collected {
  std::int64_t epoch = 0;
  std::uint64_t roots = 0;
  std::uint64_t packs = 0, bytes = 0, live_bytes = 0;  // before
  std::uint64_t condemned_packs = 0, condemned_bytes = 0;
  std::uint64_t deleted_packs = 0, deleted_bytes = 0;
  std::string refused;  // not empty: why nothing was deleted
};

Collected collect(Region& region, const CollectOptions& options);

}  // namespace kiln::control
