#pragma once
// An AWS service as it is served: its names, its protocol, and the tables of its operations.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "control/access.h"
#include "services/operation.h"
#include "wire/params.h"
#include "wire/protocol.h"
#include "wire/rest.h"

namespace kiln::services {

// A request at the door: what can be seen of it before it is decoded.
struct AtDoor {
  control::Region& region;
  const control::Principal& principal;
  const std::string& action;  // RunInstances
  const wire::Params& params;
  const wire::Labels& labels;
  std::string_view body;  // of the JSON protocols; empty while it is yet to be read
};

struct Service {
  std::string_view name;     // of the credential scope: ec2
  std::string_view version;  // 2016-11-15
  wire::Dialect dialect;
  std::string_view target = {};                       // of X-Amz-Target in the JSON protocols: AmazonSSM
  std::string_view internal_error = "InternalError";  // what it calls an error that is ours
  bool global = false;  // has no region of its own (sts, iam): any is accepted in its credential scope
  // What a request wants to do with which resources, for the policies of who sends it; null: its action, with any.
  // Empty: the rules ask themselves, or nobody needs a permission.
  std::vector<control::Asked> (*asked)(const AtDoor& request) = nullptr;
  std::vector<std::span<const Operation>> tables;
};

// Every service that kilnd serves.
const std::vector<Service>& all_services();

// "ec2 DescribeImages" for every operation of all_services(), sorted: what `kiln api` prints.
std::vector<std::string> served_operations();

}  // namespace kiln::services
