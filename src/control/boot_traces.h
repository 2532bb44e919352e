#pragma once
// The boot trace of an image: learned from its first launches, replayed at later ones (blocks/boot_trace.h).
//
//   guest runs, has read nothing new for a while   what it read is noted, of the first three launches of an image
//   guest is about to start                        the disk server begins to bring what those launches read
//
// A trace is a help and never a need: whatever goes wrong is logged, and the guest reads what it needs itself. An image
// made of an instance has an own id, and so no trace until it was launched. Called by the reconciler and by job steps.

#include <vector>

#include "catalog/instances.h"
#include "control/region.h"

namespace kiln::control {

void note_boot_touches(Region& region, const std::vector<catalog::Instance>& instances);
void prefetch_boot_disk(Region& region, const catalog::Instance& instance);

}  // namespace kiln::control
