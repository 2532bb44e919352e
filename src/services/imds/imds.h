#pragma once
// The instance metadata service: what a guest asks at 169.254.169.254, versions 1 and 2.
//
// A guest is known by the VPC whose bridge it asked on and by its address there, so there is nothing to sign. With
// version 2 it first PUTs for a token; an instance that requires tokens is refused anything without one. Statuses are
// EC2's: 400 for a bad TTL, 401 for a missing or bad token, 403 when the service is off for the instance and for a PUT
// that was forwarded, 404, 405. Called on the threads of its HTTP server; thread-safe.

#include <string>

#include "control/region.h"
#include "http/message.h"
#include "services/imds/role_credentials.h"
#include "services/imds/tokens.h"

namespace kiln::services::imds {

class MetadataService {
 public:
  // request came from a guest in this VPC of region.
  http::Response answer(control::Region& region, const std::string& vpc_id, const http::Request& request);

 private:
  http::Response read(control::Region& region, const control::GuestMetadata& guest, std::string_view path);

  Tokens tokens_;
  RoleCredentials credentials_;
};

}  // namespace kiln::services::imds
