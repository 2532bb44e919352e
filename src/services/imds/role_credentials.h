#pragma once
// What a guest reads below meta-data/iam/: its instance profile, and temporary credentials of the profile's role.
//
// Credentials are good for six hours. The same are given for an hour, then new ones, so that programs which read them
// again before the old ones end always find better ones; another role, or a profile that was replaced, gives new ones
// at once. They are kept in memory only: after a restart a guest is given new ones, and the old ones stay good until
// they end. Thread-safe.

#include <map>
#include <string>

#include "base/mutex.h"
#include "control/metadata.h"

namespace kiln::services::imds {

// JSON: Code, LastUpdated, InstanceProfileArn, InstanceProfileId.
std::string profile_info(const control::ProfileOfGuest& profile);

class RoleCredentials {
 public:
  // JSON: Code Success and the credentials, or AssumeRoleUnauthorizedAccess and a Message when the role's trust policy
  // does not let EC2 assume it. The guest has a profile with a role.
  std::string of(control::Region& region, const control::GuestMetadata& guest);

 private:
  struct Given {
    std::string association_id, role_name;
    base::Micros made = 0, expires = 0;
    std::string text;
  };
  void forget_ended(base::Micros now) KILN_REQUIRES(mutex_);

  base::Mutex mutex_;
  std::map<std::string, Given> given_ KILN_GUARDED_BY(mutex_);  // by region and instance
};

}  // namespace kiln::services::imds
