// CreateRole, GetRole, ListRoles, UpdateRole, UpdateAssumeRolePolicy, DeleteRole, TagRole, UntagRole, ListRoleTags,
// PutRolePermissionsBoundary, DeleteRolePermissionsBoundary.
#include "services/iam/roles.h"

#include "base/text.h"
#include "control/iam_identities.h"

namespace kiln::services::iam {

struct CreateRoleRequest {
  std::string path = "/", role_name, assume_role_policy_document, description, permissions_boundary;
  int max_session_duration = 3600;
  std::vector<Tag> tags;
};

struct RoleResponse {
  Role role;
};

struct RoleRequest {
  std::string role_name;
};

struct ListRolesRequest {
  std::string path_prefix, marker;
  std::optional<int> max_items;
};

struct ListRolesResponse {
  std::vector<Role> roles;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct UpdateRoleRequest {
  std::string role_name;
  std::optional<std::string> description;
  std::optional<int> max_session_duration;
};

struct UpdateAssumeRolePolicyRequest {
  std::string role_name, policy_document;
};

struct TagRoleRequest {
  std::string role_name;
  std::vector<Tag> tags;
};

struct UntagRoleRequest {
  std::string role_name;
  std::vector<std::string> tag_keys;
};

struct ListRoleTagsRequest {
  std::string role_name, marker;
  std::optional<int> max_items;
};

struct ListRoleTagsResponse {
  std::vector<Tag> tags;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct PutRolePermissionsBoundaryRequest {
  std::string role_name, permissions_boundary;
};

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::CreateRoleRequest, path, role_name, assume_role_policy_document, description,
          permissions_boundary, max_session_duration, tags)
KILN_WIRE(kiln::services::iam::RoleResponse, role)
KILN_WIRE(kiln::services::iam::RoleRequest, role_name)
KILN_WIRE(kiln::services::iam::ListRolesRequest, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::ListRolesResponse, roles, is_truncated, marker)
KILN_WIRE(kiln::services::iam::UpdateRoleRequest, role_name, description, max_session_duration)
KILN_WIRE(kiln::services::iam::UpdateAssumeRolePolicyRequest, role_name, policy_document)
KILN_WIRE(kiln::services::iam::TagRoleRequest, role_name, tags)
KILN_WIRE(kiln::services::iam::UntagRoleRequest, role_name, tag_keys)
KILN_WIRE(kiln::services::iam::ListRoleTagsRequest, role_name, marker, max_items)
KILN_WIRE(kiln::services::iam::ListRoleTagsResponse, tags, is_truncated, marker)
KILN_WIRE(kiln::services::iam::PutRolePermissionsBoundaryRequest, role_name, permissions_boundary)

namespace kiln::services::iam {

Role to_shape(const catalog::IamIdentity& role) {
  return {.path = role.path,
          .role_name = role.name,
          .role_id = role.id,
          .arn = role.arn(),
          .create_date = {role.created},
          .assume_role_policy_document = base::percent_encode(role.trust_policy),
          .description = role.description.empty() ? std::nullopt : std::optional(role.description),
          .max_session_duration = static_cast<int>(role.max_session_seconds),
          .permissions_boundary = to_boundary(role.boundary),
          .tags = {}};
}

namespace {

using base::ApiError;
using catalog::IamIdentity;
using control::role_kind;

IamIdentity find(Call& call, const std::string& name) {
  return control::identity(call.region, call.principal.account, role_kind, name);
}

control::IdentityChange no_change() {
  return {.name = {}, .path = {}, .description = {}, .trust_policy = {}, .boundary = {}, .max_session_seconds = {}};
}

IamIdentity change(Call& call, const std::string& name, const control::IdentityChange& what) {
  return control::change_identity(call.region, call.principal.account, role_kind, name, what);
}

RoleResponse create_role(Call& call, const CreateRoleRequest& request) {
  const auto row = control::create_identity(call.region, call.principal.account,
                                            {.kind = role_kind,
                                             .name = request.role_name,
                                             .path = request.path,
                                             .description = request.description,
                                             .trust_policy = request.assume_role_policy_document,
                                             .max_session_seconds = request.max_session_duration,
                                             .boundary = request.permissions_boundary,
                                             .tags = to_tags(request.tags)});
  RoleResponse response{to_shape(row)};
  response.role.tags = request.tags;
  return response;
}

RoleResponse get_role(Call& call, const RoleRequest& request) {
  const auto row = find(call, request.role_name);
  RoleResponse response{to_shape(row)};
  response.role.tags = tags_of(call, row.id);
  return response;
}

ListRolesResponse list_roles(Call& call, const ListRolesRequest& request) {
  ListRolesResponse response;
  auto rows = control::identities(call.region, call.principal.account, role_kind, request.path_prefix);
  cut_page(rows, request, response, [](const IamIdentity& row) { return row.name; });
  for (const auto& row : rows) response.roles.push_back(to_shape(row));
  return response;
}

Done update_role(Call& call, const UpdateRoleRequest& request) {
  auto what = no_change();
  what.description = request.description;
  what.max_session_seconds = request.max_session_duration;
  change(call, request.role_name, what);
  return {};
}

Done update_assume_role_policy(Call& call, const UpdateAssumeRolePolicyRequest& request) {
  auto what = no_change();
  what.trust_policy = request.policy_document;
  change(call, request.role_name, what);
  return {};
}

Done delete_role(Call& call, const RoleRequest& request) {
  control::delete_identity(call.region, call.principal.account, role_kind, request.role_name);
  return {};
}

Done tag_role(Call& call, const TagRoleRequest& request) {
  control::set_iam_tags(call.region, find(call, request.role_name).id, to_tags(request.tags));
  return {};
}

Done untag_role(Call& call, const UntagRoleRequest& request) {
  control::remove_iam_tags(call.region, find(call, request.role_name).id, request.tag_keys);
  return {};
}

ListRoleTagsResponse list_role_tags(Call& call, const ListRoleTagsRequest& request) {
  ListRoleTagsResponse response{.tags = tags_of(call, find(call, request.role_name).id), .marker = {}};
  cut_page(response.tags, request, response, [](const Tag& tag) { return tag.key; });
  return response;
}

Done put_role_permissions_boundary(Call& call, const PutRolePermissionsBoundaryRequest& request) {
  if (request.permissions_boundary.empty()) {
    throw ApiError("ValidationError",
                   "1 validation error detected: Value null at 'permissionsBoundary' failed to "
                   "satisfy constraint: Member must not be null");
  }
  auto what = no_change();
  what.boundary = request.permissions_boundary;
  change(call, request.role_name, what);
  return {};
}

Done delete_role_permissions_boundary(Call& call, const RoleRequest& request) {
  if (find(call, request.role_name).boundary.empty()) {
    throw ApiError("NoSuchEntity", "The role " + request.role_name + " has no permissions boundary.", 404);
  }
  auto what = no_change();
  what.boundary = std::string();
  change(call, request.role_name, what);
  return {};
}

constexpr Operation operations[] = {
    operation<create_role>("CreateRole", Access::writes),
    operation<delete_role>("DeleteRole", Access::writes),
    operation<delete_role_permissions_boundary>("DeleteRolePermissionsBoundary", Access::writes),
    operation<get_role>("GetRole", Access::reads),
    operation<list_role_tags>("ListRoleTags", Access::reads),
    operation<list_roles>("ListRoles", Access::reads),
    operation<put_role_permissions_boundary>("PutRolePermissionsBoundary", Access::writes),
    operation<tag_role>("TagRole", Access::writes),
    operation<untag_role>("UntagRole", Access::writes),
    operation<update_assume_role_policy>("UpdateAssumeRolePolicy", Access::writes),
    operation<update_role>("UpdateRole", Access::writes),
};

}  // namespace

std::span<const Operation> role_operations() { return operations; }

}  // namespace kiln::services::iam
