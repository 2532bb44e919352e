// GetKeyPolicy, PutKeyPolicy, ListKeyPolicies, TagResource, UntagResource, ListResourceTags.
#include "control/kms_keys.h"
#include "control/kms_tags.h"
#include "services/kms/operations.h"

namespace kiln::services::kms {

struct GetKeyPolicyRequest {
  std::string key_id, policy_name = "default";
};

struct GetKeyPolicyResponse {
  std::string policy, policy_name;
};

struct PutKeyPolicyRequest {
  std::string key_id, policy_name = "default", policy;
  bool bypass_policy_lockout_safety_check = false;
};

struct ListKeyPoliciesRequest {
  std::string key_id;
  std::optional<int> limit;
  std::string marker;
};

struct ListKeyPoliciesResponse {
  std::vector<std::string> policy_names;
  bool truncated = false;
};

struct TagResourceRequest {
  std::string key_id;
  std::vector<Tag> tags;
};

struct UntagResourceRequest {
  std::string key_id;
  std::vector<std::string> tag_keys;
};

struct ListResourceTagsRequest {
  std::string key_id;
  std::optional<int> limit;
  std::string marker;
};

struct ListResourceTagsResponse {
  std::vector<Tag> tags;
  std::optional<std::string> next_marker;
  bool truncated = false;
};

struct PolicyResponse {};

}  // namespace kiln::services::kms

KILN_WIRE(kiln::services::kms::GetKeyPolicyRequest, key_id, policy_name)
KILN_WIRE(kiln::services::kms::GetKeyPolicyResponse, policy, policy_name)
KILN_WIRE(kiln::services::kms::PutKeyPolicyRequest, key_id, policy_name, policy, bypass_policy_lockout_safety_check)
KILN_WIRE(kiln::services::kms::ListKeyPoliciesRequest, key_id, limit, marker)
KILN_WIRE(kiln::services::kms::ListKeyPoliciesResponse, policy_names, truncated)
KILN_WIRE(kiln::services::kms::TagResourceRequest, key_id, tags)
KILN_WIRE(kiln::services::kms::UntagResourceRequest, key_id, tag_keys)
KILN_WIRE(kiln::services::kms::ListResourceTagsRequest, key_id, limit, marker)
KILN_WIRE(kiln::services::kms::ListResourceTagsResponse, tags, next_marker, truncated)
KILN_WIRE_EMPTY(kiln::services::kms::PolicyResponse)

namespace kiln::services::kms {
namespace {

using base::ApiError;

void check_policy_name(const std::string& name) {
  if (name != "default") throw ApiError("NotFoundException", "No such policy exists");
}

GetKeyPolicyResponse get_key_policy(Call& call, const GetKeyPolicyRequest& request) {
  check_policy_name(request.policy_name);
  const auto row = control::find_key(call.region, {.account = call.principal.account, .principal = &call.principal},
                                     request.key_id, "kms:GetKeyPolicy");
  return {.policy = row.policy, .policy_name = request.policy_name};
}

PolicyResponse put_key_policy(Call& call, const PutKeyPolicyRequest& request) {
  check_policy_name(request.policy_name);
  control::put_key_policy(call.region, call.principal, request.key_id, request.policy,
                          request.bypass_policy_lockout_safety_check);
  return {};
}

ListKeyPoliciesResponse list_key_policies(Call& call, const ListKeyPoliciesRequest& request) {
  control::find_key(call.region, {.account = call.principal.account, .principal = &call.principal}, request.key_id,
                    "kms:ListKeyPolicies");
  ListKeyPoliciesResponse response{.policy_names = {"default"}};
  cut_page(response.policy_names, {request.limit, request.marker, 100, 1000},
           [](const std::string& name) { return name; });
  return response;
}

PolicyResponse tag_resource(Call& call, const TagResourceRequest& request) {
  std::map<std::string, std::string> tags;
  for (const auto& tag : request.tags) {
    if (!tags.emplace(tag.tag_key, tag.tag_value).second) throw ApiError("TagException", "Duplicate tag keys");
  }
  control::tag_key(call.region, call.principal, request.key_id, tags);
  return {};
}

PolicyResponse untag_resource(Call& call, const UntagResourceRequest& request) {
  control::untag_key(call.region, call.principal, request.key_id, request.tag_keys);
  return {};
}

ListResourceTagsResponse list_resource_tags(Call& call, const ListResourceTagsRequest& request) {
  ListResourceTagsResponse response;
  for (const auto& row : control::key_tags(call.region, call.principal, request.key_id)) {
    response.tags.push_back({row.key, row.value});
  }
  const auto next =
      cut_page(response.tags, {request.limit, request.marker, 50, 50}, [](const Tag& tag) { return tag.tag_key; });
  response.truncated = !next.empty();
  if (response.truncated) response.next_marker = next;
  return response;
}

constexpr Operation operations[] = {
    operation<get_key_policy>("GetKeyPolicy", Access::reads),
    operation<list_key_policies>("ListKeyPolicies", Access::reads),
    operation<list_resource_tags>("ListResourceTags", Access::reads),
    operation<put_key_policy>("PutKeyPolicy", Access::writes),
    operation<tag_resource>("TagResource", Access::writes),
    operation<untag_resource>("UntagResource", Access::writes),
};

}  // namespace

std::span<const Operation> policy_operations() { return operations; }

}  // namespace kiln::services::kms
