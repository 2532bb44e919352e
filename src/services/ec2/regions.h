#pragma once
// Names of regions and zones as EC2 writes them. Pure functions.

#include <string>

#include "control/region.h"
#include "services/call.h"

namespace kiln::services::ec2 {

// use1-az1 for us-east-1a: the zone's id, which is the same for every account.
std::string zone_id(const control::Region& region, const std::string& zone);

// DestinationRegion of a copy, which is the region that is asked: throws InvalidParameterValue for any other. Empty:
// not said.
void check_destination(const Call& call, const std::string& region);

}  // namespace kiln::services::ec2
