// Managed policies: CreatePolicy, GetPolicy, ListPolicies, DeletePolicy, CreatePolicyVersion, GetPolicyVersion,
// ListPolicyVersions, DeletePolicyVersion, SetDefaultPolicyVersion, ListEntitiesForPolicy, TagPolicy, UntagPolicy,
// ListPolicyTags.
#include "base/text.h"
#include "control/iam_policies.h"
#include "services/iam/operations.h"

namespace kiln::services::iam {

struct Policy {
  std::string policy_name, policy_id, arn, path, default_version_id, description;
  int attachment_count = 0, permissions_boundary_usage_count = 0;
  bool is_attachable = true;
  wire::Timestamp create_date, update_date;
  std::vector<Tag> tags;
};

struct CreatePolicyRequest {
  std::string policy_name, path = "/", policy_document, description;
  std::vector<Tag> tags;
};

struct PolicyResponse {
  Policy policy;
};

struct PolicyRequest {
  std::string policy_arn;
};

struct ListPoliciesRequest {
  std::string scope = "All", path_prefix, marker;
  bool only_attached = false;
  std::optional<int> max_items;
};

struct ListPoliciesResponse {
  std::vector<Policy> policies;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct PolicyVersion {
  std::optional<std::string> document;
  std::string version_id;
  bool is_default_version = false;
  wire::Timestamp create_date;
};

struct CreatePolicyVersionRequest {
  std::string policy_arn, policy_document;
  bool set_as_default = false;
};

struct PolicyVersionResponse {
  PolicyVersion policy_version;
};

struct PolicyVersionRequest {
  std::string policy_arn, version_id;
};

struct PolicyPageRequest {
  std::string policy_arn, marker;
  std::optional<int> max_items;
};

struct ListPolicyVersionsResponse {
  std::vector<PolicyVersion> versions;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct ListEntitiesForPolicyRequest {
  std::string policy_arn, entity_filter, path_prefix, policy_usage_filter = "PermissionsPolicy", marker;
  std::optional<int> max_items;
};

struct PolicyUser {
  std::string user_name, user_id;
};
struct PolicyGroup {
  std::string group_name, group_id;
};
struct PolicyRole {
  std::string role_name, role_id;
};

struct ListEntitiesForPolicyResponse {
  std::vector<PolicyGroup> policy_groups;
  std::vector<PolicyUser> policy_users;
  std::vector<PolicyRole> policy_roles;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

struct TagPolicyRequest {
  std::string policy_arn;
  std::vector<Tag> tags;
};

struct UntagPolicyRequest {
  std::string policy_arn;
  std::vector<std::string> tag_keys;
};

struct ListPolicyTagsResponse {
  std::vector<Tag> tags;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::Policy, policy_name, policy_id, arn, path, default_version_id, description,
          attachment_count, permissions_boundary_usage_count, is_attachable, create_date, update_date, tags)
KILN_WIRE(kiln::services::iam::CreatePolicyRequest, policy_name, path, policy_document, description, tags)
KILN_WIRE(kiln::services::iam::PolicyResponse, policy)
KILN_WIRE(kiln::services::iam::PolicyRequest, policy_arn)
KILN_WIRE(kiln::services::iam::ListPoliciesRequest, scope, path_prefix, marker, only_attached, max_items)
KILN_WIRE(kiln::services::iam::ListPoliciesResponse, policies, is_truncated, marker)
KILN_WIRE(kiln::services::iam::PolicyVersion, document, version_id, is_default_version, create_date)
KILN_WIRE(kiln::services::iam::CreatePolicyVersionRequest, policy_arn, policy_document, set_as_default)
KILN_WIRE(kiln::services::iam::PolicyVersionResponse, policy_version)
KILN_WIRE(kiln::services::iam::PolicyVersionRequest, policy_arn, version_id)
KILN_WIRE(kiln::services::iam::PolicyPageRequest, policy_arn, marker, max_items)
KILN_WIRE(kiln::services::iam::ListPolicyVersionsResponse, versions, is_truncated, marker)
KILN_WIRE(kiln::services::iam::ListEntitiesForPolicyRequest, policy_arn, entity_filter, path_prefix,
          policy_usage_filter, marker, max_items)
KILN_WIRE(kiln::services::iam::PolicyUser, user_name, user_id)
KILN_WIRE(kiln::services::iam::PolicyGroup, group_name, group_id)
KILN_WIRE(kiln::services::iam::PolicyRole, role_name, role_id)
KILN_WIRE(kiln::services::iam::ListEntitiesForPolicyResponse, policy_groups, policy_users, policy_roles, is_truncated,
          marker)
KILN_WIRE(kiln::services::iam::TagPolicyRequest, policy_arn, tags)
KILN_WIRE(kiln::services::iam::UntagPolicyRequest, policy_arn, tag_keys)
KILN_WIRE(kiln::services::iam::ListPolicyTagsResponse, tags, is_truncated, marker)

namespace kiln::services::iam {
namespace {

using base::ApiError;
using catalog::IamPolicy;
using catalog::IamPolicyVersion;

void check_one_of(const std::string& value, const char* what, std::initializer_list<std::string_view> allowed) {
  if (std::ranges::find(allowed, value) != allowed.end()) return;
  throw ApiError("ValidationError", "1 validation error detected: Value '" + value + "' at '" + what +
                                        "' failed to satisfy constraint: Member must satisfy enum value set");
}

std::string arn_of(const IamPolicy& row) { return row.arn(); }

Policy to_shape(Call& call, const IamPolicy& row) {
  const auto& account = call.principal.account;
  const auto count = [&](bool limits) {
    return static_cast<int>(control::attached_to(call.region, account, row.arn(), limits).size());
  };
  return {.policy_name = row.name,
          .policy_id = row.id,
          .arn = row.arn(),
          .path = row.path,
          .default_version_id = "v" + std::to_string(row.default_version),
          .description = row.description,
          .attachment_count = count(false),
          .permissions_boundary_usage_count = count(true),
          .create_date = {row.created},
          .update_date = {row.updated},
          .tags = {}};
}

PolicyVersion to_shape(const IamPolicyVersion& row, const IamPolicy& policy, bool with_document) {
  return {.document = with_document ? std::optional(base::percent_encode(row.document)) : std::nullopt,
          .version_id = "v" + std::to_string(row.version),
          .is_default_version = row.version == policy.default_version,
          .create_date = {row.created}};
}

IamPolicy find(Call& call, const std::string& arn) {
  return control::managed_policy(call.region, call.principal.account, arn);
}

IamPolicy find_own(Call& call, const std::string& arn) {
  auto row = find(call, arn);
  if (row.account != call.principal.account) {
    throw ApiError("AccessDenied", "The policy " + arn + " belongs to AWS and cannot be changed.", 403);
  }
  return row;
}

PolicyResponse create_policy(Call& call, const CreatePolicyRequest& request) {
  const auto row = control::create_managed_policy(call.region, call.principal.account,
                                                  {.name = request.policy_name,
                                                   .path = request.path,
                                                   .description = request.description,
                                                   .document = request.policy_document,
                                                   .tags = to_tags(request.tags)});
  PolicyResponse response{to_shape(call, row)};
  response.policy.tags = request.tags;
  return response;
}

PolicyResponse get_policy(Call& call, const PolicyRequest& request) {
  const auto row = find(call, request.policy_arn);
  PolicyResponse response{to_shape(call, row)};
  response.policy.tags = tags_of(call, row.id);
  return response;
}

ListPoliciesResponse list_policies(Call& call, const ListPoliciesRequest& request) {
  check_one_of(request.scope, "scope", {"All", "AWS", "Local"});
  std::vector<IamPolicy> rows;
  if (request.scope != "Local") rows = control::aws_managed_policies();
  if (request.scope != "AWS") {
    for (auto& row : control::managed_policies(call.region, call.principal.account)) rows.push_back(std::move(row));
  }
  std::erase_if(rows, [&](const IamPolicy& row) {
    return !row.path.starts_with(request.path_prefix) ||
           (request.only_attached &&
            control::attached_to(call.region, call.principal.account, row.arn(), false).empty());
  });
  ListPoliciesResponse response;
  cut_page(rows, request, response, arn_of);
  for (const auto& row : rows) response.policies.push_back(to_shape(call, row));
  return response;
}

Done delete_policy(Call& call, const PolicyRequest& request) {
  control::delete_managed_policy(call.region, call.principal.account, request.policy_arn);
  return {};
}

PolicyVersionResponse create_policy_version(Call& call, const CreatePolicyVersionRequest& request) {
  const auto made = control::create_policy_version(call.region, call.principal.account, request.policy_arn,
                                                   request.policy_document, request.set_as_default);
  return {to_shape(made, find(call, request.policy_arn), false)};
}

PolicyVersionResponse get_policy_version(Call& call, const PolicyVersionRequest& request) {
  const auto row = control::policy_version(call.region, call.principal.account, request.policy_arn, request.version_id);
  return {to_shape(row, find(call, request.policy_arn), true)};
}

ListPolicyVersionsResponse list_policy_versions(Call& call, const PolicyPageRequest& request) {
  const auto policy = find(call, request.policy_arn);
  auto rows = control::policy_versions(call.region, call.principal.account, request.policy_arn);
  ListPolicyVersionsResponse response;
  cut_page(rows, request, response, [](const IamPolicyVersion& row) { return "v" + std::to_string(row.version); });
  for (const auto& row : rows) response.versions.push_back(to_shape(row, policy, false));
  return response;
}

Done delete_policy_version(Call& call, const PolicyVersionRequest& request) {
  control::delete_policy_version(call.region, call.principal.account, request.policy_arn, request.version_id);
  return {};
}

Done set_default_policy_version(Call& call, const PolicyVersionRequest& request) {
  control::set_default_version(call.region, call.principal.account, request.policy_arn, request.version_id);
  return {};
}

ListEntitiesForPolicyResponse list_entities_for_policy(Call& call, const ListEntitiesForPolicyRequest& request) {
  check_one_of(request.policy_usage_filter, "policyUsageFilter", {"PermissionsPolicy", "PermissionsBoundary"});
  check_one_of(request.entity_filter, "entityFilter",
               {"", "User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"});
  const auto policy = find(call, request.policy_arn);
  auto rows = control::attached_to(call.region, call.principal.account, policy.arn(),
                                   request.policy_usage_filter == "PermissionsBoundary");
  std::erase_if(rows, [&](const catalog::IamIdentity& row) {
    const bool other = !request.entity_filter.empty() && base::lower(request.entity_filter) != row.kind;
    return other || !row.path.starts_with(request.path_prefix);
  });
  ListEntitiesForPolicyResponse response;
  cut_page(rows, request, response, [](const catalog::IamIdentity& row) { return row.id; });
  for (const auto& row : rows) {
    if (row.kind == control::user_kind) response.policy_users.push_back({row.name, row.id});
    if (row.kind == control::group_kind) response.policy_groups.push_back({row.name, row.id});
    if (row.kind == control::role_kind) response.policy_roles.push_back({row.name, row.id});
  }
  return response;
}

Done tag_policy(Call& call, const TagPolicyRequest& request) {
  control::set_iam_tags(call.region, find_own(call, request.policy_arn).id, to_tags(request.tags));
  return {};
}

Done untag_policy(Call& call, const UntagPolicyRequest& request) {
  control::remove_iam_tags(call.region, find_own(call, request.policy_arn).id, request.tag_keys);
  return {};
}

ListPolicyTagsResponse list_policy_tags(Call& call, const PolicyPageRequest& request) {
  ListPolicyTagsResponse response{.tags = tags_of(call, find(call, request.policy_arn).id), .marker = {}};
  cut_page(response.tags, request, response, [](const Tag& tag) { return tag.key; });
  return response;
}

constexpr Operation operations[] = {
    operation<create_policy>("CreatePolicy", Access::writes),
    operation<create_policy_version>("CreatePolicyVersion", Access::writes),
    operation<delete_policy>("DeletePolicy", Access::writes),
    operation<delete_policy_version>("DeletePolicyVersion", Access::writes),
    operation<get_policy>("GetPolicy", Access::reads),
    operation<get_policy_version>("GetPolicyVersion", Access::reads),
    operation<list_entities_for_policy>("ListEntitiesForPolicy", Access::reads),
    operation<list_policies>("ListPolicies", Access::reads),
    operation<list_policy_tags>("ListPolicyTags", Access::reads),
    operation<list_policy_versions>("ListPolicyVersions", Access::reads),
    operation<set_default_policy_version>("SetDefaultPolicyVersion", Access::writes),
    operation<tag_policy>("TagPolicy", Access::writes),
    operation<untag_policy>("UntagPolicy", Access::writes),
};

}  // namespace

std::span<const Operation> policy_operations() { return operations; }

}  // namespace kiln::services::iam
