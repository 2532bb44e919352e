#pragma once
// Security groups and their rules: recorded and answered; packets are not filtered by them.

#include <string>
#include <vector>

#include "catalog/network.h"
#include "control/region.h"

namespace kiln::control {

struct NewGroup {
  std::string account, vpc_id, name, description;  // vpc_id empty: the default VPC
};

// Throws InvalidGroup.Duplicate, InvalidVpcID.NotFound, InvalidParameterValue.
catalog::SecurityGroup create_group(Region& region, const NewGroup& what);
// By id, or by name in the default VPC. Throws InvalidGroup.NotFound, DependencyViolation, CannotDelete.
catalog::SecurityGroup delete_group(Region& region, const std::string& account, const std::string& id,
                                    const std::string& name);
// Throws InvalidPermission.Duplicate, InvalidPermission.Malformed, InvalidGroup.NotFound.
std::vector<catalog::SecurityGroupRule> authorize(Region& region, const std::string& account,
                                                  const std::string& group_id, const std::string& group_name,
                                                  std::vector<catalog::SecurityGroupRule> rules);
// For a launch: ids and names as the caller gave them, the VPC's default group when there are none. Throws
// InvalidGroup.NotFound.
std::vector<catalog::SecurityGroup> groups_for_launch(catalog::Txn& txn, const Region& region,
                                                      const std::string& account, const std::string& vpc_id,
                                                      const std::vector<std::string>& ids,
                                                      const std::vector<std::string>& names);

}  // namespace kiln::control
