// CreateInstanceProfile, GetInstanceProfile, ListInstanceProfiles, DeleteInstanceProfile, AddRoleToInstanceProfile,
// RemoveRoleFromInstanceProfile, ListInstanceProfilesForRole.
#include "control/iam_identities.h"
#include "services/iam/roles.h"

namespace kiln::services::iam {

struct InstanceProfile {
  std::string path, instance_profile_name, instance_profile_id, arn;
  wire::Timestamp create_date;
  std::vector<Role> roles;
  std::vector<Tag> tags;
};

struct CreateInstanceProfileRequest {
  std::string instance_profile_name, path = "/";
  std::vector<Tag> tags;
};

struct InstanceProfileResponse {
  InstanceProfile instance_profile;
};

struct InstanceProfileRequest {
  std::string instance_profile_name;
};

struct ListInstanceProfilesRequest {
  std::string path_prefix, marker;
  std::optional<int> max_items;
};

struct ListInstanceProfilesResponse {
  std::vector<InstanceProfile> instance_profiles;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct ProfileRoleRequest {
  std::string instance_profile_name, role_name;
};

struct ListInstanceProfilesForRoleRequest {
  std::string role_name, marker;
  std::optional<int> max_items;
};

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::InstanceProfile, path, instance_profile_name, instance_profile_id, arn, create_date,
          roles, tags)
KILN_WIRE(kiln::services::iam::CreateInstanceProfileRequest, instance_profile_name, path, tags)
KILN_WIRE(kiln::services::iam::InstanceProfileResponse, instance_profile)
KILN_WIRE(kiln::services::iam::InstanceProfileRequest, instance_profile_name)
KILN_WIRE(kiln::services::iam::ListInstanceProfilesRequest, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::ListInstanceProfilesResponse, instance_profiles, is_truncated, marker)
KILN_WIRE(kiln::services::iam::ProfileRoleRequest, instance_profile_name, role_name)
KILN_WIRE(kiln::services::iam::ListInstanceProfilesForRoleRequest, role_name, marker, max_items)

namespace kiln::services::iam {
namespace {

using catalog::IamIdentity;
using control::profile_kind;

const auto name_of = [](const IamIdentity& row) { return row.name; };

InstanceProfile profile_shape(Call& call, const IamIdentity& row) {
  InstanceProfile shape{.path = row.path,
                        .instance_profile_name = row.name,
                        .instance_profile_id = row.id,
                        .arn = row.arn(),
                        .create_date = {row.created},
                        .roles = {},
                        .tags = tags_of(call, row.id)};
  for (const auto& role : control::members_of(call.region, row)) shape.roles.push_back(to_shape(role));
  return shape;
}

InstanceProfileResponse create_instance_profile(Call& call, const CreateInstanceProfileRequest& request) {
  const auto row = control::create_identity(call.region, call.principal.account,
                                            {.kind = profile_kind,
                                             .name = request.instance_profile_name,
                                             .path = request.path,
                                             .description = {},
                                             .trust_policy = {},
                                             .boundary = {},
                                             .tags = to_tags(request.tags)});
  return {profile_shape(call, row)};
}

InstanceProfileResponse get_instance_profile(Call& call, const InstanceProfileRequest& request) {
  return {profile_shape(
      call, control::identity(call.region, call.principal.account, profile_kind, request.instance_profile_name))};
}

ListInstanceProfilesResponse list_instance_profiles(Call& call, const ListInstanceProfilesRequest& request) {
  ListInstanceProfilesResponse response;
  auto rows = control::identities(call.region, call.principal.account, profile_kind, request.path_prefix);
  cut_page(rows, request, response, name_of);
  for (const auto& row : rows) response.instance_profiles.push_back(profile_shape(call, row));
  return response;
}

Done delete_instance_profile(Call& call, const InstanceProfileRequest& request) {
  control::delete_identity(call.region, call.principal.account, profile_kind, request.instance_profile_name);
  return {};
}

Done add_role_to_instance_profile(Call& call, const ProfileRoleRequest& request) {
  control::add_member(call.region, call.principal.account, profile_kind, request.instance_profile_name,
                      request.role_name);
  return {};
}

Done remove_role_from_instance_profile(Call& call, const ProfileRoleRequest& request) {
  control::remove_member(call.region, call.principal.account, profile_kind, request.instance_profile_name,
                         request.role_name);
  return {};
}

ListInstanceProfilesResponse list_instance_profiles_for_role(Call& call,
                                                             const ListInstanceProfilesForRoleRequest& request) {
  const auto role = control::identity(call.region, call.principal.account, control::role_kind, request.role_name);
  ListInstanceProfilesResponse response;
  auto rows = control::holders_of(call.region, role, profile_kind);
  cut_page(rows, request, response, name_of);
  for (const auto& row : rows) response.instance_profiles.push_back(profile_shape(call, row));
  return response;
}

constexpr Operation operations[] = {
    operation<add_role_to_instance_profile>("AddRoleToInstanceProfile", Access::writes),
    operation<create_instance_profile>("CreateInstanceProfile", Access::writes),
    operation<delete_instance_profile>("DeleteInstanceProfile", Access::writes),
    operation<get_instance_profile>("GetInstanceProfile", Access::reads),
    operation<list_instance_profiles>("ListInstanceProfiles", Access::reads),
    operation<list_instance_profiles_for_role>("ListInstanceProfilesForRole", Access::reads),
    operation<remove_role_from_instance_profile>("RemoveRoleFromInstanceProfile", Access::writes),
};

}  // namespace

std::span<const Operation> profile_operations() { return operations; }

}  // namespace kiln::services::iam
