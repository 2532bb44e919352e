#pragma once
// What a request to EC2 wants to do with which resources, read off its parameters before it is decoded, for the
// policies of who sends it. One transaction; request threads.
//
//   RunInstances ImageId=ami-1  ->  image/ami-1, instance/*, volume/* of each disk, network-interface/*, the subnet,
//                                   the groups, the key pair; with tags also ec2:CreateTags of what is tagged
//
// A resource is found by the name of the parameter that has its id, wherever in the request that stands; what describes
// is about no resource. So an operation that takes ids by the usual names needs nothing here.

#include "services/service.h"

namespace kiln::services::ec2 {

std::vector<control::Asked> asked(const AtDoor& request);

}  // namespace kiln::services::ec2
