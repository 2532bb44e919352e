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

namespace {

// The ids after $3 of the first $4 images that the permissions p give to $2.
std::string given_by(std::string_view permissions, std::string_view condition) {
  return "SELECT * FROM (SELECT p.image_id FROM " + std::string(permissions) +
         " CROSS JOIN image i WHERE i.region = p.region AND i.id = p.image_id AND i.state <> 'deregistered' AND "
         "p.region = $1 AND p.image_id > $3 AND " +
         std::string(condition) + " ORDER BY p.image_id LIMIT $4)";
}

}  // namespace

// Each way to see an image gives its first ids in order, so that no page walks over the images of others. Cross joins
// are done by SQLite in the order in which they are written: from the account's few rows to the images.
std::vector<Image> images_visible_to(Txn& txn, const std::string& region, const std::string& account,
                                     const std::string& after, std::int64_t most) {
  static const std::string visible =
      "WHERE region = $1 AND id IN "
      "(SELECT * FROM (SELECT id FROM image WHERE region = $1 AND account = $2 AND id > $3 AND state <> 'deregistered' "
      "ORDER BY id LIMIT $4) UNION " +
      given_by("launch_permission p", "p.kind = 'group' AND p.value = 'all'") + " UNION " +
      given_by("launch_permission p", "p.kind = 'account' AND p.value = $2") + " UNION " +
      given_by("account_membership m CROSS JOIN launch_permission p",
               "m.account = $2 AND p.value = m.arn AND p.kind IN ('organization', 'organizational-unit')") +
      ") ORDER BY id LIMIT $4";
  return select<Image>(txn, visible, {region, account, after, most});
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
