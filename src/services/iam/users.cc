// Users and their access keys: CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser, TagUser, UntagUser,
// ListUserTags, PutUserPermissionsBoundary, DeleteUserPermissionsBoundary, CreateAccessKey, DeleteAccessKey,
// UpdateAccessKey, ListAccessKeys.
#include "control/access_keys.h"
#include "control/iam_identities.h"
#include "services/iam/operations.h"

namespace kiln::services::iam {

struct User {
  std::string path, user_name, user_id, arn;
  wire::Timestamp create_date;
  std::optional<Boundary> permissions_boundary;
  std::vector<Tag> tags;
};

struct CreateUserRequest {
  std::string path = "/", user_name, permissions_boundary;
  std::vector<Tag> tags;
};

struct UserResponse {
  User user;
};

struct UserRequest {
  std::string user_name;
};

struct ListUsersRequest {
  std::string path_prefix, marker;
  std::optional<int> max_items;
};

struct ListUsersResponse {
  std::vector<User> users;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct UpdateUserRequest {
  std::string user_name, new_path, new_user_name;
};

struct TagUserRequest {
  std::string user_name;
  std::vector<Tag> tags;
};

struct UntagUserRequest {
  std::string user_name;
  std::vector<std::string> tag_keys;
};

struct ListUserTagsRequest {
  std::string user_name, marker;
  std::optional<int> max_items;
};

struct ListUserTagsResponse {
  std::vector<Tag> tags;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct PutUserPermissionsBoundaryRequest {
  std::string user_name, permissions_boundary;
};

struct AccessKey {
  std::string user_name, access_key_id, status = "Active", secret_access_key;
  wire::Timestamp create_date;
};

struct CreateAccessKeyResponse {
  AccessKey access_key;
};

struct DeleteAccessKeyRequest {
  std::string user_name, access_key_id;
};

struct UpdateAccessKeyRequest {
  std::string user_name, access_key_id, status;
};

struct ListAccessKeysRequest {
  std::string user_name, marker;
  std::optional<int> max_items;
};

struct AccessKeyMetadata {
  std::string user_name, access_key_id, status;
  wire::Timestamp create_date;
};

struct ListAccessKeysResponse {
  std::vector<AccessKeyMetadata> access_key_metadata;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::User, path, user_name, user_id, arn, create_date, permissions_boundary, tags)
KILN_WIRE(kiln::services::iam::CreateUserRequest, path, user_name, permissions_boundary, tags)
KILN_WIRE(kiln::services::iam::UserResponse, user)
KILN_WIRE(kiln::services::iam::UserRequest, user_name)
KILN_WIRE(kiln::services::iam::ListUsersRequest, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::ListUsersResponse, users, is_truncated, marker)
KILN_WIRE(kiln::services::iam::UpdateUserRequest, user_name, new_path, new_user_name)
KILN_WIRE(kiln::services::iam::TagUserRequest, user_name, tags)
KILN_WIRE(kiln::services::iam::UntagUserRequest, user_name, tag_keys)
KILN_WIRE(kiln::services::iam::ListUserTagsRequest, user_name, marker, max_items)
KILN_WIRE(kiln::services::iam::ListUserTagsResponse, tags, is_truncated, marker)
KILN_WIRE(kiln::services::iam::PutUserPermissionsBoundaryRequest, user_name, permissions_boundary)
KILN_WIRE(kiln::services::iam::AccessKey, user_name, access_key_id, status, secret_access_key, create_date)
KILN_WIRE(kiln::services::iam::CreateAccessKeyResponse, access_key)
KILN_WIRE(kiln::services::iam::DeleteAccessKeyRequest, user_name, access_key_id)
KILN_WIRE(kiln::services::iam::UpdateAccessKeyRequest, user_name, access_key_id, status)
KILN_WIRE(kiln::services::iam::ListAccessKeysRequest, user_name, marker, max_items)
KILN_WIRE(kiln::services::iam::AccessKeyMetadata, user_name, access_key_id, status, create_date)
KILN_WIRE(kiln::services::iam::ListAccessKeysResponse, access_key_metadata, is_truncated, marker)

namespace kiln::services::iam {

std::vector<Tag> tags_of(Call& call, const std::string& owner) {
  std::vector<Tag> tags;
  for (const auto& row : control::iam_tags(call.region, owner)) tags.push_back({row.key, row.value});
  return tags;
}

std::optional<Boundary> to_boundary(const std::string& arn) {
  if (arn.empty()) return {};
  return Boundary{.permissions_boundary_arn = arn};
}

namespace {

using base::ApiError;
using catalog::IamIdentity;
using control::user_kind;

User to_shape(const IamIdentity& row) {
  return {.path = row.path,
          .user_name = row.name,
          .user_id = row.id,
          .arn = row.arn(),
          .create_date = {row.created},
          .permissions_boundary = to_boundary(row.boundary),
          .tags = {}};
}

IamIdentity find(Call& call, const std::string& name) {
  return control::identity(call.region, call.principal.account, user_kind, name);
}

// The user that a request is about when it names none: the one who asks.
std::string named_or_self(const Call& call, const std::string& name) {
  if (!name.empty()) return name;
  if (call.principal.user_name.empty()) {
    throw ApiError("ValidationError", "Must specify userName when calling with non-User credentials");
  }
  return call.principal.user_name;
}

UserResponse create_user(Call& call, const CreateUserRequest& request) {
  const auto row = control::create_identity(call.region, call.principal.account,
                                            {.kind = user_kind,
                                             .name = request.user_name,
                                             .path = request.path,
                                             .description = {},
                                             .trust_policy = {},
                                             .boundary = request.permissions_boundary,
                                             .tags = to_tags(request.tags)});
  UserResponse response{to_shape(row)};
  response.user.tags = request.tags;
  return response;
}

UserResponse get_user(Call& call, const UserRequest& request) {
  const auto& who = call.principal;
  if (request.user_name.empty() && who.is_root()) {
    const auto account = catalog::in_read(call.region.catalog,
                                          [&](catalog::Txn& txn) { return catalog::find_account(txn, who.account); });
    return {{.path = "/",
             .user_name = "root",
             .user_id = who.account,
             .arn = who.arn,
             .create_date = {account ? account->created : 0},
             .permissions_boundary = {},
             .tags = {}}};
  }
  const auto row = find(call, named_or_self(call, request.user_name));
  UserResponse response{to_shape(row)};
  response.user.tags = tags_of(call, row.id);
  return response;
}

ListUsersResponse list_users(Call& call, const ListUsersRequest& request) {
  auto rows = control::identities(call.region, call.principal.account, user_kind, request.path_prefix);
  ListUsersResponse response;
  cut_page(rows, request, response, [](const IamIdentity& row) { return row.name; });
  for (const auto& row : rows) response.users.push_back(to_shape(row));
  return response;
}

Done update_user(Call& call, const UpdateUserRequest& request) {
  control::change_identity(call.region, call.principal.account, user_kind, request.user_name,
                           {.name = request.new_user_name,
                            .path = request.new_path,
                            .description = {},
                            .trust_policy = {},
                            .boundary = {},
                            .max_session_seconds = {}});
  return {};
}

Done delete_user(Call& call, const UserRequest& request) {
  control::delete_identity(call.region, call.principal.account, user_kind, request.user_name);
  return {};
}

Done tag_user(Call& call, const TagUserRequest& request) {
  control::set_iam_tags(call.region, find(call, request.user_name).id, to_tags(request.tags));
  return {};
}

Done untag_user(Call& call, const UntagUserRequest& request) {
  control::remove_iam_tags(call.region, find(call, request.user_name).id, request.tag_keys);
  return {};
}

ListUserTagsResponse list_user_tags(Call& call, const ListUserTagsRequest& request) {
  ListUserTagsResponse response{.tags = tags_of(call, find(call, request.user_name).id), .marker = {}};
  cut_page(response.tags, request, response, [](const Tag& tag) { return tag.key; });
  return response;
}

void set_boundary(Call& call, const std::string& name, const std::string& arn) {
  control::change_identity(
      call.region, call.principal.account, user_kind, name,
      {.name = {}, .path = {}, .description = {}, .trust_policy = {}, .boundary = arn, .max_session_seconds = {}});
}

Done put_user_permissions_boundary(Call& call, const PutUserPermissionsBoundaryRequest& request) {
  if (request.permissions_boundary.empty()) {
    throw ApiError("ValidationError",
                   "1 validation error detected: Value null at 'permissionsBoundary' failed to "
                   "satisfy constraint: Member must not be null");
  }
  set_boundary(call, request.user_name, request.permissions_boundary);
  return {};
}

Done delete_user_permissions_boundary(Call& call, const UserRequest& request) {
  if (find(call, request.user_name).boundary.empty()) {
    throw ApiError("NoSuchEntity", "The user " + request.user_name + " has no permissions boundary.", 404);
  }
  set_boundary(call, request.user_name, {});
  return {};
}

CreateAccessKeyResponse create_access_key(Call& call, const UserRequest& request) {
  const auto user = named_or_self(call, request.user_name);
  const auto made = control::create_access_key(call.region, call.principal.account, user);
  return {{.user_name = user,
           .access_key_id = made.id,
           .secret_access_key = made.secret,
           .create_date = {call.region.clock.now()}}};
}

Done delete_access_key(Call& call, const DeleteAccessKeyRequest& request) {
  control::delete_access_key(call.region, call.principal.account, named_or_self(call, request.user_name),
                             request.access_key_id);
  return {};
}

Done update_access_key(Call& call, const UpdateAccessKeyRequest& request) {
  control::set_access_key_status(call.region, call.principal.account, named_or_self(call, request.user_name),
                                 request.access_key_id, request.status);
  return {};
}

ListAccessKeysResponse list_access_keys(Call& call, const ListAccessKeysRequest& request) {
  const auto user = named_or_self(call, request.user_name);
  ListAccessKeysResponse response;
  auto rows = control::access_keys_of_user(call.region, call.principal.account, user);
  cut_page(rows, request, response, [](const catalog::AccessKey& row) { return row.id; });
  for (const auto& row : rows) {
    response.access_key_metadata.push_back({.user_name = user,
                                            .access_key_id = row.id,
                                            .status = row.active ? "Active" : "Inactive",
                                            .create_date = {row.created}});
  }
  return response;
}

constexpr Operation operations[] = {
    operation<create_access_key>("CreateAccessKey", Access::writes),
    operation<create_user>("CreateUser", Access::writes),
    operation<delete_access_key>("DeleteAccessKey", Access::writes),
    operation<delete_user>("DeleteUser", Access::writes),
    operation<delete_user_permissions_boundary>("DeleteUserPermissionsBoundary", Access::writes),
    operation<get_user>("GetUser", Access::reads),
    operation<list_access_keys>("ListAccessKeys", Access::reads),
    operation<list_user_tags>("ListUserTags", Access::reads),
    operation<list_users>("ListUsers", Access::reads),
    operation<put_user_permissions_boundary>("PutUserPermissionsBoundary", Access::writes),
    operation<tag_user>("TagUser", Access::writes),
    operation<untag_user>("UntagUser", Access::writes),
    operation<update_access_key>("UpdateAccessKey", Access::writes),
    operation<update_user>("UpdateUser", Access::writes),
};

}  // namespace

std::span<const Operation> user_operations() { return operations; }

}  // namespace kiln::services::iam
