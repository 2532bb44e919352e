// Seeing images, sharing them, deregistering them. How they come to be: image_registration.cc, image_of_instance.cc.

#include "control/images.h"

#include <algorithm>
#include <set>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "catalog/boot_touches.h"
#include "catalog/instances.h"
#include "catalog/kms_keys.h"
#include "catalog/snapshots.h"
#include "control/snapshots.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;

bool is_account(const std::string& text) {
  return text.size() == 12 && text.find_first_not_of("0123456789") == std::string::npos;
}

void check_id(const std::string& id) {
  if (!base::is_id("ami", id)) {
    throw ApiError("InvalidAMIID.Malformed", "Invalid id: \"" + id + "\" (expecting \"ami-...\")");
  }
}

[[noreturn]] void not_found(const std::vector<std::string>& ids) {
  std::string list;
  for (const auto& id : ids) list += (list.empty() ? "" : ", ") + id;
  throw ApiError("InvalidAMIID.NotFound", ids.size() == 1 ? "The image id '[" + list + "]' does not exist"
                                                          : "The image ids '[" + list + "]' do not exist");
}

[[noreturn]] void unavailable(const std::string& id) {
  throw ApiError("InvalidAMIID.Unavailable", "The image ID '" + id + "' is no longer available");
}

bool may_see(catalog::Txn& txn, const Region& region, const Image& image, const Principal& caller) {
  return image.account == caller.account || catalog::has_launch_permission(txn, region.name, image.id, caller.account);
}

// Images of the query's ids. A deregistered one is left out while instances of it live, and unknown afterwards.
std::vector<Image> by_ids(catalog::Txn& txn, Region& region, const Principal& caller,
                          const std::vector<std::string>& ids) {
  std::vector<Image> found;
  std::vector<std::string> missing;
  for (const auto& id : ids) check_id(id);
  for (const auto& id : std::set<std::string>(ids.begin(), ids.end())) {
    auto image = catalog::find_image(txn, region.name, id);
    if (!image || !may_see(txn, region, *image, caller)) {
      missing.push_back(id);
    } else if (image->state == "deregistered") {
      if (catalog::instances_of_image(txn, region.name, id).empty()) missing.push_back(id);
    } else {
      found.push_back(std::move(*image));
    }
  }
  if (!missing.empty()) not_found(missing);
  return found;
}

bool matches_owner(const Image& image, const std::vector<std::string>& owners, const Principal& caller) {
  return owners.empty() || std::any_of(owners.begin(), owners.end(), [&](const std::string& owner) {
           return (owner == "self" ? caller.account : owner) == image.account;
         });
}

bool matches_user(const std::vector<catalog::LaunchPermission>& permissions, const std::vector<std::string>& users,
                  const Principal& caller) {
  return users.empty() || std::any_of(users.begin(), users.end(), [&](const std::string& user) {
           const auto& wanted = user == "self" ? caller.account : user;
           return std::any_of(permissions.begin(), permissions.end(), [&](const auto& p) { return p.value == wanted; });
         });
}

void check_query(const ImageQuery& query) {
  constexpr std::string_view aliases[] = {"self", "amazon", "aws-marketplace", "aws-backup-vault"};
  for (const auto& owner : query.owners) {
    if (!is_account(owner) && std::find(std::begin(aliases), std::end(aliases), owner) == std::end(aliases)) {
      throw ApiError("InvalidUserID.Malformed", "Invalid user id: \"" + owner + "\"");
    }
  }
  for (const auto& user : query.executable_users) {
    if (!is_account(user) && user != "self" && user != "all") {
      throw ApiError("InvalidUserID.Malformed", "Invalid user id: \"" + user + "\"");
    }
  }
}

DeletedSnapshot delete_with_image(catalog::Txn& txn, Region& region, const Principal& caller, const std::string& id) {
  const auto snapshot = catalog::find_snapshot(txn, region.name, id);
  if (!snapshot) return {id, "client-error"};
  if (snapshot->account != caller.account) return {id, "missing-permissions"};
  if (!catalog::images_using_snapshot(txn, region.name, id).empty()) return {id, "skipped"};
  delete_snapshot_rows(txn, region, *snapshot);
  return {id, "success"};
}

void check_permission_items(const ImageChanges& changes) {
  for (const auto* list : {&changes.add_accounts, &changes.remove_accounts}) {
    for (const auto& account : *list) {
      if (!is_account(account)) {
        throw ApiError("InvalidAMIAttributeItemValue",
                       "Invalid attribute item value \"" + account + "\" for userId item type.");
      }
    }
  }
  for (const auto* list : {&changes.add_groups, &changes.remove_groups}) {
    for (const auto& group : *list) {
      if (group != "all") {
        throw ApiError("InvalidAMIAttributeItemValue",
                       "Invalid attribute item value \"" + group + "\" for group item type.");
      }
    }
  }
}

// AWS managed keys are of their account alone, and nobody shares a key with the world.
void check_shareable(catalog::Txn& txn, const Region& region, const std::string& image_id,
                     const ImageChanges& changes) {
  if (changes.add_accounts.empty() && changes.add_groups.empty()) return;
  for (const auto& snapshot : catalog::snapshots_of_image(txn, region.name, image_id)) {
    if (!snapshot.encrypted) continue;
    if (!changes.add_groups.empty()) {
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

}  // namespace

Image visible_image(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  check_id(id);
  const auto image = catalog::find_image(txn, region.name, id);
  if (!image || !may_see(txn, region, *image, caller)) not_found({id});
  if (image->state == "deregistered") unavailable(id);
  return *image;
}

Image own_image(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  auto image = visible_image(txn, region, caller, id);
  if (image.account != caller.account) throw ApiError("AuthFailure", "Not authorized for image:" + id);
  return image;
}

Image image_for_launch(catalog::Txn& txn, Region& region, const Principal& caller, const std::string& image_id) {
  check_id(image_id);
  const auto image = catalog::find_image(txn, region.name, image_id);
  if (!image) not_found({image_id});
  const bool permitted = may_see(txn, region, *image, caller);
  if (image->state == "deregistered" && !permitted) not_found({image_id});
  if (image->state == "deregistered") unavailable(image_id);
  if (!permitted) throw ApiError("AuthFailure", "Not authorized for images: [" + image_id + "]");
  if (image->state != "available") {
    throw ApiError("InvalidAMIID.Unavailable", "AMI '" + image_id + "' is " + image->state + ", and cannot be run");
  }
  return *image;
}

std::vector<ImageDetails> describe_images(Region& region, const Principal& caller, const ImageQuery& query) {
  check_query(query);
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    auto images = query.ids.empty() ? catalog::images_visible_to(txn, region.name, caller.account)
                                    : by_ids(txn, region, caller, query.ids);
    std::map<std::string, std::vector<catalog::LaunchPermission>> permissions;
    for (auto& row : catalog::select<catalog::LaunchPermission>(txn, "WHERE region = $1", {region.name})) {
      permissions[row.image_id].push_back(std::move(row));
    }
    std::erase_if(images, [&](const Image& image) {
      return !matches_owner(image, query.owners, caller) ||
             !matches_user(permissions[image.id], query.executable_users, caller) ||
             (image.state == "disabled" && !query.include_disabled && query.ids.empty());
    });
    std::map<std::string, std::vector<catalog::ImageDevice>> devices;
    for (auto& row :
         catalog::select<catalog::ImageDevice>(txn, "WHERE region = $1 ORDER BY image_id, position", {region.name})) {
      devices[row.image_id].push_back(std::move(row));
    }
    std::map<std::string, std::vector<catalog::Tag>> tags;
    for (auto& tag : all_tags(txn, region, caller.account)) tags[tag.resource_id].push_back(std::move(tag));
    std::vector<ImageDetails> details;
    for (auto& image : images) {
      auto& entry = details.emplace_back();
      const auto& shared = permissions[image.id];
      entry.is_public = std::any_of(shared.begin(), shared.end(), [](const auto& p) { return p.kind == "group"; });
      entry.devices = std::move(devices[image.id]);
      entry.tags = std::move(tags[image.id]);
      entry.image = std::move(image);
    }
    return details;
  });
}

std::vector<DeletedSnapshot> deregister_image(Region& region, const Principal& caller, const std::string& image_id,
                                              WithSnapshots with_snapshots) {
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    auto image = own_image(txn, region, caller, image_id);
    image.state = "deregistered";
    image.deregistered = region.clock.now();
    catalog::update(txn, image);
    txn.execute("DELETE FROM launch_permission WHERE region = $1 AND image_id = $2", {region.name, image_id});
    catalog::forget_boot_touches(txn, region.name, image_id);
    remove_all_tags(txn, region, image_id);
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

std::vector<catalog::LaunchPermission> image_permissions(Region& region, const Principal& caller,
                                                         const std::string& id) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    own_image(txn, region, caller, id);
    return catalog::launch_permissions(txn, region.name, id);
  });
}

void change_image(Region& region, const Principal& caller, const std::string& id, const ImageChanges& changes) {
  check_permission_items(changes);
  if (changes.description && changes.description->size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  if (changes.imds_support && *changes.imds_support != "v2.0") {
    throw ApiError("InvalidParameterValue",
                   "Value (" + *changes.imds_support + ") for parameter imdsSupport is invalid. Expected: 'v2.0'.");
  }
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    auto image = own_image(txn, region, caller, id);
    if (changes.description) image.description = *changes.description;
    if (changes.imds_support) image.imds_support = *changes.imds_support;
    catalog::update(txn, image);
    const auto row = [&](const std::string& kind, const std::string& value) {
      return catalog::LaunchPermission{.region = region.name, .image_id = id, .kind = kind, .value = value};
    };
    check_shareable(txn, region, id, changes);
    for (const auto& account : changes.add_accounts) catalog::upsert(txn, row("account", account));
    for (const auto& group : changes.add_groups) catalog::upsert(txn, row("group", group));
    for (const auto& account : changes.remove_accounts) catalog::remove(txn, row("account", account));
    for (const auto& group : changes.remove_groups) catalog::remove(txn, row("group", group));
  });
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
