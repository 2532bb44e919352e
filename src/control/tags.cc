#include "control/tags.h"

#include <array>
#include <utility>

#include "base/api_error.h"
#include "base/ids.h"
#include "catalog/images.h"
#include "catalog/volumes.h"
#include "control/snapshot_sharing.h"

namespace kiln::control {
namespace {

using base::ApiError;

struct Kind {
  std::string_view prefix;  // of ids
  std::string_view type;    // as DescribeTags writes it
  std::string_view table;
  std::string_view not_found;  // error code
  std::string_view words;      // "The image id '[ami-1]' does not exist"
};

constexpr std::array kinds{
    Kind{"ami", "image", "image", "InvalidAMIID.NotFound", "image id"},
    Kind{"snap", "snapshot", "snapshot", "InvalidSnapshot.NotFound", "snapshot"},
    Kind{"vol", "volume", "volume", "InvalidVolume.NotFound", "volume"},
    Kind{"i", "instance", "instance", "InvalidInstanceID.NotFound", "instance ID"},
    Kind{"key", "key-pair", "key_pair", "InvalidKeyPair.NotFound", "key pair"},
    Kind{"sg", "security-group", "security_group", "InvalidGroup.NotFound", "security group"},
    Kind{"vpc", "vpc", "vpc", "InvalidVpcID.NotFound", "vpc ID"},
    Kind{"subnet", "subnet", "subnet", "InvalidSubnetID.NotFound", "subnet ID"},
    Kind{"lt", "launch-template", "launch_template", "InvalidLaunchTemplateId.NotFound", "launch template ID"},
    Kind{"amiur", "image-usage-report", "usage_report", "InvalidParameterValue", "image usage report"},
};

const Kind* kind_of(const std::string& resource_id) {
  for (const Kind& kind : kinds) {
    if (base::is_id(kind.prefix, resource_id)) return &kind;
  }
  return nullptr;
}

void check_tags(const std::map<std::string, std::string>& tags) {
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > 127) {
      throw ApiError("InvalidParameterValue",
                     "Tag key exceeds the maximum length of 127 characters or is empty: '" + key + "'");
    }
    if (value.size() > 255) {
      throw ApiError("InvalidParameterValue",
                     "Tag value exceeds the maximum length of 255 characters: '" + value + "'");
    }
    if (key.starts_with("aws:")) {
      throw ApiError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use");
    }
  }
}

// Own resources, and images and snapshots that others share: AWS lets an account label what it can see. One that was
// deregistered, or is in the recycle bin, has a row and is not there.
bool is_visible(catalog::Txn& txn, const Region& region, const std::string& account, const Kind& kind,
                const std::string& id) {
  if (kind.type == "image") {
    const auto image = catalog::find_image(txn, region.name, id);
    if (!image || image->state == "deregistered") return false;
    return image->account == account || catalog::has_launch_permission(txn, region.name, id, account);
  }
  if (kind.type == "snapshot") {
    const auto snapshot = catalog::find_snapshot(txn, region.name, id);
    return snapshot && may_read_snapshot(txn, region, account, *snapshot);
  }
  if (kind.type == "volume") {
    const auto volume = catalog::find_volume(txn, region.name, id);
    return volume && volume->account == account && volume->state != "recoverable";
  }
  return !txn.query("SELECT 1 FROM " + std::string(kind.table) + " WHERE region = $1 AND id = $2 AND account = $3",
                    {region.name, id, account})
              .empty();
}

const Kind& checked_kind(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  const Kind* const kind = kind_of(id);
  if (kind == nullptr) throw ApiError("InvalidID", "The ID '" + id + "' is not valid");
  if (!is_visible(txn, region, account, *kind, id)) {
    const std::string shown = kind->type == "image" ? "[" + id + "]" : id;
    throw ApiError(std::string(kind->not_found), "The " + std::string(kind->words) + " '" + shown + "' does not exist");
  }
  return *kind;
}

}  // namespace

std::string resource_type(const std::string& resource_id) {
  const Kind* const kind = kind_of(resource_id);
  return kind == nullptr ? std::string() : std::string(kind->type);
}

void add_reserved_tags(catalog::Txn& txn, const Region& region, const std::string& account,
                       const std::string& resource_id, const std::map<std::string, std::string>& tags) {
  std::vector<catalog::Tag> rows;
  for (const auto& [key, value] : tags) {
    rows.push_back({.region = region.name,
                    .account = account,
                    .resource_id = resource_id,
                    .key = key,
                    .resource_type = resource_type(resource_id),
                    .value = value});
  }
  catalog::set_tags(txn, rows);
}

void add_tags(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& resource_id,
              const std::map<std::string, std::string>& tags) {
  check_tags(tags);
  add_reserved_tags(txn, region, account, resource_id, tags);
  if (tags_of(txn, region, account, resource_id).size() > 50) {
    throw ApiError("TagLimitExceeded", "The maximum number of tags on resource " + resource_id + " is 50");
  }
}

void create_tags(Region& region, const std::string& account, const std::vector<std::string>& resource_ids,
                 const std::map<std::string, std::string>& tags) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    for (const auto& id : resource_ids) {
      checked_kind(txn, region, account, id);
      add_tags(txn, region, account, id, tags);
    }
  });
}

void delete_tags(Region& region, const std::string& account, const std::vector<std::string>& resource_ids,
                 const std::vector<TagToDelete>& tags) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    for (const auto& id : resource_ids) {
      checked_kind(txn, region, account, id);
      if (tags.empty()) catalog::remove_tags_of(txn, region.name, account, id);
      for (const auto& tag : tags) catalog::remove_tag(txn, region.name, account, id, tag.key, tag.value);
    }
  });
}

void remove_all_tags(catalog::Txn& txn, const Region& region, const std::string& resource_id) {
  catalog::forget_tags(txn, region.name, resource_id);
}

std::vector<catalog::Tag> all_tags(catalog::Txn& txn, const Region& region, const std::string& account) {
  return catalog::tags_of(txn, region.name, account);
}

std::vector<catalog::Tag> tags_of(catalog::Txn& txn, const Region& region, const std::string& account,
                                  const std::string& resource_id) {
  return catalog::tags_of(txn, region.name, account, {resource_id});
}

}  // namespace kiln::control
