#pragma once
// Images: registering, imaging instances, seeing, sharing, deregistering.
//
// Request functions run on request threads, are one catalog transaction each (describe_images one for each batch), and
// throw ApiError with AWS's codes. The image that create_image returns can be described at once, as pending.
//
//   create-image   guest off -> all volumes cut at one point, uploads started -> guest on     subject: the instance
//                  (undone: cuts given up, guest on, image failed, snapshots error)
// Its uploads are create-snapshot jobs (snapshots.h); the commit of the last one makes the image available.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/tags.h"
#include "control/region.h"
#include "control/sharing.h"
#include "jobs/jobs.h"

namespace kiln::control {

// One entry of a block device mapping as a caller gives it.
struct ImageDeviceRequest {
  std::string device_name;
  bool no_device = false;
  std::string virtual_name = {};
  bool has_ebs = false;
  std::string snapshot_id = {};
  std::optional<std::int64_t> size_gib = {};
  std::string volume_type = {};
  std::optional<bool> delete_on_termination = {}, encrypted = {};
  std::optional<int> iops = {}, throughput = {};
};

struct NewImage {
  std::string name, description = {};
  std::string architecture = {};         // empty: i386, as AWS has it, which nothing here runs
  std::string virtualization_type = {};  // empty: hvm
  std::string root_device_name = {};
  std::string boot_mode = {}, imds_support = {}, tpm_support = {}, sriov_net_support = {};
  std::string uefi_data = {};  // base64; kept and told, and not given to guests
  std::string location = {};   // empty: account/name
  bool ena_support = false;
  std::vector<ImageDeviceRequest> devices = {};
  std::map<std::string, std::string> tags = {};
};
// Throws InvalidAMIName.Malformed and .Duplicate, InvalidBlockDeviceMapping, InvalidSnapshot.NotFound, ...
catalog::Image register_image(Region& region, const Principal& caller, const NewImage& what);

enum class Reboot { no, yes };
struct NewImageOfInstance {
  std::string instance_id, name, description = {};
  Reboot reboot = Reboot::yes;
  std::vector<ImageDeviceRequest> devices = {};
  std::map<std::string, std::string> image_tags = {}, snapshot_tags = {};
};
catalog::Image create_image(Region& region, const Principal& caller, const NewImageOfInstance& what);

struct DeletedSnapshot {
  std::string snapshot_id;
  std::string code;  // success skipped missing-permissions internal-error client-error
};
// Throws OperationNotPermitted for a protected one (image_lifecycle.h). A rule of the recycle bin may keep it, and its
// snapshots (recycle_bin.h).
enum class WithSnapshots { no, yes };
std::vector<DeletedSnapshot> deregister_image(Region& region, const Principal& caller, const std::string& image_id,
                                              WithSnapshots with_snapshots);

struct ImageQuery {
  std::vector<std::string> ids = {};               // all of them at once: after and most mean nothing then
  std::vector<std::string> owners = {};            // self, amazon, aws-marketplace, 12 digits
  std::vector<std::string> executable_users = {};  // self, all, 12 digits
  bool include_deprecated = false, include_disabled = false;
  std::string after = {};    // an id
  std::int64_t most = 1000;  // images that are looked at
};
struct ImageDetails {
  catalog::Image image;
  std::vector<catalog::ImageDevice> devices;  // by position
  bool is_public = false;
  bool allowed = true;             // by what the caller's account allows itself (allowed_images.h)
  std::vector<catalog::Tag> tags;  // the caller's
};
struct ImageBatch {
  std::vector<ImageDetails> images;  // by id
  std::string next;                  // after which there may be more; empty: there are none
};
// Takes as long as the images that it looks at, however many there are. Batches that follow each other hold every image
// that is there all the while, once.
ImageBatch describe_image_batch(Region& region, const Principal& caller, const ImageQuery& query);
std::vector<ImageDetails> describe_images(Region& region, const Principal& caller, const ImageQuery& query);

// One row that the caller may see, or owns. Throws InvalidAMIID.Malformed, .NotFound, .Unavailable; AuthFailure.
catalog::Image visible_image(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id);
catalog::Image own_image(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id);
// For a launch: exists and is shared with the caller (InvalidAMIID.NotFound), and is available
// (InvalidAMIID.Unavailable).
catalog::Image image_for_launch(catalog::Txn& txn, Region& region, const Principal& caller,
                                const std::string& image_id);

// What the owner may read and change of it (image_sharing.cc).
std::vector<catalog::LaunchPermission> image_permissions(Region& region, const Principal& caller,
                                                         const std::string& id);
struct ImageChanges {
  std::optional<std::string> description = {};
  std::optional<std::string> imds_support = {};
  ShareChanges shares = {};
};
void change_image(Region& region, const Principal& caller, const std::string& id, const ImageChanges& changes);
// For an operator, of whoever's image: it and the snapshots that it names, together, so that the account may launch and
// copy it.
struct SharedStorage {
  std::vector<std::string> shared;     // snapshots
  std::vector<std::string> of_others;  // that only their owners can share
  std::vector<std::string> keys;       // ARNs of those that encrypt them: the account needs them as well
};
SharedStorage share_image_with_storage(Region& region, const std::string& id, const std::string& account);
void reset_image_permissions(Region& region, const Principal& caller, const std::string& id);
// The caller is one whom the image is shared with, and gives that back.
void cancel_image_permission(Region& region, const Principal& caller, const std::string& id);

// In a transaction: what was kept of a deregistered one besides its row, which instances may still name.
void forget_image(catalog::Txn& txn, const Region& region, const std::string& image_id);
// In the commit of one of its snapshots: available when that was the last one.
void image_got_snapshot(catalog::Txn& txn, const Region& region, const std::string& image_id);
// In a transaction: failed, with the reason that StateReason shows; nothing when it is not pending.
void image_failed(catalog::Txn& txn, const Region& region, const std::string& image_id, const std::string& why);
// In a transaction: throws InvalidAMIName.Malformed or .Duplicate.
void check_image_name(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& name);

// Called once at start, before runner.run(). regions must outlive runner.
void add_image_jobs(jobs::Runner& runner, Regions& regions);

}  // namespace kiln::control
