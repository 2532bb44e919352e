#pragma once
// Allowed AMIs: which images of others an account may find and use, by criteria of its own, in a region. Its own images
// are always allowed.
//
// Enabled, what does not fit any criterion is to the account as if it did not exist: in DescribeImages, RunInstances
// and CopyImage. In audit mode it is only marked. Request functions, one transaction each; the others are for a
// transaction.

#include <optional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "catalog/lifecycle.h"
#include "control/region.h"

namespace kiln::control {

// Fits an image that fits all that it says; an empty list says nothing, and of a list one entry is enough.
struct ImageCriterion {
  std::vector<std::string> providers = {};      // 12 digits, amazon, aws-marketplace, aws-backup-vault; none: nobody
  std::vector<std::string> product_codes = {};  // no image here has one
  std::vector<std::string> names = {};          // with * and ?
  std::optional<int> days_since_created = {}, days_since_deprecated = {};  // at most; one not deprecated is young
  bool operator==(const ImageCriterion&) const = default;
};

struct AllowedImages {
  std::string state;                     // enabled, audit-mode, disabled
  std::vector<ImageCriterion> criteria;  // none: every image is allowed
};

AllowedImages allowed_images(Region& region, const std::string& account);
// enabled, audit-mode or disabled. Throws InvalidParameterValue.
std::string set_allowed_images(Region& region, const std::string& account, const std::string& state);
// Throws InvalidParameterValue for more than ten, or for one that AWS would not take.
void set_image_criteria(Region& region, const std::string& account, const std::vector<ImageCriterion>& criteria);

// What one transaction asks for many images.
class ImageAllowance {
 public:
  ImageAllowance(catalog::Txn& txn, const Region& region, const std::string& account);
  bool fits(const catalog::Image& image) const;  // what ImageAllowed says
  bool hides(const catalog::Image& image) const { return enabled_ && !fits(image); }

 private:
  const std::string account_;
  const base::Micros now_;
  AllowedImages allowed_;
  bool enabled_ = false;
};

}  // namespace kiln::control
