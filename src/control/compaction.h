#pragma once
// The catalog's side of compaction: which packs, in what order, and the transaction that makes it true.
//
// A part of collect() (garbage.h), after its mark and with its epoch. What is copied is of a session of its own, so
// that a collection that dies leaves only what the next one removes. A batch fills about one pack; each is committed
// by itself. A batch whose packs somebody referenced since the mark is given up: what it wrote is removed by the same
// call.

#include "blocks/mark.h"
#include "control/garbage.h"

namespace kiln::control {

// Adds to report what was done.
void compact_packs(Region& region, const blocks::Marked& marked, std::int64_t epoch, const CollectOptions& options,
                   Collected& report);

}  // namespace kiln::control
