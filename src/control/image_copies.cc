#include "control/image_copies.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "catalog/boot_touches.h"
#include "control/image_lifecycle.h"
#include "control/images.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_sharing.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;

struct SnapshotToCopy {
  SourceSnapshot source;
  std::string id;               // of the copy
  std::int64_t full_bytes = 0;  // of one in this region
  std::string key_arn = {};     // that the copy is encrypted by; empty: not
};
using Snapshots = std::map<std::string, SnapshotToCopy>;  // by the source's id

// Clients look for code and text; what follows it is for people.
[[noreturn]] void refuse_storage(const std::string& snapshot_id) {
  throw ApiError("InvalidRequest",
                 "You do not have permission to access the storage of this ami: its snapshot " + snapshot_id +
                     " is not shared with your account. Its owner can share it (ModifySnapshotAttribute, kiln share).");
}

SourceImage describe(SourceRegion& source, const std::string& image_id) {
  try {
    auto found = source.image(image_id);
    if (found.image.state == "available") return found;
    throw ApiError("InvalidAMIID.Unavailable",
                   "AMI '" + image_id + "' is " + found.image.state + ", and cannot be copied");
  } catch (const SourceFailure& failure) {
    refuse_unreachable(failure);
  }
}

// Of an image that the caller may see, so one that is not found is another account's.
SourceSnapshot readable(SourceRegion& source, const std::string& snapshot_id) {
  try {
    return describe_source(source, snapshot_id);
  } catch (const ApiError& error) {
    if (error.code() == "InvalidSnapshot.NotFound") refuse_storage(snapshot_id);
    throw;
  }
}

Snapshots snapshots_of(SourceRegion& source, const SourceImage& image) {
  Snapshots found;
  for (const auto& device : image.devices) {
    if (device.snapshot_id.empty() || found.contains(device.snapshot_id)) continue;
    found.emplace(device.snapshot_id,
                  SnapshotToCopy{.source = readable(source, device.snapshot_id), .id = base::new_id("snap")});
  }
  return found;
}

Image image_row(const Region& region, const Principal& caller, const NewImageCopy& what, const Image& source,
                const std::string& id) {
  Image row = source;
  row.region = region.name;
  row.id = id;
  row.account = caller.account;
  row.name = what.name;
  row.description = what.description;
  row.state = "available";  // unless it has to wait for a snapshot
  row.state_reason_code.clear();
  row.state_reason_message.clear();
  row.location = caller.account + "/" + what.name;
  row.source_image_id = source.id;
  row.source_image_region = what.source_region;
  row.source_instance_id.clear();
  row.deregistered.reset();
  row.last_launched.reset();
  clear_lifecycle(row);
  row.created = region.clock.now();
  return row;
}

// What each copy is encrypted by. A copy in the same region keeps the key of its source, unless it is told another one.
void choose_keys(catalog::Txn& txn, Region& region, const Principal& caller, const NewImageCopy& what,
                 Snapshots& snapshots) {
  for (auto& [source_id, copied] : snapshots) {
    if (takes_encryption_away(what.encryption, copied.source.encrypted)) refuse_taking_encryption_away(source_id);
    EncryptionChoice choice{.account = caller.account,
                            .wish = what.encryption,
                            .source_encrypted = copied.source.encrypted,
                            .source_key = {}};
    if (what.source_region == region.name) {
      choice = choice_from(readable_snapshot(txn, region, caller.account, source_id), caller.account, what.encryption);
    }
    // Encrypted is asked for: by the default key, whatever the source has.
    if (what.encryption.encrypted.value_or(false)) choice.without_key = KeyOfSource::take_default;
    copied.key_arn = choose_key(txn, region, choice);
  }
}

std::map<std::string, std::string> image_tags(const NewImageCopy& what, const SourceImage& source) {
  auto tags = what.image_tags;
  if (what.copy_tags == CopyImageTags::no) return tags;
  for (const auto& [key, value] : source.tags) {
    if (!key.starts_with("aws:")) tags.emplace(key, value);
  }
  return tags;
}

// What the first launches read is by place on a disk that is the same.
void copy_boot_trace(catalog::Txn& txn, Region& region, const NewImageCopy& what, const std::string& id) {
  for (auto& touches : catalog::boot_touches_of(txn, what.source_region, what.source_image_id)) {
    touches.region = region.name;
    touches.image_id = id;
    catalog::insert(txn, touches);
  }
}

void add_snapshots(catalog::Txn& txn, Region& region, const Principal& caller, const NewImageCopy& what,
                   const Image& image, const Snapshots& snapshots) {
  for (const auto& [source_id, copied] : snapshots) {
    const PendingCopy copy{.source_region = what.source_region,
                           .source = copied.source,
                           .id = copied.id,
                           .description = "Copied for DestinationAmi " + image.id + " from SourceAmi " +
                                          what.source_image_id + " for SourceSnapshot " + source_id + ".",
                           .image_id = image.id,
                           .key_arn = copied.key_arn};
    if (what.source_region == region.name) {
      add_local_copy(txn, region, caller, readable_snapshot(txn, region, caller.account, source_id), copy,
                     copied.full_bytes);
    } else {
      add_pending_copy(txn, region, caller, copy);
    }
    add_tags(txn, region, caller.account, copied.id, what.snapshot_tags);
  }
}

}  // namespace

Image copy_image(Region& region, const Principal& caller, const NewImageCopy& what) {
  if (what.name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter Name");
  if (what.description.size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  // Before the source is asked, and again when the row is written.
  catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    check_image_name(txn, region, caller.account, what.name);
    return true;
  });
  const auto source = open_source(region, what.source_region, caller);
  const auto original = describe(*source, what.source_image_id);
  auto snapshots = snapshots_of(*source, original);
  if (what.source_region == region.name) {
    for (auto& [id, copied] : snapshots) copied.full_bytes = full_bytes_of(region, caller, id);
  }
  auto image = image_row(region, caller, what, original.image, base::new_id("ami"));
  const auto in_txn = [&](catalog::Txn& txn) {
    check_image_name(txn, region, caller.account, what.name);
    choose_keys(txn, region, caller, what, snapshots);
    const bool waits = std::ranges::any_of(
        snapshots, [&](const auto& each) { return what.source_region != region.name || !each.second.key_arn.empty(); });
    image.state = waits ? "pending" : "available";
    catalog::insert(txn, image);
    for (auto device : original.devices) {
      device.region = region.name;
      device.image_id = image.id;
      if (!device.snapshot_id.empty()) {
        const auto& copied = snapshots.at(device.snapshot_id);
        device.encrypted = !copied.key_arn.empty();
        device.snapshot_id = copied.id;
      }
      catalog::insert(txn, device);
    }
    add_snapshots(txn, region, caller, what, image, snapshots);
    add_tags(txn, region, caller.account, image.id, image_tags(what, original));
    if (region.regions->find(what.source_region) != nullptr) copy_boot_trace(txn, region, what, image.id);
    if (what.client_token) {
      auto token = *what.client_token;
      token.result = image.id;
      catalog::remember_client_token(txn, token);
    }
    return true;
  };
  with_ebs_key(region, caller.account, [&] { return catalog::in_txn(region.catalog, in_txn); });
  region.jobs.wake();
  return image;
}

}  // namespace kiln::control
