#include "control/image_visibility.h"

#include "base/api_error.h"
#include "base/ids.h"
#include "control/allowed_images.h"
#include "control/images.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Image;

[[noreturn]] void unavailable(const std::string& id) {
  throw ApiError("InvalidAMIID.Unavailable", "The image ID '" + id + "' is no longer available");
}

}  // namespace

void check_image_id(const std::string& id) {
  if (!base::is_id("ami", id)) {
    throw ApiError("InvalidAMIID.Malformed", "Invalid id: \"" + id + "\" (expecting \"ami-...\")");
  }
}

void refuse_unknown_images(const std::vector<std::string>& ids) {
  std::string list;
  for (const auto& id : ids) list += (list.empty() ? "" : ", ") + id;
  throw ApiError("InvalidAMIID.NotFound", ids.size() == 1 ? "The image id '[" + list + "]' does not exist"
                                                          : "The image ids '[" + list + "]' do not exist");
}

bool may_see_image(catalog::Txn& txn, const Region& region, const Image& image, const Principal& caller) {
  if (image.account == caller.account) return true;
  return catalog::has_launch_permission(txn, region.name, image.id, caller.account) &&
         !ImageAllowance(txn, region, caller.account).hides(image);
}

Image visible_image(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  check_image_id(id);
  const auto image = catalog::find_image(txn, region.name, id);
  if (!image || !may_see_image(txn, region, *image, caller)) refuse_unknown_images({id});
  if (image->state == "deregistered") unavailable(id);
  return *image;
}

Image own_image(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  auto image = visible_image(txn, region, caller, id);
  if (image.account != caller.account) throw ApiError("AuthFailure", "Not authorized for image:" + id);
  return image;
}

Image image_for_launch(catalog::Txn& txn, Region& region, const Principal& caller, const std::string& image_id) {
  check_image_id(image_id);
  const auto image = catalog::find_image(txn, region.name, image_id);
  if (!image || !may_see_image(txn, region, *image, caller)) refuse_unknown_images({image_id});
  if (image->state == "deregistered") unavailable(image_id);
  if (image->state != "available") {
    throw ApiError("InvalidAMIID.Unavailable", "AMI '" + image_id + "' is " + image->state + ", and cannot be run");
  }
  return *image;
}

}  // namespace kiln::control
