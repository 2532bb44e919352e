#include "catalog/instance_profiles.h"

namespace kiln::catalog {

std::optional<ProfileAssociation> find_profile_association(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<ProfileAssociation>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::optional<ProfileAssociation> profile_association_of(Txn& txn, const std::string& region,
                                                         const std::string& instance_id) {
  return select_one<ProfileAssociation>(txn, "WHERE region = $1 AND instance_id = $2", {region, instance_id});
}

std::vector<ProfileAssociation> profile_associations(Txn& txn, const std::string& region, const std::string& account) {
  return select<ProfileAssociation>(txn,
                                    "WHERE region = $1 AND account = $2 AND instance_id NOT IN "
                                    "(SELECT id FROM instance WHERE region = $1 AND state = 'terminated') "
                                    "ORDER BY created, id",
                                    {region, account});
}

}  // namespace kiln::catalog
