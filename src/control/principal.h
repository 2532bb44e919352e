#pragma once
// Who calls: what the signature proved.

#include <string>

namespace kiln::control {

struct Principal {
  std::string account;     // 12 digits
  std::string arn;         // arn:aws:iam::123456789012:root
  std::string user_id;     // as GetCallerIdentity gives it; the account id for a root key
  std::string access_key;  // empty for the daemon's own work
};

}  // namespace kiln::control
