#pragma once
// Names of regions and zones as EC2 writes them. Pure functions.

#include <string>

#include "control/region.h"

namespace kiln::services::ec2 {

// use1-az1 for us-east-1a: the zone's id, which is the same for every account.
std::string zone_id(const control::Region& region, const std::string& zone);

}  // namespace kiln::services::ec2
