#include "control/boot_traces.h"

#include <algorithm>

#include "base/log.h"
#include "blocks/boot_trace.h"
#include "catalog/boot_touches.h"
#include "catalog/images.h"
#include "catalog/volumes.h"
#include "control/instance_state.h"

namespace kiln::control {
namespace {

// After that, a disk server that was started again would tell what a guest reads that booted long ago.
constexpr base::Micros launch_limit = base::seconds(600);

// The volume that the instance boots from, when launches of its image are still noted and this one was not.
std::string disk_to_note(Region& region, const catalog::Instance& instance) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) -> std::string {
    const auto noted = catalog::boot_touches_of(txn, region.name, instance.image_id);
    if (noted.size() >= blocks::launches_a_trace) return {};
    if (std::ranges::find(noted, instance.id, &catalog::BootTouches::instance_id) != noted.end()) return {};
    for (const auto& disk : catalog::attachments_of_instance(txn, region.name, instance.id)) {
      if (disk.position == 0) return disk.volume_id;
    }
    return {};
  });
}

void note(Region& region, const catalog::Instance& instance, const std::vector<blocks::Touch>& touches) {
  const bool written = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto image = catalog::find_image(txn, region.name, instance.image_id);
    if (!image || image->deregistered) return false;
    if (catalog::boot_touches_of(txn, region.name, image->id).size() >= blocks::launches_a_trace) return false;
    catalog::insert(txn, catalog::BootTouches{.region = region.name,
                                              .image_id = image->id,
                                              .instance_id = instance.id,
                                              .touches = blocks::touches_text(touches),
                                              .noted = region.clock.now()});
    return true;
  });
  if (!written) return;
  base::log_info("control", "{}: {} read {} chunks until it had booted, which its next launches get ahead of need",
                 instance.image_id, instance.id, touches.size());
}

}  // namespace

void note_boot_touches(Region& region, const std::vector<catalog::Instance>& instances) {
  for (const auto& instance : instances) {
    if (instance.state != instance_state::running || instance.image_id.empty()) continue;
    if (region.clock.now() - instance.launched > launch_limit) continue;
    const auto volume = disk_to_note(region, instance);
    if (volume.empty()) continue;
    const auto seen = region.disk_servers.of(instance.id)->launch_touches(volume);
    // One that hangs is waited for until a deadline: not for every guest of it, as the reconciler has other work.
    if (!seen && seen.error().fault() == base::Fault::io) break;
    if (seen && seen->complete && !seen->touches.empty()) note(region, instance, seen->touches);
  }
}

void prefetch_boot_disk(Region& region, const catalog::Instance& instance) {
  std::vector<std::vector<blocks::Touch>> launches;
  std::string volume;
  region.catalog.read([&](catalog::Txn& txn) {
    for (const auto& noted : catalog::boot_touches_of(txn, region.name, instance.image_id)) {
      if (auto touches = blocks::parse_touches(noted.touches)) launches.push_back(*std::move(touches));
    }
    for (const auto& disk : catalog::attachments_of_instance(txn, region.name, instance.id)) {
      if (disk.position == 0) volume = disk.volume_id;
    }
  });
  const auto chunks = blocks::trace_of(launches);
  if (chunks.empty() || volume.empty()) return;
  const auto begun = region.disk_servers.of(instance.id)->prefetch({.volume = volume, .chunks = chunks});
  if (!begun) base::log_warning("control", "{}: no boot trace is replayed: {}", instance.id, begun.error().message());
}

}  // namespace kiln::control
