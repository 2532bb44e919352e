#include "catalog/snapshots.h"

namespace kiln::catalog {

std::optional<Snapshot> find_snapshot(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Snapshot>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Snapshot> snapshots_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<Snapshot>(txn, "WHERE region = $1 AND account = $2 ORDER BY started, id", {region, account});
}

std::vector<Snapshot> snapshots_of_volume(Txn& txn, const std::string& region, const std::string& volume_id) {
  return select<Snapshot>(txn, "WHERE region = $1 AND volume_id = $2 ORDER BY started, id", {region, volume_id});
}

std::vector<Snapshot> snapshots_of_image(Txn& txn, const std::string& region, const std::string& image_id) {
  return select<Snapshot>(txn,
                          "JOIN (SELECT snapshot_id, MIN(position) AS position FROM image_device "
                          "WHERE region = $1 AND image_id = $2 GROUP BY snapshot_id) AS device "
                          "ON device.snapshot_id = snapshot.id WHERE snapshot.region = $1 ORDER BY device.position",
                          {region, image_id});
}

std::optional<Snapshot> newest_snapshot_of_volume(Txn& txn, const std::string& region, const std::string& volume_id) {
  return select_one<Snapshot>(
      txn, "WHERE region = $1 AND volume_id = $2 AND state = 'completed' ORDER BY started DESC, id DESC LIMIT 1",
      {region, volume_id});
}

std::optional<StartedSnapshot> find_started_snapshot(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<StartedSnapshot>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<StartedSnapshot> started_snapshots(Txn& txn, const std::string& region) {
  return select<StartedSnapshot>(txn, "WHERE region = $1 ORDER BY id", {region});
}

}  // namespace kiln::catalog
