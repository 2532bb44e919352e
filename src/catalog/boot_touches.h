#pragma once
// What the first launches of an image read of its boot disk (blocks/boot_trace.h). They go when it is deregistered.

#include "catalog/table.h"

namespace kiln::catalog {

struct BootTouches {
  std::string region, image_id, instance_id;
  std::string touches;  // blocks::touches_text()
  base::Micros noted = 0;
};

// Of each launch that was noted, the earliest first.
std::vector<BootTouches> boot_touches_of(Txn& txn, const std::string& region, const std::string& image_id);
void forget_boot_touches(Txn& txn, const std::string& region, const std::string& image_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::BootTouches, "boot_touches", 3, region, image_id, instance_id, touches, noted)
