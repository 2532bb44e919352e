// CreateOrganization, DescribeOrganization, DeleteOrganization, LeaveOrganization, ListRoots.
#include "services/organizations/operations.h"

namespace kiln::services::organizations {

struct PolicyTypeSummary {
  std::string type, status;
};

struct Organization {
  std::string id, arn, feature_set, master_account_arn, master_account_id, master_account_email;
  std::vector<PolicyTypeSummary> available_policy_types;
};

struct CreateOrganizationRequest {
  std::string feature_set;
};

struct OrganizationResponse {
  Organization organization;
};

struct Root {
  std::string id, arn, name = "Root";
  std::vector<PolicyTypeSummary> policy_types;
};

struct ListRootsRequest {
  std::string next_token;
  std::optional<int> max_results;
};

struct ListRootsResponse {
  std::vector<Root> roots;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::organizations

KILN_WIRE(kiln::services::organizations::PolicyTypeSummary, type, status)
KILN_WIRE(kiln::services::organizations::Organization, id, arn, feature_set, master_account_arn, master_account_id,
          master_account_email, available_policy_types)
KILN_WIRE(kiln::services::organizations::CreateOrganizationRequest, feature_set)
KILN_WIRE(kiln::services::organizations::OrganizationResponse, organization)
KILN_WIRE(kiln::services::organizations::Root, id, arn, name, policy_types)
KILN_WIRE(kiln::services::organizations::ListRootsRequest, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListRootsResponse, roots, next_token)

namespace kiln::services::organizations {
namespace {

OrganizationResponse to_response(Call& call, const catalog::Organization& row) {
  return {{.id = row.id,
           .arn = row.arn(),
           .feature_set = row.feature_set,
           .master_account_arn = row.arn_of("account", row.master_account),
           .master_account_id = row.master_account,
           .master_account_email = control::email_of(call.region, row.master_account),
           .available_policy_types = {}}};
}

OrganizationResponse create_organization(Call& call, const CreateOrganizationRequest& request) {
  return to_response(call, control::create_organization(call.region, call.principal, request.feature_set));
}

OrganizationResponse describe_organization(Call& call, const Empty&) {
  return to_response(call, control::organization_of(call.region, call.principal));
}

Empty delete_organization(Call& call, const Empty&) {
  control::delete_organization(call.region, call.principal);
  return {};
}

Empty leave_organization(Call& call, const Empty&) {
  control::leave_organization(call.region, call.principal);
  return {};
}

ListRootsResponse list_roots(Call& call, const ListRootsRequest& request) {
  const auto row = control::managed_organization(call.region, call.principal);
  ListRootsResponse response;
  response.roots.push_back({.id = row.root_id, .arn = row.arn_of("root", row.root_id), .policy_types = {}});
  response.next_token =
      cut_page(response.roots, {request.next_token, request.max_results}, [](const Root& root) { return root.id; });
  return response;
}

constexpr Operation operations[] = {
    operation<create_organization>("CreateOrganization", Access::writes),
    operation<delete_organization>("DeleteOrganization", Access::writes),
    operation<describe_organization>("DescribeOrganization", Access::reads),
    operation<leave_organization>("LeaveOrganization", Access::writes),
    operation<list_roots>("ListRoots", Access::reads),
};

}  // namespace

std::span<const Operation> organization_operations() { return operations; }

}  // namespace kiln::services::organizations
