// The policies of users, groups and roles: Attach...Policy, Detach...Policy, ListAttached...Policies, Put...Policy,
// Get...Policy, Delete...Policy, List...Policies. The three kinds differ in the name of one parameter, so each request
// is written thrice and each function once.
#include "base/text.h"
#include "control/iam_policies.h"
#include "services/iam/operations.h"

namespace kiln::services::iam {

struct OfUser {
  static constexpr const char* kind = control::user_kind;
  std::string user_name;
  const std::string& name() const { return user_name; }
};
struct OfGroup {
  static constexpr const char* kind = control::group_kind;
  std::string group_name;
  const std::string& name() const { return group_name; }
};
struct OfRole {
  static constexpr const char* kind = control::role_kind;
  std::string role_name;
  const std::string& name() const { return role_name; }
};

template <class Of>
struct Attachment : Of {
  std::string policy_arn;
};

template <class Of>
struct ListAttached : Of {
  std::string path_prefix, marker;
  std::optional<int> max_items;
};

struct AttachedPolicy {
  std::string policy_name, policy_arn;
};

struct ListAttachedResponse {
  std::vector<AttachedPolicy> attached_policies;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

template <class Of>
struct InlinePolicy : Of {
  std::string policy_name, policy_document;
};

template <class Of>
struct InlinePolicyName : Of {
  std::string policy_name;
};

template <class Of>
struct ListInline : Of {
  std::string marker;
  std::optional<int> max_items;
};

struct ListInlineResponse {
  std::vector<std::string> policy_names;
  bool is_truncated = false;
  std::optional<std::string> marker;
};

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::Attachment<kiln::services::iam::OfUser>, user_name, policy_arn)
KILN_WIRE(kiln::services::iam::Attachment<kiln::services::iam::OfGroup>, group_name, policy_arn)
KILN_WIRE(kiln::services::iam::Attachment<kiln::services::iam::OfRole>, role_name, policy_arn)
KILN_WIRE(kiln::services::iam::ListAttached<kiln::services::iam::OfUser>, user_name, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::ListAttached<kiln::services::iam::OfGroup>, group_name, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::ListAttached<kiln::services::iam::OfRole>, role_name, path_prefix, marker, max_items)
KILN_WIRE(kiln::services::iam::AttachedPolicy, policy_name, policy_arn)
KILN_WIRE(kiln::services::iam::ListAttachedResponse, attached_policies, is_truncated, marker)
KILN_WIRE(kiln::services::iam::InlinePolicy<kiln::services::iam::OfUser>, user_name, policy_name, policy_document)
KILN_WIRE(kiln::services::iam::InlinePolicy<kiln::services::iam::OfGroup>, group_name, policy_name, policy_document)
KILN_WIRE(kiln::services::iam::InlinePolicy<kiln::services::iam::OfRole>, role_name, policy_name, policy_document)
KILN_WIRE(kiln::services::iam::InlinePolicyName<kiln::services::iam::OfUser>, user_name, policy_name)
KILN_WIRE(kiln::services::iam::InlinePolicyName<kiln::services::iam::OfGroup>, group_name, policy_name)
KILN_WIRE(kiln::services::iam::InlinePolicyName<kiln::services::iam::OfRole>, role_name, policy_name)
KILN_WIRE(kiln::services::iam::ListInline<kiln::services::iam::OfUser>, user_name, marker, max_items)
KILN_WIRE(kiln::services::iam::ListInline<kiln::services::iam::OfGroup>, group_name, marker, max_items)
KILN_WIRE(kiln::services::iam::ListInline<kiln::services::iam::OfRole>, role_name, marker, max_items)
KILN_WIRE(kiln::services::iam::ListInlineResponse, policy_names, is_truncated, marker)

namespace kiln::services::iam {
namespace {

template <class Of>
catalog::IamIdentity find(Call& call, const Of& of) {
  return control::identity(call.region, call.principal.account, Of::kind, of.name());
}

template <class Of>
Done attach(Call& call, const Attachment<Of>& request) {
  control::attach_policy(call.region, call.principal.account, Of::kind, request.name(), request.policy_arn);
  return {};
}

template <class Of>
Done detach(Call& call, const Attachment<Of>& request) {
  control::detach_policy(call.region, call.principal.account, Of::kind, request.name(), request.policy_arn);
  return {};
}

template <class Of>
ListAttachedResponse list_attached(Call& call, const ListAttached<Of>& request) {
  ListAttachedResponse response;
  for (const auto& row : control::attachments_of(call.region, find<Of>(call, request))) {
    const auto policy = control::managed_policy(call.region, call.principal.account, row.policy_arn);
    if (policy.path.starts_with(request.path_prefix))
      response.attached_policies.push_back({policy.name, row.policy_arn});
  }
  cut_page(response.attached_policies, request, response, [](const AttachedPolicy& each) { return each.policy_arn; });
  return response;
}

template <class Of>
Done put_inline(Call& call, const InlinePolicy<Of>& request) {
  control::put_inline_policy(call.region, call.principal.account, Of::kind, request.name(),
                             {.identity_id = {}, .name = request.policy_name, .document = request.policy_document});
  return {};
}

template <class Of>
InlinePolicy<Of> get_inline(Call& call, const InlinePolicyName<Of>& request) {
  const auto row = control::inline_policy(call.region, find<Of>(call, request), request.policy_name);
  InlinePolicy<Of> response;
  static_cast<Of&>(response) = request;
  response.policy_name = row.name;
  response.policy_document = base::percent_encode(row.document);
  return response;
}

template <class Of>
Done delete_inline(Call& call, const InlinePolicyName<Of>& request) {
  control::delete_inline_policy(call.region, call.principal.account, Of::kind, request.name(), request.policy_name);
  return {};
}

template <class Of>
ListInlineResponse list_inline(Call& call, const ListInline<Of>& request) {
  ListInlineResponse response;
  for (const auto& row : control::inline_policies(call.region, find<Of>(call, request))) {
    response.policy_names.push_back(row.name);
  }
  cut_page(response.policy_names, request, response, [](const std::string& name) { return name; });
  return response;
}

constexpr Operation operations[] = {
    operation<attach<OfGroup>>("AttachGroupPolicy", Access::writes),
    operation<attach<OfRole>>("AttachRolePolicy", Access::writes),
    operation<attach<OfUser>>("AttachUserPolicy", Access::writes),
    operation<delete_inline<OfGroup>>("DeleteGroupPolicy", Access::writes),
    operation<delete_inline<OfRole>>("DeleteRolePolicy", Access::writes),
    operation<delete_inline<OfUser>>("DeleteUserPolicy", Access::writes),
    operation<detach<OfGroup>>("DetachGroupPolicy", Access::writes),
    operation<detach<OfRole>>("DetachRolePolicy", Access::writes),
    operation<detach<OfUser>>("DetachUserPolicy", Access::writes),
    operation<get_inline<OfGroup>>("GetGroupPolicy", Access::reads),
    operation<get_inline<OfRole>>("GetRolePolicy", Access::reads),
    operation<get_inline<OfUser>>("GetUserPolicy", Access::reads),
    operation<list_attached<OfGroup>>("ListAttachedGroupPolicies", Access::reads),
    operation<list_attached<OfRole>>("ListAttachedRolePolicies", Access::reads),
    operation<list_attached<OfUser>>("ListAttachedUserPolicies", Access::reads),
    operation<list_inline<OfGroup>>("ListGroupPolicies", Access::reads),
    operation<list_inline<OfRole>>("ListRolePolicies", Access::reads),
    operation<list_inline<OfUser>>("ListUserPolicies", Access::reads),
    operation<put_inline<OfGroup>>("PutGroupPolicy", Access::writes),
    operation<put_inline<OfRole>>("PutRolePolicy", Access::writes),
    operation<put_inline<OfUser>>("PutUserPolicy", Access::writes),
};

}  // namespace

std::span<const Operation> identity_policy_operations() { return operations; }

}  // namespace kiln::services::iam
