#pragma once
// Copies of images, into this region from this one or from another.
//
// The new image is the caller's, with a copy of every snapshot that the source's devices name (snapshot_copies.h), and
// remembers where it comes from. Launch permissions are not copied. From this region it is available at once; from
// another one it is pending until the last of its snapshots is completed, and failed when one of them fails.
//
// On a request thread, which may wait for the source to describe the image. Throws ApiError: InvalidAMIName.Malformed
// and .Duplicate, InvalidRegion, what the source's DescribeImages throws, and InvalidRequest when the caller may see
// the image but not its snapshots.

#include <map>
#include <optional>
#include <string>

#include "catalog/client_tokens.h"
#include "catalog/images.h"
#include "control/encryption.h"
#include "control/region.h"

namespace kiln::control {

enum class CopyImageTags { no, yes };
struct NewImageCopy {
  std::string source_region, source_image_id;
  std::string name, description = {};
  EncryptionWish encryption = {};
  CopyImageTags copy_tags = CopyImageTags::no;  // those that the caller put there; never aws: ones
  std::map<std::string, std::string> image_tags = {}, snapshot_tags = {};
  std::optional<catalog::ClientToken> client_token = {};  // its result is filled in
};
catalog::Image copy_image(Region& region, const Principal& caller, const NewImageCopy& what);

}  // namespace kiln::control
