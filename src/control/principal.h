#pragma once
// Who calls, as the signature proved it, and over what the call came. A plain value.

#include <string>
#include <vector>

#include "base/time.h"

namespace kiln::control {

struct Principal {
  std::string account;     // 12 digits
  std::string arn;         // arn:aws:iam::123456789012:root; of a user, or of a role's session
  std::string user_id;     // as GetCallerIdentity gives it; the account id for a root key
  std::string access_key;  // empty for the daemon's own work

  std::string identity_id = {};  // of the user or role, whose policies it has; empty for a root key
  std::string user_name = {};    // empty but of users

  // Of temporary credentials:
  std::string role_arn = {};  // of a role's session
  // JSON, or ARNs of managed ones: together a limit of what the role or user may do.
  std::vector<std::string> session_policies = {};
  base::Micros token_issued = 0;  // 0: these are no temporary credentials

  // Of the call, for the conditions of policies:
  std::string source_ip = {}, user_agent = {};
  bool secure = false;  // came over TLS

  bool is_root() const { return identity_id.empty() && arn.ends_with(":root"); }
};

}  // namespace kiln::control
