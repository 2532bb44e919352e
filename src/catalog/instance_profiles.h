#pragma once
// Which instance profile an instance has: at most one. Goes with the instance's row. The profile may have been deleted
// since, and another one made under its name: its id tells.

#include "catalog/table.h"

namespace kiln::catalog {

struct ProfileAssociation {
  std::string region, id;
  std::string account;
  std::string instance_id;
  std::string profile_id, profile_arn;
  base::Micros created = 0;
};

std::optional<ProfileAssociation> find_profile_association(Txn& txn, const std::string& region, const std::string& id);
std::optional<ProfileAssociation> profile_association_of(Txn& txn, const std::string& region,
                                                         const std::string& instance_id);
// Oldest first; without those of terminated instances.
std::vector<ProfileAssociation> profile_associations(Txn& txn, const std::string& region, const std::string& account);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::ProfileAssociation, "profile_association", 2, region, id, account, instance_id, profile_id,
         profile_arn, created)
