// CreateOrganizationalUnit, UpdateOrganizationalUnit, DeleteOrganizationalUnit, DescribeOrganizationalUnit,
// ListOrganizationalUnitsForParent, ListParents, ListChildren.
#include "services/organizations/operations.h"

namespace kiln::services::organizations {

struct OrganizationalUnit {
  std::string id, arn, name;
};

struct CreateOrganizationalUnitRequest {
  std::string parent_id, name;
};

struct UpdateOrganizationalUnitRequest {
  std::string organizational_unit_id, name;
};

struct UnitRequest {
  std::string organizational_unit_id;
};

struct UnitResponse {
  OrganizationalUnit organizational_unit;
};

struct ListUnitsRequest {
  std::string parent_id, next_token;
  std::optional<int> max_results;
};

struct ListUnitsResponse {
  std::vector<OrganizationalUnit> organizational_units;
  std::optional<std::string> next_token;
};

struct ListParentsRequest {
  std::string child_id, next_token;
  std::optional<int> max_results;
};

// A parent or a child.
struct Relative {
  std::string id, type;
};

struct ListParentsResponse {
  std::vector<Relative> parents;
  std::optional<std::string> next_token;
};

struct ListChildrenRequest {
  std::string parent_id, child_type, next_token;
  std::optional<int> max_results;
};

struct ListChildrenResponse {
  std::vector<Relative> children;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::organizations

KILN_WIRE(kiln::services::organizations::OrganizationalUnit, id, arn, name)
KILN_WIRE(kiln::services::organizations::CreateOrganizationalUnitRequest, parent_id, name)
KILN_WIRE(kiln::services::organizations::UpdateOrganizationalUnitRequest, organizational_unit_id, name)
KILN_WIRE(kiln::services::organizations::UnitRequest, organizational_unit_id)
KILN_WIRE(kiln::services::organizations::UnitResponse, organizational_unit)
KILN_WIRE(kiln::services::organizations::ListUnitsRequest, parent_id, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListUnitsResponse, organizational_units, next_token)
KILN_WIRE(kiln::services::organizations::ListParentsRequest, child_id, next_token, max_results)
KILN_WIRE(kiln::services::organizations::Relative, id, type)
KILN_WIRE(kiln::services::organizations::ListParentsResponse, parents, next_token)
KILN_WIRE(kiln::services::organizations::ListChildrenRequest, parent_id, child_type, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListChildrenResponse, children, next_token)

namespace kiln::services::organizations {
namespace {

OrganizationalUnit to_shape(const catalog::Organization& organization, const catalog::OrganizationUnit& row) {
  return {.id = row.id, .arn = organization.arn_of("ou", row.id), .name = row.name};
}

UnitResponse to_response(Call& call, const catalog::OrganizationUnit& row) {
  return {to_shape(control::organization_of(call.region, call.principal), row)};
}

UnitResponse create_unit(Call& call, const CreateOrganizationalUnitRequest& request) {
  return to_response(call,
                     control::create_organization_unit(call.region, call.principal, request.parent_id, request.name));
}

UnitResponse update_unit(Call& call, const UpdateOrganizationalUnitRequest& request) {
  return to_response(call, control::rename_organization_unit(call.region, call.principal,
                                                             request.organizational_unit_id, request.name));
}

UnitResponse describe_unit(Call& call, const UnitRequest& request) {
  return to_response(call, control::organization_unit(call.region, call.principal, request.organizational_unit_id));
}

Empty delete_unit(Call& call, const UnitRequest& request) {
  control::delete_organization_unit(call.region, call.principal, request.organizational_unit_id);
  return {};
}

ListUnitsResponse list_units(Call& call, const ListUnitsRequest& request) {
  const auto organization = control::managed_organization(call.region, call.principal);
  ListUnitsResponse response;
  for (const auto& row : control::units_under(call.region, call.principal, request.parent_id)) {
    response.organizational_units.push_back(to_shape(organization, row));
  }
  response.next_token = cut_page(response.organizational_units, {request.next_token, request.max_results},
                                 [](const OrganizationalUnit& unit) { return unit.id; });
  return response;
}

ListParentsResponse list_parents(Call& call, const ListParentsRequest& request) {
  const auto id = control::parent_of(call.region, call.principal, request.child_id);
  ListParentsResponse response{.parents = {{.id = id, .type = id.starts_with("r-") ? "ROOT" : "ORGANIZATIONAL_UNIT"}},
                               .next_token = {}};
  response.next_token = cut_page(response.parents, {request.next_token, request.max_results},
                                 [](const Relative& each) { return each.id; });
  return response;
}

ListChildrenResponse list_children(Call& call, const ListChildrenRequest& request) {
  ListChildrenResponse response;
  if (request.child_type == "ACCOUNT") {
    for (const auto& each : control::accounts_under(call.region, call.principal, request.parent_id)) {
      response.children.push_back({.id = each.member.account, .type = request.child_type});
    }
  } else if (request.child_type == "ORGANIZATIONAL_UNIT") {
    for (const auto& each : control::units_under(call.region, call.principal, request.parent_id)) {
      response.children.push_back({.id = each.id, .type = request.child_type});
    }
  } else {
    throw base::ApiError("InvalidInputException",
                         "You specified an invalid value: ChildType is ACCOUNT or ORGANIZATIONAL_UNIT.", 400,
                         "INVALID_ENUM");
  }
  response.next_token = cut_page(response.children, {request.next_token, request.max_results},
                                 [](const Relative& each) { return each.id; });
  return response;
}

constexpr Operation operations[] = {
    operation<create_unit>("CreateOrganizationalUnit", Access::writes),
    operation<delete_unit>("DeleteOrganizationalUnit", Access::writes),
    operation<describe_unit>("DescribeOrganizationalUnit", Access::reads),
    operation<list_children>("ListChildren", Access::reads),
    operation<list_parents>("ListParents", Access::reads),
    operation<list_units>("ListOrganizationalUnitsForParent", Access::reads),
    operation<update_unit>("UpdateOrganizationalUnit", Access::writes),
};

}  // namespace

std::span<const Operation> unit_operations() { return operations; }

}  // namespace kiln::services::organizations
