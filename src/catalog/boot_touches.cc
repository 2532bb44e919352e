#include "catalog/boot_touches.h"

namespace kiln::catalog {

std::vector<BootTouches> boot_touches_of(Txn& txn, const std::string& region, const std::string& image_id) {
  return select<BootTouches>(txn, "WHERE region = $1 AND image_id = $2 ORDER BY noted, instance_id",
                             {region, image_id});
}

void forget_boot_touches(Txn& txn, const std::string& region, const std::string& image_id) {
  txn.execute("DELETE FROM boot_touches WHERE region = $1 AND image_id = $2", {region, image_id});
}

}  // namespace kiln::catalog
