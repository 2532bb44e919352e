#pragma once
// Where an image comes from, and what was launched from it: told long after the image itself was deregistered, since
// its row stays.
//
// Request functions, on request threads; one transaction for each region that they look into.

#include <optional>
#include <string>
#include <vector>

#include "catalog/images.h"
#include "control/region.h"

namespace kiln::control {

// The image and what it was made of, youngest first, through the regions of this daemon: to the one that was imported
// or registered, or until the next one is another account's and not shared with the caller. Throws what visible_image()
// throws (images.h).
std::vector<catalog::Image> image_ancestry(Region& region, const Principal& caller, const std::string& id);

struct ImageReference {
  std::string image_id;
  std::string resource_type;  // ec2:Instance, ec2:LaunchTemplate, ssm:Parameter
  std::string arn;
};
// What is looked for. Instances that are terminated do not count; states narrows them further when it is not empty.
struct ReferenceQuery {
  bool instances = false, parameters = false, templates = false;
  std::size_t template_versions = 10;  // of each, the newest; its default version besides
  std::vector<std::string> states = {};
};
// What of the caller's names the images, by image and ARN. Throws what visible_image() throws.
std::vector<ImageReference> image_references(Region& region, const Principal& caller,
                                             const std::vector<std::string>& image_ids, const ReferenceQuery& query);

}  // namespace kiln::control
