#include "control/instance_profiles.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/iam_identities.h"
#include "control/instance_state.h"
#include "control/instances.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::IamIdentity;
using catalog::ProfileAssociation;
using catalog::Txn;

constexpr std::int64_t session_seconds = 6 * 3600;

std::optional<IamIdentity> find_profile(Txn& txn, const std::string& account, const ProfileName& name) {
  if (!name.name.empty()) return catalog::find_identity(txn, account, profile_kind, name.name);
  auto found = catalog::find_identity(txn, account, profile_kind, name.arn.substr(name.arn.rfind('/') + 1));
  return found && found->arn() == name.arn ? found : std::nullopt;
}

// Of an instance of the caller's that has not gone.
ProfileAssociation association(Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  if (!base::is_id("iip-assoc", id)) {
    throw ApiError("InvalidAssociationID.Malformed", "The association-id '" + id + "' is malformed");
  }
  auto found = catalog::find_profile_association(txn, region.name, id);
  const auto instance = found ? catalog::find_instance(txn, region.name, found->instance_id) : std::nullopt;
  if (!instance || found->account != caller.account || instance->state == instance_state::terminated) {
    throw ApiError("InvalidAssociationID.NotFound", "An invalid association-id of '" + id + "' was given");
  }
  return *std::move(found);
}

// The one role of a profile that still is what it was when the instance got it.
std::optional<IamIdentity> role_of(Txn& txn, const ProfileAssociation& association) {
  const auto profile = find_profile(txn, association.account, {.name = {}, .arn = association.profile_arn});
  if (!profile || profile->id != association.profile_id) return {};
  auto roles = catalog::members_of(txn, profile->id);
  return roles.empty() ? std::nullopt : std::optional(std::move(roles.front()));
}

}  // namespace

IamIdentity instance_profile(Txn& txn, const std::string& account, const ProfileName& name) {
  if (name.empty()) throw ApiError("MissingParameter", "The request must contain the parameter IamInstanceProfile");
  if (!name.name.empty() && !name.arn.empty()) {
    throw ApiError("InvalidParameterCombination",
                   "The parameter 'iamInstanceProfile.name' may not be used in combination with "
                   "'iamInstanceProfile.arn'");
  }
  auto found = find_profile(txn, account, name);
  if (found) return *std::move(found);
  const bool named = !name.name.empty();
  throw ApiError("InvalidParameterValue", "Value (" + (named ? name.name : name.arn) +
                                              ") for parameter iamInstanceProfile." + (named ? "name" : "arn") +
                                              " is invalid. Invalid IAM Instance Profile " + (named ? "name" : "ARN"));
}

std::optional<IamIdentity> role_of_profile(Txn& txn, const std::string& account, const ProfileName& name) {
  const auto profile = find_profile(txn, account, name);
  if (!profile) return {};
  auto roles = catalog::members_of(txn, profile->id);
  return roles.empty() ? std::nullopt : std::optional(std::move(roles.front()));
}

ProfileAssociation add_profile(Txn& txn, const Region& region, const catalog::Instance& instance,
                               const IamIdentity& profile) {
  const ProfileAssociation row{.region = region.name,
                               .id = base::new_id("iip-assoc"),
                               .account = instance.account,
                               .instance_id = instance.id,
                               .profile_id = profile.id,
                               .profile_arn = profile.arn(),
                               .created = region.clock.now()};
  catalog::insert(txn, row);
  return row;
}

ProfileAssociation associate_profile(Region& region, const Principal& caller, const std::string& instance_id,
                                     const ProfileName& name) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto instance = instance_of(txn, region, caller, instance_id);
    const auto profile = instance_profile(txn, caller.account, name);
    if (instance.state == instance_state::shutting_down || instance.state == instance_state::terminated) {
      throw ApiError("IncorrectInstanceState",
                     "The instance '" + instance.id + "' is not in the 'running' or 'stopped' states");
    }
    if (catalog::profile_association_of(txn, region.name, instance.id)) {
      throw ApiError("IncorrectState", "There is an existing association for instance " + instance.id);
    }
    return add_profile(txn, region, instance, profile);
  });
}

ProfileAssociation replace_profile(Region& region, const Principal& caller, const std::string& association_id,
                                   const ProfileName& name) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto before = association(txn, region, caller, association_id);
    const auto profile = instance_profile(txn, caller.account, name);
    catalog::remove(txn, before);
    return add_profile(txn, region, *catalog::find_instance(txn, region.name, before.instance_id), profile);
  });
}

ProfileAssociation disassociate_profile(Region& region, const Principal& caller, const std::string& association_id) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto before = association(txn, region, caller, association_id);
    catalog::remove(txn, before);
    return before;
  });
}

std::vector<ProfileAssociation> profile_associations(Region& region, const Principal& caller,
                                                     const std::vector<std::string>& ids) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    if (ids.empty()) return catalog::profile_associations(txn, region.name, caller.account);
    std::vector<ProfileAssociation> found;
    for (const auto& id : ids) found.push_back(association(txn, region, caller, id));
    return found;
  });
}

std::optional<ProfileOfGuest> profile_of_guest(Txn& txn, const Region& region, const std::string& instance_id) {
  auto found = catalog::profile_association_of(txn, region.name, instance_id);
  if (!found) return {};
  const auto role = role_of(txn, *found);
  return ProfileOfGuest{.association = *std::move(found), .role_name = role ? role->name : ""};
}

std::optional<Session> session_of_guest(Region& region, const catalog::Instance& instance) {
  const auto role = catalog::in_read(region.catalog, [&](Txn& txn) -> std::optional<IamIdentity> {
    const auto found = catalog::profile_association_of(txn, region.name, instance.id);
    return found ? role_of(txn, *found) : std::nullopt;
  });
  if (!role) return {};
  return session_for_service(region, *role, "ec2.amazonaws.com", instance.id, session_seconds);
}

}  // namespace kiln::control
