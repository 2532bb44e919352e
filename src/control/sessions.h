#pragma once
// Temporary credentials: of a role that somebody assumed, and of a user or root user that asked for a session of its
// own. There are no rows: all that is known of them is sealed in the session token, which the client sends back with
// each request. So they outlive a restart, end by their time, and end with the user or role that they are of. Any
// thread.

#include <optional>
#include <string>
#include <vector>

#include "catalog/iam.h"
#include "control/access_keys.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

struct Session {
  std::string access_key, secret, token;
  base::Micros expires = 0;
  Principal principal;
};

// By name or ARN of a role, in whatever account. Throws AccessDenied unless the trust policy of the role lets the
// caller, and, where that names only the caller's account, the caller's own policies do too.
struct AssumeRole {
  std::string role_arn, session_name;
  std::optional<std::int64_t> duration_seconds;
  std::vector<std::string> policies;     // JSON
  std::vector<std::string> policy_arns;  // managed ones of the role's account
  std::string external_id;
};
Session assume_role(Region& region, const Principal& caller, const AssumeRole& what);

// For a user or the root user.
Session session_of_caller(Region& region, const Principal& caller, std::optional<std::int64_t> duration_seconds);

// For a service that does something for a role, such as EC2 whose instances have it. Nothing when the trust policy of
// the role does not let the service assume it.
std::optional<Session> session_for_service(Region& region, const catalog::IamIdentity& role, const std::string& service,
                                           const std::string& session_name, std::int64_t duration_seconds);

// What a token says. Nothing when it was not made here for this access key.
struct OpenedSession {
  std::string secret;
  base::Micros expires = 0;
  Principal principal;  // as it was when the credentials were made; identity_id may have gone since
};
std::optional<OpenedSession> open_session(keys::KeyStore& keys, const std::string& access_key,
                                          const std::string& token);

}  // namespace kiln::control
