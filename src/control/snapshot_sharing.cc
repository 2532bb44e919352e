#include "control/snapshot_sharing.h"

#include "base/api_error.h"
#include "base/ids.h"
#include "catalog/kms_keys.h"
#include "catalog/lifecycle.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Snapshot;

void check_shareable(catalog::Txn& txn, const Region& region, const Snapshot& snapshot, const ShareChanges& changes) {
  if (changes.add.empty()) return;
  if (snapshot.state == "error") {
    throw ApiError("IncorrectState", "Snapshot is in invalid state - " + snapshot.state);
  }
  check_not_archived(txn, region, snapshot.id);
  if (is_public(changes.add)) {
    if (snapshot.encrypted) {
      throw ApiError("OperationNotPermitted", "Encrypted snapshots cannot be made public");
    }
    if (catalog::sharing_settings_of(txn, region.name, snapshot.account).snapshot_block != "unblocked") {
      throw ApiError("OperationNotPermitted",
                     "You can't publicly share this snapshot because block public access for snapshots is enabled.");
    }
  }
  if (!snapshot.encrypted) return;
  const auto id = snapshot.kms_key_arn.substr(snapshot.kms_key_arn.rfind('/') + 1);
  const auto key = catalog::find_kms_key(txn, region.name, id);
  if (key && key->manager == "AWS") {
    throw ApiError("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared");
  }
}

}  // namespace

bool may_read_snapshot(catalog::Txn& txn, const Region& region, const std::string& account, const Snapshot& snapshot) {
  if (snapshot.state == "recoverable") return false;
  if (snapshot.account == account) return true;
  // Whom it is shared with has lost it while it is archived.
  return catalog::has_snapshot_permission(txn, region.name, snapshot.id, account) &&
         !is_archived(txn, region, snapshot.id);
}

Snapshot readable_snapshot(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  if (base::is_id("snap", id)) {
    const auto row = catalog::find_snapshot(txn, region.name, id);
    if (row && may_read_snapshot(txn, region, account, *row)) return *row;
  }
  return snapshot_of(txn, region, account, id);  // says what is wrong
}

std::vector<catalog::SnapshotPermission> snapshot_permissions(Region& region, const Principal& caller,
                                                              const std::string& id) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    snapshot_of(txn, region, caller.account, id);
    return catalog::snapshot_permissions(txn, region.name, id);
  });
}

void share_snapshot_rows(catalog::Txn& txn, const Region& region, const Snapshot& snapshot,
                         const ShareChanges& changes) {
  check_shareable(txn, region, snapshot, changes);
  const auto row = [&](const Grantee& grantee) {
    return catalog::SnapshotPermission{
        .region = region.name, .snapshot_id = snapshot.id, .kind = grantee.kind, .value = grantee.value};
  };
  for (const auto& grantee : changes.add) catalog::upsert(txn, row(grantee));
  for (const auto& grantee : changes.remove) catalog::remove(txn, row(grantee));
}

void share_snapshot(Region& region, const Principal& caller, const std::string& id, const ShareChanges& changes) {
  check_snapshot_grantees(changes);
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    share_snapshot_rows(txn, region, snapshot_of(txn, region, caller.account, id), changes);
  });
}

void reset_snapshot_permissions(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    snapshot_of(txn, region, caller.account, id);
    txn.execute("DELETE FROM snapshot_permission WHERE region = $1 AND snapshot_id = $2", {region.name, id});
  });
}

}  // namespace kiln::control
