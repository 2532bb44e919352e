#pragma once
// An AWS service as it is served: its names, its protocol, and the tables of its operations.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "services/operation.h"
#include "wire/protocol.h"

namespace kiln::services {

struct Service {
  std::string_view name;     // of the credential scope: ec2
  std::string_view version;  // 2016-11-15
  wire::Dialect dialect;
  std::string_view target = {};                       // of X-Amz-Target in the JSON protocols: AmazonSSM
  std::string_view internal_error = "InternalError";  // what it calls an error that is ours
  bool global = false;  // has no region of its own (sts, iam): any is accepted in its credential scope
  std::vector<std::span<const Operation>> tables;
};

// Every service that kilnd serves.
const std::vector<Service>& all_services();

// "ec2 DescribeImages" for every operation of all_services(), sorted: what `kiln api` prints.
std::vector<std::string> served_operations();

}  // namespace kiln::services
