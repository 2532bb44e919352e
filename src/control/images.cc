// Deregistering images, and what becomes of those that are being made. How they come to be: image_registration.cc,
// image_of_instance.cc.

#include "control/images.h"

#include <algorithm>

#include "catalog/boot_touches.h"
#include "catalog/snapshots.h"
#include "control/image_lifecycle.h"
#include "control/recycle_bin.h"
#include "control/snapshot_locks.h"
#include "control/snapshots.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using catalog::Image;

DeletedSnapshot delete_with_image(catalog::Txn& txn, Region& region, const Principal& caller, const std::string& id) {
  const auto snapshot = catalog::find_snapshot(txn, region.name, id);
  if (!snapshot || snapshot->state == "recoverable") return {id, "client-error"};
  if (snapshot->account != caller.account) return {id, "missing-permissions"};
  if (!catalog::images_using_snapshot(txn, region.name, id).empty()) return {id, "skipped"};
  if (is_locked(txn, region, *snapshot)) return {id, "client-error"};
  if (!recycle_snapshot(txn, region, *snapshot)) delete_snapshot_rows(txn, region, *snapshot);
  return {id, "success"};
}

}  // namespace

std::vector<DeletedSnapshot> deregister_image(Region& region, const Principal& caller, const std::string& image_id,
                                              WithSnapshots with_snapshots) {
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    auto image = own_image(txn, region, caller, image_id);
    check_not_protected(image, region.clock.now());
    if (!recycle_image(txn, region, image)) {
      image.state = "deregistered";
      image.deregistered = region.clock.now();
      catalog::update(txn, image);
      forget_image(txn, region, image_id);
    }
    std::vector<DeletedSnapshot> deleted;
    if (with_snapshots == WithSnapshots::no) return deleted;
    for (const auto& device : catalog::image_devices(txn, region.name, image_id)) {
      const bool twice = std::any_of(deleted.begin(), deleted.end(),
                                     [&](const auto& d) { return d.snapshot_id == device.snapshot_id; });
      if (device.snapshot_id.empty() || twice) continue;
      deleted.push_back(delete_with_image(txn, region, caller, device.snapshot_id));
    }
    return deleted;
  });
}

void forget_image(catalog::Txn& txn, const Region& region, const std::string& image_id) {
  txn.execute("DELETE FROM launch_permission WHERE region = $1 AND image_id = $2", {region.name, image_id});
  catalog::forget_boot_touches(txn, region.name, image_id);
  remove_all_tags(txn, region, image_id);
}

void image_got_snapshot(catalog::Txn& txn, const Region& region, const std::string& image_id) {
  auto image = catalog::find_image(txn, region.name, image_id);
  if (!image || image->state != "pending") return;
  for (const auto& snapshot : catalog::snapshots_of_image(txn, region.name, image_id)) {
    if (snapshot.state != "completed") return;
  }
  image->state = "available";
  catalog::update(txn, *image);
}

void image_failed(catalog::Txn& txn, const Region& region, const std::string& image_id, const std::string& why) {
  auto image = catalog::find_image(txn, region.name, image_id);
  if (!image || image->state != "pending") return;
  image->state = "failed";
  image->state_reason_code = "Client.InternalError";
  image->state_reason_message = why;
  catalog::update(txn, *image);
}

}  // namespace kiln::control
