// What the owner of an image changes of it afterwards: its description, what its launches get, whom it is shared with.

#include "base/api_error.h"
#include "catalog/kms_keys.h"
#include "catalog/lifecycle.h"
#include "catalog/snapshots.h"
#include "control/image_lifecycle.h"
#include "control/images.h"
#include "control/snapshot_sharing.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;

// AWS managed keys are of their account alone, and nobody shares a key with the world.
void check_snapshots(catalog::Txn& txn, const Region& region, const std::string& image_id, const ShareChanges& shares) {
  for (const auto& snapshot : catalog::snapshots_of_image(txn, region.name, image_id)) {
    if (!snapshot.encrypted) continue;
    if (is_public(shares.add)) {
      throw ApiError("InvalidParameter", "Image " + image_id + " has encrypted snapshots and cannot be made public.");
    }
    const auto id = snapshot.kms_key_arn.substr(snapshot.kms_key_arn.rfind('/') + 1);
    const auto key = catalog::find_kms_key(txn, region.name, id);
    if (key && key->manager == "AWS") {
      throw ApiError("InvalidParameter",
                     "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot.");
    }
  }
}

void check_shareable(catalog::Txn& txn, const Region& region, const Image& image, const ShareChanges& shares) {
  if (shares.add.empty()) return;
  if (image.state == "disabled" || image.state == "failed") {
    throw ApiError("InvalidAMIID.Unavailable",
                   "The image ID '" + image.id + "' is " + image.state + ", and cannot be shared");
  }
  if (is_public(shares.add) &&
      catalog::sharing_settings_of(txn, region.name, image.account).image_block != "unblocked") {
    throw ApiError("OperationNotPermitted",
                   "You can't publicly share this image because block public access for new images is enabled.");
  }
  check_snapshots(txn, region, image.id, shares);
}

void share_rows(catalog::Txn& txn, const Region& region, const Image& image, const ShareChanges& shares) {
  check_shareable(txn, region, image, shares);
  const auto row = [&](const Grantee& grantee) {
    return catalog::LaunchPermission{
        .region = region.name, .image_id = image.id, .kind = grantee.kind, .value = grantee.value};
  };
  for (const auto& grantee : shares.add) catalog::upsert(txn, row(grantee));
  for (const auto& grantee : shares.remove) catalog::remove(txn, row(grantee));
}

void remove_permissions(catalog::Txn& txn, const Region& region, const std::string& image_id) {
  txn.execute("DELETE FROM launch_permission WHERE region = $1 AND image_id = $2", {region.name, image_id});
}

}  // namespace

std::vector<catalog::LaunchPermission> image_permissions(Region& region, const Principal& caller,
                                                         const std::string& id) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    own_image(txn, region, caller, id);
    return catalog::launch_permissions(txn, region.name, id);
  });
}

void change_image(Region& region, const Principal& caller, const std::string& id, const ImageChanges& changes) {
  check_image_grantees(changes.shares);
  if (changes.description && changes.description->size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  if (changes.imds_support && *changes.imds_support != "v2.0") {
    throw ApiError("InvalidParameterValue",
                   "Value (" + *changes.imds_support + ") for parameter imdsSupport is invalid. Expected: 'v2.0'.");
  }
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    auto image = own_image(txn, region, caller, id);
    if (is_public(changes.shares.add)) limit_deprecation_of_public(image);
    if (changes.description) image.description = *changes.description;
    if (changes.imds_support) image.imds_support = *changes.imds_support;
    catalog::update(txn, image);
    share_rows(txn, region, image, changes.shares);
  });
}

SharedStorage share_image_with_storage(Region& region, const std::string& id, const std::string& account) {
  const ShareChanges shares{.add = {{"account", account}}};
  check_image_grantees(shares);
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto image = catalog::find_image(txn, region.name, id);
    const Principal owner{.account = image ? image->account : "", .arn = {}, .user_id = {}, .access_key = {}};
    share_rows(txn, region, own_image(txn, region, owner, id), shares);
    SharedStorage storage;
    for (const auto& snapshot : catalog::snapshots_of_image(txn, region.name, id)) {
      const bool own = snapshot.account == owner.account;
      if (own) share_snapshot_rows(txn, region, snapshot, shares);
      (own ? storage.shared : storage.of_others).push_back(snapshot.id);
      if (snapshot.encrypted) storage.keys.push_back(snapshot.kms_key_arn);
    }
    return storage;
  });
}

void reset_image_permissions(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    own_image(txn, region, caller, id);
    remove_permissions(txn, region, id);
  });
}

void cancel_image_permission(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    visible_image(txn, region, caller, id);
    const catalog::LaunchPermission own{
        .region = region.name, .image_id = id, .kind = "account", .value = caller.account};
    if (catalog::remove(txn, own)) return;
    throw ApiError("InvalidRequest", "The image " + id + " is not shared with account " + caller.account +
                                         " itself: what is public, or shared with an organization, cannot be given "
                                         "back.");
  });
}

}  // namespace kiln::control
