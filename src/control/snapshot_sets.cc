#include "control/snapshot_sets.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "catalog/instances.h"
#include "catalog/volumes.h"
#include "control/cuts.h"
#include "control/instances.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;

constexpr std::size_t longest_description = 255, most_excluded = 40;

std::vector<std::string> chosen_volumes(catalog::Txn& txn, const Region& region, const catalog::Instance& instance,
                                        const NewSnapshotSet& what) {
  std::vector<std::string> chosen, data;
  for (const auto& attachment : catalog::attachments_of_instance(txn, region.name, instance.id)) {
    const bool is_boot = attachment.device_name == instance.root_device_name;
    const auto& excluded = what.exclude_data_volume_ids;
    if (!is_boot) data.push_back(attachment.volume_id);
    if (is_boot ? what.exclude_boot_volume : std::ranges::count(excluded, attachment.volume_id) > 0) continue;
    chosen.push_back(attachment.volume_id);
  }
  for (const auto& id : what.exclude_data_volume_ids) {
    if (std::ranges::count(data, id) > 0) continue;
    throw ApiError("InvalidParameterValue",
                   "The volume '" + id + "' is not a data volume of instance '" + instance.id + "'.");
  }
  if (chosen.empty()) {
    throw ApiError("InvalidParameterCombination", "All volumes of instance '" + instance.id + "' are excluded.");
  }
  return chosen;
}

std::map<std::string, std::string> tags_for(catalog::Txn& txn, const Region& region, const Principal& caller,
                                            const std::string& volume_id, const NewSnapshotSet& what) {
  auto tags = what.tags;
  if (what.copy_tags == CopyTags::no) return tags;
  for (const auto& tag : tags_of(txn, region, caller.account, volume_id)) tags.emplace(tag.key, tag.value);
  return tags;
}

SnapshotDetails add_member(catalog::Txn& txn, Region& region, const Principal& caller, const NewSnapshotSet& what,
                           const std::string& volume_id, base::Micros started) {
  SnapshotDetails made;
  made.snapshot = add_snapshot(txn, region, base::new_id("snap"), volume_id, what.description);
  made.snapshot.started = started;
  catalog::update(txn, made.snapshot);
  add_tags(txn, region, caller.account, made.snapshot.id, tags_for(txn, region, caller, volume_id, what));
  made.tags = tags_of(txn, region, caller.account, made.snapshot.id);
  return made;
}

}  // namespace

std::vector<SnapshotDetails> create_snapshots(Region& region, const Principal& caller, const NewSnapshotSet& what) {
  if (what.description.size() > longest_description) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  if (what.exclude_data_volume_ids.size() > most_excluded) {
    throw ApiError("InvalidParameterValue", "At most 40 data volumes can be excluded.");
  }
  auto made = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    std::vector<SnapshotDetails> members;
    const auto started = region.clock.now();
    const auto instance = instance_of(txn, region, caller, what.instance_id);
    for (const auto& volume_id : chosen_volumes(txn, region, instance, what)) {
      members.push_back(add_member(txn, region, caller, what, volume_id, started));
    }
    std::string set;
    for (const auto& member : members) set += (set.empty() ? "" : ",") + member.snapshot.id;
    for (const auto& member : members) {
      region.jobs.start(txn, {.region = region.name,
                              .kind = "create-snapshot",
                              .subject = member.snapshot.volume_id,
                              .arguments = {{"snapshot", member.snapshot.id}, {"set", set}}});
    }
    return members;
  });
  std::vector<catalog::Snapshot> snapshots;
  snapshots.reserve(made.size());
  for (const auto& member : made) snapshots.push_back(member.snapshot);
  cut_for_request(region, snapshots);
  region.jobs.wake();
  return made;
}

}  // namespace kiln::control
