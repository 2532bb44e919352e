#pragma once
// What the owner of an image does to it between its registration and its end: disables it, says when it is out of date,
// protects it from being deregistered.
//
// Request functions run on request threads, are one transaction each, and throw ApiError: what own_image() throws
// (images.h) and what is said below.

#include <string>

#include "catalog/images.h"
#include "control/region.h"

namespace kiln::control {

// Nobody launches, copies or sees a disabled one, unless told its id; whom it was shared with is forgotten for good.
// Both may be repeated. InvalidAMIID.Unavailable for one that is neither available nor disabled.
void disable_image(Region& region, const Principal& caller, const std::string& id);
void enable_image(Region& region, const Principal& caller, const std::string& id);

// From then on others do not find it, unless they ask for it by id; they may still launch it. The time is rounded to a
// minute, and lies in the future and within ten years; of a public image within two years of its creation, which is
// also what it falls back to. InvalidParameterValue.
void deprecate_image(Region& region, const Principal& caller, const std::string& id, base::Micros at);
void undo_image_deprecation(Region& region, const Principal& caller, const std::string& id);
// For whoever makes an image public, in the same transaction: it is deprecated two years after its creation at the
// latest.
void limit_deprecation_of_public(catalog::Image& image);

enum class Cooldown { no, yes };
void protect_image(Region& region, const Principal& caller, const std::string& id, Cooldown cooldown);
// With cooldown it stays protected for a day.
void unprotect_image(Region& region, const Principal& caller, const std::string& id);
// For a row that begins as another image's: what was decided about that one says nothing of the new one.
void clear_lifecycle(catalog::Image& image);
// Throws OperationNotPermitted.
void check_not_protected(const catalog::Image& image, base::Micros now);

}  // namespace kiln::control
