#pragma once
// Who may see an image: its owner, whom it is shared with, everybody when it is public; and then whoever of them allows
// itself to (allowed_images.h). What the callers of others are
// told never says whether an image that they may not see is there.
//
// In the caller's transaction. visible_image(), own_image() and image_for_launch() of images.h are made of these.

#include <string>
#include <vector>

#include "catalog/images.h"
#include "control/region.h"

namespace kiln::control {

void check_image_id(const std::string& id);                                    // throws InvalidAMIID.Malformed
[[noreturn]] void refuse_unknown_images(const std::vector<std::string>& ids);  // InvalidAMIID.NotFound
bool may_see_image(catalog::Txn& txn, const Region& region, const catalog::Image& image, const Principal& caller);

}  // namespace kiln::control
