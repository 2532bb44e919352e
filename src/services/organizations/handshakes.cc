// InviteAccountToOrganization, AcceptHandshake, DeclineHandshake, CancelHandshake, DescribeHandshake,
// ListHandshakesForAccount, ListHandshakesForOrganization.
#include "services/organizations/operations.h"

namespace kiln::services::organizations {

struct HandshakeParty {
  std::string id, type;
};

struct HandshakeResource {
  std::string value, type;
};

struct Handshake {
  std::string id, arn;
  std::vector<HandshakeParty> parties;
  std::string state;
  wire::Timestamp requested_timestamp, expiration_timestamp;
  std::string action = "INVITE";
  std::vector<HandshakeResource> resources;
};

struct InviteAccountToOrganizationRequest {
  HandshakeParty target;
  std::string notes;
};

struct HandshakeRequest {
  std::string handshake_id;
};

struct HandshakeResponse {
  Handshake handshake;
};

struct ListHandshakesRequest {
  std::string next_token;
  std::optional<int> max_results;
};

struct ListHandshakesResponse {
  std::vector<Handshake> handshakes;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::organizations

KILN_WIRE(kiln::services::organizations::HandshakeParty, id, type)
KILN_WIRE(kiln::services::organizations::HandshakeResource, value, type)
KILN_WIRE(kiln::services::organizations::Handshake, id, arn, parties, state, requested_timestamp, expiration_timestamp,
          action, resources)
KILN_WIRE(kiln::services::organizations::InviteAccountToOrganizationRequest, target, notes)
KILN_WIRE(kiln::services::organizations::HandshakeRequest, handshake_id)
KILN_WIRE(kiln::services::organizations::HandshakeResponse, handshake)
KILN_WIRE(kiln::services::organizations::ListHandshakesRequest, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListHandshakesResponse, handshakes, next_token)

namespace kiln::services::organizations {
namespace {

Handshake to_shape(Call& call, const catalog::OrganizationInvitation& row) {
  const auto organization = catalog::in_read(
      call.region.catalog, [&](catalog::Txn& txn) { return catalog::find_organization(txn, row.organization_id); });
  Handshake shape{
      .id = row.id,
      .arn = organization ? organization->arn_of("handshake", "invite/" + row.id) : "",
      .parties = {{.id = row.organization_id.substr(2), .type = "ORGANIZATION"},
                  {.id = row.account, .type = "ACCOUNT"}},
      .state = row.state,
      .requested_timestamp = {row.requested},
      .expiration_timestamp = {row.expires},
      .resources = {{.value = row.organization_id, .type = "ORGANIZATION"}, {.value = row.account, .type = "ACCOUNT"}}};
  if (!row.notes.empty()) shape.resources.push_back({.value = row.notes, .type = "NOTES"});
  return shape;
}

HandshakeResponse invite(Call& call, const InviteAccountToOrganizationRequest& request) {
  if (request.target.type != "ACCOUNT") {
    throw base::ApiError("InvalidInputException",
                         "You specified an invalid value: accounts are invited by their id, with the type ACCOUNT.",
                         400, "INVALID_PARTY_TYPE_TARGET");
  }
  return {to_shape(call, control::invite_account(call.region, call.principal, request.target.id, request.notes))};
}

template <control::Answer answer>
HandshakeResponse answer_handshake(Call& call, const HandshakeRequest& request) {
  return {to_shape(call, control::answer_invitation(call.region, call.principal, request.handshake_id, answer))};
}

HandshakeResponse describe(Call& call, const HandshakeRequest& request) {
  return {to_shape(call, control::invitation(call.region, call.principal, request.handshake_id))};
}

ListHandshakesResponse to_page(Call& call, const std::vector<catalog::OrganizationInvitation>& rows,
                               const ListHandshakesRequest& request) {
  ListHandshakesResponse response;
  for (const auto& row : rows) response.handshakes.push_back(to_shape(call, row));
  response.next_token = cut_page(response.handshakes, {request.next_token, request.max_results},
                                 [](const Handshake& handshake) { return handshake.id; });
  return response;
}

ListHandshakesResponse list_for_account(Call& call, const ListHandshakesRequest& request) {
  return to_page(call, control::invitations_to(call.region, call.principal), request);
}

ListHandshakesResponse list_for_organization(Call& call, const ListHandshakesRequest& request) {
  return to_page(call, control::invitations_from(call.region, call.principal), request);
}

constexpr Operation operations[] = {
    operation<answer_handshake<control::Answer::accept>>("AcceptHandshake", Access::writes),
    operation<answer_handshake<control::Answer::cancel>>("CancelHandshake", Access::writes),
    operation<answer_handshake<control::Answer::decline>>("DeclineHandshake", Access::writes),
    operation<describe>("DescribeHandshake", Access::reads),
    operation<invite>("InviteAccountToOrganization", Access::writes),
    operation<list_for_account>("ListHandshakesForAccount", Access::reads),
    operation<list_for_organization>("ListHandshakesForOrganization", Access::reads),
};

}  // namespace

std::span<const Operation> handshake_operations() { return operations; }

}  // namespace kiln::services::organizations
