#pragma once
// What a principal may do, and the record of what it did. Called once per request, by dispatch, on request threads.
//
// A root key may do all in its account; there are no other principals yet. Whose thing it is, the rules check
// themselves: this is about actions.

#include <string>
#include <string_view>

#include "control/principal.h"

namespace kiln::control {

// Throws UnauthorizedOperation (EC2) or AccessDenied (every other service), 403.
void authorise(const Principal& principal, std::string_view service, std::string_view action);

// One request and its outcome.
struct Audit {
  std::string request_id;
  Principal principal;  // empty when the signature was refused
  std::string region, service, action, source_ip;
  std::string outcome;  // "ok", or the error code
};
void audit(const Audit& record);

}  // namespace kiln::control
