// DescribeImages: which images a caller sees, in batches, so that neither a page nor one image costs a walk over all.

#include <algorithm>
#include <set>

#include "base/api_error.h"
#include "catalog/instances.h"
#include "control/allowed_images.h"
#include "control/image_visibility.h"
#include "control/images.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;
using Permissions = std::vector<catalog::LaunchPermission>;

// A client that has deregistered an image asks for it until the answer is empty, and takes "unknown" for a failure
// (Ansible's ec2_ami).
constexpr base::Micros left_out_for = base::seconds(3600);

// Images of the query's ids. A deregistered one is left out for an hour and while instances of it live, and unknown
// afterwards.
std::vector<Image> by_ids(catalog::Txn& txn, const Region& region, const Principal& caller,
                          const std::vector<std::string>& ids) {
  std::vector<Image> found;
  std::vector<std::string> missing;
  for (const auto& id : ids) check_image_id(id);
  for (const auto& id : std::set<std::string>(ids.begin(), ids.end())) {
    auto image = catalog::find_image(txn, region.name, id);
    if (!image || !may_see_image(txn, region, *image, caller)) {
      missing.push_back(id);
    } else if (image->state == "deregistered") {
      const bool long_ago = region.clock.now() - image->deregistered.value_or(0) >= left_out_for;
      if (long_ago && catalog::instances_of_image(txn, region.name, id).empty()) missing.push_back(id);
    } else {
      found.push_back(std::move(*image));
    }
  }
  if (!missing.empty()) refuse_unknown_images(missing);
  return found;
}

bool matches_owner(const Image& image, const std::vector<std::string>& owners, const Principal& caller) {
  return owners.empty() || std::ranges::any_of(owners, [&](const std::string& owner) {
           return (owner == "self" ? caller.account : owner) == image.account;
         });
}

// "self" is what the caller was given by name or through an organisation. Whom else an image is shared with is its
// owner's secret.
bool matches_user(const Image& image, const Permissions& permissions, const std::vector<std::string>& users,
                  const Principal& caller) {
  const auto has = [&](std::string_view kind, const std::string& value) {
    return std::ranges::any_of(permissions, [&](const auto& p) { return p.kind == kind && p.value == value; });
  };
  return users.empty() || std::ranges::any_of(users, [&](const std::string& user) {
           if (user == "all") return has("group", "all");
           const auto& account = user == "self" ? caller.account : user;
           if (account != caller.account) return image.account == caller.account && has("account", account);
           // What others shared, and not with all, was shared with the caller: it would not be visible otherwise.
           return has("account", account) || (image.account != account && !has("group", "all"));
         });
}

void check_query(const ImageQuery& query) {
  constexpr std::string_view aliases[] = {"self", "amazon", "aws-marketplace", "aws-backup-vault"};
  for (const auto& owner : query.owners) {
    if (!is_account_id(owner) && std::ranges::find(aliases, owner) == std::end(aliases)) {
      throw ApiError("InvalidUserID.Malformed", "Invalid user id: \"" + owner + "\"");
    }
  }
  for (const auto& user : query.executable_users) {
    if (!is_account_id(user) && user != "self" && user != "all") {
      throw ApiError("InvalidUserID.Malformed", "Invalid user id: \"" + user + "\"");
    }
  }
}

// Rows of one table that belong to images, by image. Between the first and the last of a batch there are hardly any
// others.
template <class Of, class Row>
std::map<std::string, std::vector<Row>> grouped(std::vector<Row> rows, Of image_of) {
  std::map<std::string, std::vector<Row>> by_image;
  for (auto& row : rows) by_image[image_of(row)].push_back(std::move(row));
  return by_image;
}

class Surroundings {
 public:
  Surroundings(catalog::Txn& txn, const Region& region, const Principal& caller) : txn_(txn), region_(region) {
    caller_ = caller.account;
  }
  // Of the images from first to last.
  void read(const std::string& first, const std::string& last) {
    const std::vector<catalog::Value> range{region_.name, first, last};
    const auto image_id = [](const auto& row) { return row.image_id; };
    constexpr const char* between = "WHERE region = $1 AND image_id >= $2 AND image_id <= $3";
    permissions_ = grouped(catalog::select<catalog::LaunchPermission>(txn_, between, range), image_id);
    devices_ = grouped(
        catalog::select<catalog::ImageDevice>(txn_, std::string(between) + " ORDER BY image_id, position", range),
        image_id);
    tags_ = grouped(catalog::select<catalog::Tag>(
                        txn_, "WHERE region = $1 AND resource_id >= $2 AND resource_id <= $3 AND account = $4",
                        {region_.name, first, last, caller_}),
                    [](const auto& tag) { return tag.resource_id; });
  }
  const Permissions& permissions(const std::string& id) { return permissions_[id]; }
  ImageDetails details(Image image) {
    const auto& shared = permissions(image.id);
    ImageDetails entry{.devices = std::move(devices_[image.id]),
                       .is_public = std::ranges::any_of(shared, [](const auto& p) { return p.kind == "group"; }),
                       .tags = std::move(tags_[image.id])};
    entry.image = std::move(image);
    return entry;
  }

 private:
  catalog::Txn& txn_;
  const Region& region_;
  std::string caller_;
  std::map<std::string, Permissions> permissions_;
  std::map<std::string, std::vector<catalog::ImageDevice>> devices_;
  std::map<std::string, std::vector<catalog::Tag>> tags_;
};

}  // namespace

ImageBatch describe_image_batch(Region& region, const Principal& caller, const ImageQuery& query) {
  check_query(query);
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    const bool listed = !query.ids.empty();
    auto images = listed ? by_ids(txn, region, caller, query.ids)
                         : catalog::images_visible_to(txn, region.name, caller.account, query.after, query.most);
    ImageBatch batch;
    if (images.empty()) return batch;
    if (!listed && images.size() == static_cast<std::size_t>(query.most)) batch.next = images.back().id;
    Surroundings around(txn, region, caller);
    const ImageAllowance allowance(txn, region, caller.account);
    const auto now = region.clock.now();
    if (!listed) around.read(images.front().id, images.back().id);
    for (auto& image : images) {
      if (listed) around.read(image.id, image.id);
      const bool deprecated = image.deprecation && *image.deprecation <= now && image.account != caller.account;
      const bool hidden = !listed && ((image.state == "disabled" && !query.include_disabled) ||
                                      (deprecated && !query.include_deprecated) || allowance.hides(image));
      if (hidden || !matches_owner(image, query.owners, caller) ||
          !matches_user(image, around.permissions(image.id), query.executable_users, caller)) {
        continue;
      }
      auto details = around.details(std::move(image));
      details.allowed = allowance.fits(details.image);
      batch.images.push_back(std::move(details));
    }
    return batch;
  });
}

std::vector<ImageDetails> describe_images(Region& region, const Principal& caller, const ImageQuery& query) {
  auto next = query;
  std::vector<ImageDetails> all;
  do {
    auto batch = describe_image_batch(region, caller, next);
    std::ranges::move(batch.images, std::back_inserter(all));
    next.after = batch.next;
  } while (!next.after.empty());
  return all;
}

}  // namespace kiln::control
