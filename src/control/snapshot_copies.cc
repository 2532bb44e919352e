#include "control/snapshot_copies.h"

#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "blocks/usage.h"
#include "catalog/blocks.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;

// The row of a source that has just been completed may not know it yet. Reads the source's tree, so it is asked before
// the transaction, which all writers of the catalog wait for.
base::Result<std::uint64_t> full_bytes_of(Region& region, const Principal& caller, const std::string& source_id) {
  catalog::Snapshot source;
  blocks::DiskId disk;
  region.catalog.read([&](catalog::Txn& txn) {
    source = snapshot_of(txn, region, caller.account, source_id);
    disk = snapshot_disk(txn, region, source);
  });
  if (source.full_bytes > 0 || disk.root.is_null()) return static_cast<std::uint64_t>(source.full_bytes);
  return blocks::data_bytes(region.store, disk);
}

}  // namespace

SnapshotDetails copy_snapshot(Region& region, const Principal& caller, const NewSnapshotCopy& what) {
  if (what.source_region != region.name) {
    throw ApiError("UnsupportedOperation", "Snapshots are copied within one region only: '" + what.source_region +
                                               "' is not '" + region.name + "'.");
  }
  if (what.description.size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  const auto full_bytes = full_bytes_of(region, caller, what.source_snapshot_id);
  const auto id = base::new_id("snap");
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto source = snapshot_of(txn, region, caller.account, what.source_snapshot_id);
    const auto disk = snapshot_disk(txn, region, source);
    if (!full_bytes) throw std::runtime_error("counting " + source.id + ": " + full_bytes.error().message());
    SnapshotDetails copy;
    copy.snapshot = source;
    copy.snapshot.id = id;
    copy.snapshot.volume_id = "vol-ffffffff";
    copy.snapshot.parent_snapshot_id.clear();
    copy.snapshot.image_id.clear();
    copy.snapshot.description =
        what.description.empty() ? "[Copied " + source.id + " from " + what.source_region + "]" : what.description;
    copy.snapshot.full_bytes = static_cast<std::int64_t>(*full_bytes);
    copy.snapshot.progress = "100%";
    copy.snapshot.started = region.clock.now();
    copy.snapshot.completed = copy.snapshot.started;
    catalog::insert(txn, copy.snapshot);
    catalog::insert(txn, catalog::Root{.region = region.name,
                                       .kind = "snapshot",
                                       .owner = id,
                                       .digest = disk.root.hex(),
                                       .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
    add_tags(txn, region, caller.account, id, what.tags);
    copy.tags = tags_of(txn, region, caller.account, id);
    return copy;
  });
}

}  // namespace kiln::control
