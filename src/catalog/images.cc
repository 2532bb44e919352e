#include "catalog/images.h"

namespace kiln::catalog {

std::optional<Image> find_image(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Image>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::optional<Image> find_registered_image_named(Txn& txn, const std::string& region, const std::string& account,
                                                 const std::string& name) {
  return select_one<Image>(
      txn, "WHERE region = $1 AND account = $2 AND name = $3 AND state NOT IN ('deregistered', 'failed')",
      {region, account, name});
}

std::vector<Image> images_visible_to(Txn& txn, const std::string& region, const std::string& account,
                                     const std::string& after, std::int64_t most) {
  return select<Image>(txn,
                       "WHERE region = $1 AND id > $3 AND state <> 'deregistered' AND (account = $2 OR id IN "
                       "(SELECT image_id FROM launch_permission WHERE region = $1 AND kind = 'group' AND value = 'all' "
                       "UNION SELECT image_id FROM launch_permission "
                       "WHERE region = $1 AND kind = 'account' AND value = $2 "
                       "UNION SELECT image_id FROM launch_permission WHERE region = $1 AND "
                       "kind IN ('organization', 'organizational-unit') AND "
                       "value IN (SELECT arn FROM account_membership WHERE account = $2))) ORDER BY id LIMIT $4",
                       {region, account, after, most});
}

std::vector<Image> images_using_snapshot(Txn& txn, const std::string& region, const std::string& snapshot_id) {
  return select<Image>(txn,
                       "WHERE region = $1 AND state NOT IN ('deregistered', 'failed') AND id IN "
                       "(SELECT image_id FROM image_device WHERE region = $1 AND snapshot_id = $2) "
                       "ORDER BY created, id",
                       {region, snapshot_id});
}

std::vector<ImageDevice> image_devices(Txn& txn, const std::string& region, const std::string& image_id) {
  return select<ImageDevice>(txn, "WHERE region = $1 AND image_id = $2 ORDER BY position", {region, image_id});
}

std::vector<LaunchPermission> launch_permissions(Txn& txn, const std::string& region, const std::string& image_id) {
  return select<LaunchPermission>(txn, "WHERE region = $1 AND image_id = $2 ORDER BY kind, value", {region, image_id});
}

bool has_launch_permission(Txn& txn, const std::string& region, const std::string& image_id,
                           const std::string& account) {
  return !txn.query(
                 "SELECT 1 FROM launch_permission WHERE region = $1 AND image_id = $2 AND "
                 "((kind = 'group' AND value = 'all') OR (kind = 'account' AND value = $3) OR "
                 "(kind IN ('organization', 'organizational-unit') AND "
                 "value IN (SELECT arn FROM account_membership WHERE account = $3)))",
                 {region, image_id, account})
              .empty();
}

}  // namespace kiln::catalog
