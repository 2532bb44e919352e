#include "control/recycle_bin.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "control/fast_restores.h"
#include "control/image_visibility.h"
#include "control/images.h"
#include "control/recycle_rules.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"
#include "control/tags.h"
#include "control/volumes.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;
using catalog::Recycled;
using catalog::Snapshot;
using catalog::Txn;
using catalog::Volume;

constexpr const char* images_type = "EC2_IMAGE";
constexpr const char* snapshots_type = "EBS_SNAPSHOT";
constexpr const char* volumes_type = "EBS_VOLUME";
constexpr const char* bin_tag = "aws:recycle-bin:resource-in-bin";

bool put(Txn& txn, Region& region, const std::string& id, const std::string& account, const std::string& type,
         const std::string& state) {
  const auto days = retention_days(txn, region, account, type, tags_of(txn, region, account, id));
  if (!days) return false;
  const auto now = region.clock.now();
  catalog::insert(txn, Recycled{.region = region.name,
                                .resource_id = id,
                                .account = account,
                                .resource_type = type,
                                .state = state,
                                .entered = now,
                                .exits = now + *days * base::seconds(86'400)});
  catalog::set_tags(txn, {{.region = region.name,
                           .account = account,
                           .resource_id = id,
                           .key = bin_tag,
                           .resource_type = resource_type(id),
                           .value = "true"}});
  return true;
}

void take_out(Txn& txn, const Region& region, const Recycled& recycled) {
  catalog::remove(txn, recycled);
  catalog::remove_tag(txn, region.name, recycled.account, recycled.resource_id, bin_tag);
}

[[noreturn]] void unknown_snapshot(const std::string& id) {
  throw ApiError("InvalidSnapshot.NotFound", "The snapshot '" + id + "' does not exist.");
}

void unknown_volume(const std::string& id) {
  if (!base::is_id("vol", id)) {
    throw ApiError("InvalidParameterValue",
                   "Value (" + id + ") for parameter volumeId is invalid. Expected: 'vol-...'.");
  }
  throw ApiError("InvalidVolume.NotFound", "The volume '" + id + "' does not exist.");
}

std::optional<Recycled> find(Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  auto recycled = catalog::find_recycled(txn, region.name, id);
  if (recycled && recycled->account != caller.account) recycled.reset();
  return recycled;
}

std::vector<Recycled> asked_for(Txn& txn, const Region& region, const Principal& caller, const std::string& type,
                                const std::vector<std::string>& ids, void (*unknown)(const std::string& id)) {
  if (ids.empty()) return catalog::recycled_of(txn, region.name, caller.account, type);
  std::vector<Recycled> found;
  for (const auto& id : ids) {
    auto recycled = find(txn, region, caller, id);
    if (!recycled || recycled->resource_type != type) unknown(id);
    found.push_back(*std::move(recycled));
  }
  return found;
}

void unknown_image(const std::string& id) {
  check_image_id(id);
  refuse_unknown_images({id});
}

void check_snapshots_of(Txn& txn, const Region& region, const Image& image, const std::string& state) {
  for (const auto& device : catalog::image_devices(txn, region.name, image.id)) {
    if (device.snapshot_id.empty()) continue;
    const auto snapshot = catalog::find_snapshot(txn, region.name, device.snapshot_id);
    if (snapshot && snapshot->state == "completed") {
      if (state == "available") check_not_archived(txn, region, snapshot->id);
      continue;
    }
    throw ApiError("InvalidSnapshot.NotFound", "The snapshot '" + device.snapshot_id + "' of image " + image.id +
                                                   " does not exist. Restore it from the Recycle Bin first.");
  }
}

}  // namespace

bool recycle_image(Txn& txn, Region& region, Image image) {
  if (image.state != "available" && image.state != "disabled") return false;
  if (!put(txn, region, image.id, image.account, images_type, image.state)) return false;
  image.state = "deregistered";
  image.deregistered = region.clock.now();
  catalog::update(txn, image);
  return true;
}

bool recycle_snapshot(Txn& txn, Region& region, Snapshot snapshot) {
  if (snapshot.state != "completed") return false;
  if (!put(txn, region, snapshot.id, snapshot.account, snapshots_type, snapshot.state)) return false;
  snapshot.state = "recoverable";
  catalog::update(txn, snapshot);
  end_fast_restores(txn, region, snapshot.id);
  return true;
}

bool recycle_volume(Txn& txn, Region& region, Volume volume) {
  if (volume.state != "available" && volume.state != "in-use") return false;
  // It comes back as one that nobody has.
  if (!put(txn, region, volume.id, volume.account, volumes_type, "available")) return false;
  volume.state = "recoverable";
  catalog::update(txn, volume);
  txn.execute("DELETE FROM attachment WHERE region = $1 AND volume_id = $2", {region.name, volume.id});
  return true;
}

std::vector<InBin<Image>> images_in_bin(Region& region, const Principal& caller, const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    std::vector<InBin<Image>> found;
    for (const auto& each : asked_for(txn, region, caller, images_type, ids, unknown_image)) {
      auto image = catalog::find_image(txn, region.name, each.resource_id);
      if (image) found.push_back({.row = *std::move(image), .entered = each.entered, .exits = each.exits});
    }
    return found;
  });
}

std::vector<InBin<Snapshot>> snapshots_in_bin(Region& region, const Principal& caller,
                                              const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    std::vector<InBin<Snapshot>> found;
    for (const auto& each :
         asked_for(txn, region, caller, snapshots_type, ids, [](const std::string& id) { unknown_snapshot(id); })) {
      auto snapshot = catalog::find_snapshot(txn, region.name, each.resource_id);
      if (snapshot) found.push_back({.row = *std::move(snapshot), .entered = each.entered, .exits = each.exits});
    }
    return found;
  });
}

std::vector<InBin<Volume>> volumes_in_bin(Region& region, const Principal& caller,
                                          const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    std::vector<InBin<Volume>> found;
    for (const auto& each : asked_for(txn, region, caller, volumes_type, ids, unknown_volume)) {
      auto volume = catalog::find_volume(txn, region.name, each.resource_id);
      if (volume) found.push_back({.row = *std::move(volume), .entered = each.entered, .exits = each.exits});
    }
    return found;
  });
}

void restore_image(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto recycled = find(txn, region, caller, id);
    auto image = catalog::find_image(txn, region.name, id);
    if (!recycled || recycled->resource_type != images_type || !image) {
      unknown_image(id);
      return;
    }
    check_image_name(txn, region, image->account, image->name);
    check_snapshots_of(txn, region, *image, recycled->state);
    image->state = recycled->state;
    image->deregistered.reset();
    catalog::update(txn, *image);
    take_out(txn, region, *recycled);
  });
}

Snapshot restore_snapshot(Region& region, const Principal& caller, const std::string& id) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto recycled = find(txn, region, caller, id);
    auto snapshot = catalog::find_snapshot(txn, region.name, id);
    if (!recycled || recycled->resource_type != snapshots_type || !snapshot) unknown_snapshot(id);
    snapshot->state = recycled->state;
    catalog::update(txn, *snapshot);
    take_out(txn, region, *recycled);
    return *snapshot;
  });
}

void restore_volume(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto recycled = find(txn, region, caller, id);
    auto volume = catalog::find_volume(txn, region.name, id);
    if (!recycled || recycled->resource_type != volumes_type || !volume) {
      unknown_volume(id);
      return;
    }
    volume->state = recycled->state;
    catalog::update(txn, *volume);
    take_out(txn, region, *recycled);
  });
}

void empty_recycle_bin(Region& region) {
  const auto now = region.clock.now();
  const auto due =
      catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::recycled_until(txn, region.name, now); });
  for (const auto& each : due) {
    region.catalog.run_in_txn([&](Txn& txn) {
      // It may have been restored meanwhile.
      const auto recycled = catalog::find_recycled(txn, region.name, each.resource_id);
      if (!recycled || recycled->exits > now) return;
      catalog::remove(txn, *recycled);
      if (recycled->resource_type == images_type) {
        forget_image(txn, region, recycled->resource_id);
      } else if (const auto volume = catalog::find_volume(txn, region.name, recycled->resource_id)) {
        start_delete_volume(txn, region, *volume);
      } else if (const auto snapshot = catalog::find_snapshot(txn, region.name, recycled->resource_id)) {
        delete_snapshot_rows(txn, region, *snapshot);
      }
    });
    base::log_info("control", "{} has left the recycle bin for good", each.resource_id);
    region.jobs.wake();
  }
}

}  // namespace kiln::control
