#pragma once
// Instance profiles of instances: which one an instance has, and the temporary credentials of its role that a guest
// finds in its metadata.
//
// Called on request threads, those of the metadata service among them; each function is one catalog transaction. An
// association is there when the call returns; there are no states in between as on EC2.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "catalog/iam.h"
#include "catalog/instance_profiles.h"
#include "catalog/instances.h"
#include "control/sessions.h"

namespace kiln::control {

// As a request names a profile: by one of the two.
struct ProfileName {
  std::string name, arn;
  bool empty() const { return name.empty() && arn.empty(); }
};

// A profile of the account. Throws InvalidParameterValue, InvalidParameterCombination when it is named twice, and
// MissingParameter when it is not named at all.
catalog::IamIdentity instance_profile(catalog::Txn& txn, const std::string& account, const ProfileName& name);
// The same for who only wants to know whom a caller passes a role to; nothing when there is none.
std::optional<catalog::IamIdentity> role_of_profile(catalog::Txn& txn, const std::string& account,
                                                    const ProfileName& name);

// To an instance that has none, in a transaction that the caller holds.
catalog::ProfileAssociation add_profile(catalog::Txn& txn, const Region& region, const catalog::Instance& instance,
                                        const catalog::IamIdentity& profile);

// Throws IncorrectState when the instance has a profile, and IncorrectInstanceState when it is going.
catalog::ProfileAssociation associate_profile(Region& region, const Principal& caller, const std::string& instance_id,
                                              const ProfileName& name);
// Under a new id. Throws InvalidAssociationID.NotFound, as the following.
catalog::ProfileAssociation replace_profile(Region& region, const Principal& caller, const std::string& association_id,
                                            const ProfileName& name);
catalog::ProfileAssociation disassociate_profile(Region& region, const Principal& caller,
                                                 const std::string& association_id);
// The caller's, all of them when ids is empty.
std::vector<catalog::ProfileAssociation> profile_associations(Region& region, const Principal& caller,
                                                              const std::vector<std::string>& ids);

// What the metadata service knows of an instance's profile.
struct ProfileOfGuest {
  catalog::ProfileAssociation association;
  std::string role_name;  // empty: the profile has none, or has gone
};
std::optional<ProfileOfGuest> profile_of_guest(catalog::Txn& txn, const Region& region, const std::string& instance_id);

// New credentials of the role, for six hours; their session is named after the instance. Nothing when the role's trust
// policy does not let ec2.amazonaws.com assume it, or the profile has no role.
std::optional<Session> session_of_guest(Region& region, const catalog::Instance& instance);

}  // namespace kiln::control
