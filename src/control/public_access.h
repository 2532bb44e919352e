#pragma once
// Block public access: whether an account may share images and snapshots with everybody. Per account and region.
//
// For images block-new-sharing leaves public ones public. For snapshots it does too, and block-all-sharing treats
// public ones as private, though their attribute still says public. Sharing with accounts is never blocked. Request
// functions, one transaction each.

#include <string>

#include "control/region.h"

namespace kiln::control {

enum class Shareable { images, snapshots };

std::string public_access(Region& region, const std::string& account, Shareable what);
// Returns the state. Throws InvalidParameterValue for one that there is not.
std::string set_public_access(Region& region, const std::string& account, Shareable what, const std::string& state);

}  // namespace kiln::control
