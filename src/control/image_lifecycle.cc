#include "control/image_lifecycle.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/time.h"
#include "control/images.h"
#include "control/snapshot_tiers.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Micros;
using catalog::Image;

constexpr Micros minute = base::seconds(60), day = base::seconds(86'400);
constexpr Micros longest = 10 * 365 * day, longest_of_public = 2 * 365 * day;
constexpr const char* with_cooldown = "with-cooldown";

template <class Change>
void change(Region& region, const Principal& caller, const std::string& id, Change change) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    auto image = own_image(txn, region, caller, id);
    change(txn, image);
    catalog::update(txn, image);
  });
}

void check_state(const Image& image) {
  if (image.state == "available" || image.state == "disabled") return;
  throw ApiError("InvalidAMIID.Unavailable", "The image ID '" + image.id + "' is " + image.state);
}

bool is_public_image(catalog::Txn& txn, const Image& image) {
  const auto permissions = catalog::launch_permissions(txn, image.region, image.id);
  return std::ranges::any_of(permissions, [](const auto& each) { return each.kind == "group"; });
}

}  // namespace

void disable_image(Region& region, const Principal& caller, const std::string& id) {
  change(region, caller, id, [&](catalog::Txn& txn, Image& image) {
    check_state(image);
    image.state = "disabled";
    txn.execute("DELETE FROM launch_permission WHERE region = $1 AND image_id = $2", {region.name, id});
  });
}

void enable_image(Region& region, const Principal& caller, const std::string& id) {
  change(region, caller, id, [&](catalog::Txn& txn, Image& image) {
    check_state(image);
    for (const auto& device : catalog::image_devices(txn, region.name, id)) {
      if (!device.snapshot_id.empty()) check_not_archived(txn, region, device.snapshot_id);
    }
    image.state = "available";
  });
}

void deprecate_image(Region& region, const Principal& caller, const std::string& id, Micros at) {
  const auto now = region.clock.now();
  const auto rounded = (at + minute / 2) / minute * minute;
  if (rounded <= now || rounded > now + longest) {
    throw ApiError("InvalidParameterValue", "The deprecation time " + base::to_iso8601(at) +
                                                " must be in the future, and not more than 10 years from now.");
  }
  change(region, caller, id, [&](catalog::Txn& txn, Image& image) {
    if (is_public_image(txn, image) && rounded > image.created + longest_of_public) {
      throw ApiError("InvalidParameterValue",
                     "A public image is deprecated two years after its creation at the latest: " +
                         base::to_iso8601(image.created + longest_of_public));
    }
    image.deprecation = rounded;
  });
}

void undo_image_deprecation(Region& region, const Principal& caller, const std::string& id) {
  change(region, caller, id, [&](catalog::Txn& txn, Image& image) {
    image.deprecation.reset();
    if (is_public_image(txn, image)) limit_deprecation_of_public(image);
  });
}

void limit_deprecation_of_public(Image& image) {
  const auto latest = (image.created + longest_of_public) / minute * minute;
  image.deprecation = std::min(image.deprecation.value_or(latest), latest);
}

void protect_image(Region& region, const Principal& caller, const std::string& id, Cooldown cooldown) {
  change(region, caller, id, [&](catalog::Txn&, Image& image) {
    image.deregistration_protection = cooldown == Cooldown::yes ? with_cooldown : "without-cooldown";
    image.protected_until.reset();
  });
}

void unprotect_image(Region& region, const Principal& caller, const std::string& id) {
  change(region, caller, id, [&](catalog::Txn&, Image& image) {
    if (image.deregistration_protection == with_cooldown) image.protected_until = region.clock.now() + day;
    image.deregistration_protection.clear();
  });
}

void clear_lifecycle(Image& image) {
  image.deprecation.reset();
  image.deregistration_protection.clear();
  image.protected_until.reset();
}

void check_not_protected(const Image& image, Micros now) {
  if (!image.deregistration_protection.empty()) {
    throw ApiError(
        "OperationNotPermitted",
        "The image '" + image.id + "' may not be deregistered. Disable its deregistration protection and try again.");
  }
  if (image.protected_until && *image.protected_until > now) {
    throw ApiError("OperationNotPermitted", "The image '" + image.id + "' may not be deregistered until " +
                                                base::to_iso8601(*image.protected_until) +
                                                ", when the cooldown of its deregistration protection ends.");
  }
}

}  // namespace kiln::control
