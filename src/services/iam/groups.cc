// CreateGroup, GetGroup, ListGroups, UpdateGroup, DeleteGroup, AddUserToGroup, RemoveUserFromGroup, ListGroupsForUser.
#include "control/iam_identities.h"
#include "services/iam/operations.h"

namespace kiln::services::iam {

struct Group {
  std::string path, group_name, group_id, arn;
  wire::Timestamp create_date;
};

struct GroupMember {
  std::string path, user_name, user_id, arn;
  wire::Timestamp create_date;
};

struct CreateGroupRequest {
  std::string path = "/", group_name;
};

struct CreateGroupResponse {
  Group group;
};

struct GetGroupRequest {
  std::string group_name, marker;
  std::optional<int> max_items;
};

struct GetGroupResponse {
  Group group;
  std::vector<GroupMember> users;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct ListGroupsRequest {
  std::string path_prefix, marker;
  std::optional<int> max_items;
};

struct ListGroupsResponse {
  std::vector<Group> groups;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct UpdateGroupRequest {
  std::string group_name, new_path, new_group_name;
};

struct DeleteGroupRequest {
  std::string group_name;
};

struct GroupUserRequest {
  std::string group_name, user_name;
};

struct ListGroupsForUserRequest {
  std::string user_name, marker;
  std::optional<int> max_items;
};

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::Group, path, group_name, group_id, arn, create_date)
KILN_WIRE(kiln::services::iam::GroupMember, path, user_name, user_id, arn, create_date)
KILN_WIRE(kiln::services::iam::CreateGroupRequest, path, group_name)
KILN_WIRE(kiln::services::iam::CreateGroupResponse, group)
KILN_WIRE(kiln::services::iam::GetGroupRequest, group_name, marker, max_items)
KILN_WIRE(kiln::services::iam::GetGroupResponse, group, users, is_truncated, marker)
KILN_WIRE(kiln::services::iam::ListGroupsRequest, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::ListGroupsResponse, groups, is_truncated, marker)
KILN_WIRE(kiln::services::iam::UpdateGroupRequest, group_name, new_path, new_group_name)
KILN_WIRE(kiln::services::iam::DeleteGroupRequest, group_name)
KILN_WIRE(kiln::services::iam::GroupUserRequest, group_name, user_name)
KILN_WIRE(kiln::services::iam::ListGroupsForUserRequest, user_name, marker, max_items)

namespace kiln::services::iam {
namespace {

using catalog::IamIdentity;
using control::group_kind;

Group to_shape(const IamIdentity& row) {
  return {.path = row.path, .group_name = row.name, .group_id = row.id, .arn = row.arn(), .create_date = {row.created}};
}

const auto name_of = [](const IamIdentity& row) { return row.name; };

CreateGroupResponse create_group(Call& call, const CreateGroupRequest& request) {
  return {to_shape(control::create_identity(call.region, call.principal.account,
                                            {.kind = group_kind,
                                             .name = request.group_name,
                                             .path = request.path,
                                             .description = {},
                                             .trust_policy = {},
                                             .boundary = {},
                                             .tags = {}}))};
}

GetGroupResponse get_group(Call& call, const GetGroupRequest& request) {
  const auto group = control::identity(call.region, call.principal.account, group_kind, request.group_name);
  GetGroupResponse response{.group = to_shape(group), .users = {}, .marker = {}};
  auto rows = control::members_of(call.region, group);
  cut_page(rows, request, response, name_of);
  for (const auto& row : rows) {
    response.users.push_back(
        {.path = row.path, .user_name = row.name, .user_id = row.id, .arn = row.arn(), .create_date = {row.created}});
  }
  return response;
}

ListGroupsResponse list_groups(Call& call, const ListGroupsRequest& request) {
  ListGroupsResponse response;
  auto rows = control::identities(call.region, call.principal.account, group_kind, request.path_prefix);
  cut_page(rows, request, response, name_of);
  for (const auto& row : rows) response.groups.push_back(to_shape(row));
  return response;
}

Done update_group(Call& call, const UpdateGroupRequest& request) {
  control::change_identity(call.region, call.principal.account, group_kind, request.group_name,
                           {.name = request.new_group_name,
                            .path = request.new_path,
                            .description = {},
                            .trust_policy = {},
                            .boundary = {},
                            .max_session_seconds = {}});
  return {};
}

Done delete_group(Call& call, const DeleteGroupRequest& request) {
  control::delete_identity(call.region, call.principal.account, group_kind, request.group_name);
  return {};
}

Done add_user_to_group(Call& call, const GroupUserRequest& request) {
  control::add_member(call.region, call.principal.account, group_kind, request.group_name, request.user_name);
  return {};
}

Done remove_user_from_group(Call& call, const GroupUserRequest& request) {
  control::remove_member(call.region, call.principal.account, group_kind, request.group_name, request.user_name);
  return {};
}

ListGroupsResponse list_groups_for_user(Call& call, const ListGroupsForUserRequest& request) {
  const auto user = control::identity(call.region, call.principal.account, control::user_kind, request.user_name);
  ListGroupsResponse response;
  auto rows = control::holders_of(call.region, user, group_kind);
  cut_page(rows, request, response, name_of);
  for (const auto& row : rows) response.groups.push_back(to_shape(row));
  return response;
}

constexpr Operation operations[] = {
    operation<add_user_to_group>("AddUserToGroup", Access::writes),
    operation<create_group>("CreateGroup", Access::writes),
    operation<delete_group>("DeleteGroup", Access::writes),
    operation<get_group>("GetGroup", Access::reads),
    operation<list_groups>("ListGroups", Access::reads),
    operation<list_groups_for_user>("ListGroupsForUser", Access::reads),
    operation<remove_user_from_group>("RemoveUserFromGroup", Access::writes),
    operation<update_group>("UpdateGroup", Access::writes),
};

}  // namespace

std::span<const Operation> group_operations() { return operations; }

}  // namespace kiln::services::iam
