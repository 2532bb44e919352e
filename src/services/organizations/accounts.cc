// CreateAccount, DescribeCreateAccountStatus, ListCreateAccountStatus, ListAccounts, ListAccountsForParent,
// DescribeAccount, MoveAccount, RemoveAccountFromOrganization.
#include "services/organizations/operations.h"

namespace kiln::services::organizations {

struct CreateAccountRequest {
  std::string email, account_name, role_name;
};

struct CreateAccountStatus {
  std::string id, account_name, state;
  wire::Timestamp requested_timestamp, completed_timestamp;
  std::optional<std::string> account_id, failure_reason;
};

struct CreateAccountResponse {
  CreateAccountStatus create_account_status;
};

struct DescribeCreateAccountStatusRequest {
  std::string create_account_request_id;
};

struct ListCreateAccountStatusRequest {
  std::vector<std::string> states;
  std::string next_token;
  std::optional<int> max_results;
};

struct ListCreateAccountStatusResponse {
  std::vector<CreateAccountStatus> create_account_statuses;
  std::optional<std::string> next_token;
};

struct Account {
  std::string id, arn, email, name, status = "ACTIVE", state = "ACTIVE", joined_method;
  wire::Timestamp joined_timestamp;
};

struct ListAccountsRequest {
  std::string next_token;
  std::optional<int> max_results;
};

struct ListAccountsForParentRequest {
  std::string parent_id, next_token;
  std::optional<int> max_results;
};

struct ListAccountsResponse {
  std::vector<Account> accounts;
  std::optional<std::string> next_token;
};

struct AccountRequest {
  std::string account_id;
};

struct DescribeAccountResponse {
  Account account;
};

struct MoveAccountRequest {
  std::string account_id, source_parent_id, destination_parent_id;
};

}  // namespace kiln::services::organizations

KILN_WIRE(kiln::services::organizations::CreateAccountRequest, email, account_name, role_name)
KILN_WIRE(kiln::services::organizations::CreateAccountStatus, id, account_name, state, requested_timestamp,
          completed_timestamp, account_id, failure_reason)
KILN_WIRE(kiln::services::organizations::CreateAccountResponse, create_account_status)
KILN_WIRE(kiln::services::organizations::DescribeCreateAccountStatusRequest, create_account_request_id)
KILN_WIRE(kiln::services::organizations::ListCreateAccountStatusRequest, states, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListCreateAccountStatusResponse, create_account_statuses, next_token)
KILN_WIRE(kiln::services::organizations::Account, id, arn, email, name, status, state, joined_method, joined_timestamp)
KILN_WIRE(kiln::services::organizations::ListAccountsRequest, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListAccountsForParentRequest, parent_id, next_token, max_results)
KILN_WIRE(kiln::services::organizations::ListAccountsResponse, accounts, next_token)
KILN_WIRE(kiln::services::organizations::AccountRequest, account_id)
KILN_WIRE(kiln::services::organizations::DescribeAccountResponse, account)
KILN_WIRE(kiln::services::organizations::MoveAccountRequest, account_id, source_parent_id, destination_parent_id)

namespace kiln::services::organizations {
namespace {

using base::ApiError;

CreateAccountStatus to_shape(const catalog::AccountCreation& row) {
  const bool failed = row.account.empty();
  return {.id = row.id,
          .account_name = row.name,
          .state = failed ? "FAILED" : "SUCCEEDED",
          .requested_timestamp = {row.requested},
          .completed_timestamp = {row.requested},
          .account_id = failed ? std::nullopt : std::optional(row.account),
          .failure_reason = failed ? std::optional(row.failure_reason) : std::nullopt};
}

Account to_shape(const catalog::Organization& organization, const control::MemberAccount& each) {
  return {.id = each.member.account,
          .arn = organization.arn_of("account", each.member.account),
          .email = each.member.email,
          .name = each.name,
          .joined_method = each.member.joined_method,
          .joined_timestamp = {each.member.joined}};
}

CreateAccountResponse create_account(Call& call, const CreateAccountRequest& request) {
  return {to_shape(control::create_member_account(
      call.region, call.principal,
      {.email = request.email, .name = request.account_name, .role_name = request.role_name}))};
}

CreateAccountResponse describe_create_account_status(Call& call, const DescribeCreateAccountStatusRequest& request) {
  for (const auto& row : control::member_creations(call.region, call.principal)) {
    if (row.id == request.create_account_request_id) return {to_shape(row)};
  }
  throw ApiError("CreateAccountStatusNotFoundException", "You specified a create account request that doesn't exist.");
}

ListCreateAccountStatusResponse list_create_account_status(Call& call, const ListCreateAccountStatusRequest& request) {
  ListCreateAccountStatusResponse response;
  for (const auto& row : control::member_creations(call.region, call.principal)) {
    auto shape = to_shape(row);
    const auto& wanted = request.states;
    if (wanted.empty() || std::ranges::find(wanted, shape.state) != wanted.end()) {
      response.create_account_statuses.push_back(std::move(shape));
    }
  }
  response.next_token = cut_page(response.create_account_statuses, {request.next_token, request.max_results},
                                 [](const CreateAccountStatus& status) { return status.id; });
  return response;
}

ListAccountsResponse to_page(Call& call, const std::vector<control::MemberAccount>& all, const PageRequest& page) {
  const auto organization = control::managed_organization(call.region, call.principal);
  ListAccountsResponse response;
  for (const auto& each : all) response.accounts.push_back(to_shape(organization, each));
  response.next_token = cut_page(response.accounts, page, [](const Account& account) { return account.id; });
  return response;
}

ListAccountsResponse list_accounts(Call& call, const ListAccountsRequest& request) {
  return to_page(call, control::member_accounts(call.region, call.principal),
                 {request.next_token, request.max_results});
}

ListAccountsResponse list_accounts_for_parent(Call& call, const ListAccountsForParentRequest& request) {
  return to_page(call, control::accounts_under(call.region, call.principal, request.parent_id),
                 {request.next_token, request.max_results});
}

DescribeAccountResponse describe_account(Call& call, const AccountRequest& request) {
  const auto organization = control::managed_organization(call.region, call.principal);
  return {to_shape(organization, control::member_account(call.region, call.principal, request.account_id))};
}

Empty move_account(Call& call, const MoveAccountRequest& request) {
  control::move_account(call.region, call.principal, request.account_id, request.source_parent_id,
                        request.destination_parent_id);
  return {};
}

Empty remove_account(Call& call, const AccountRequest& request) {
  control::remove_from_organization(call.region, call.principal, request.account_id);
  return {};
}

constexpr Operation operations[] = {
    operation<create_account>("CreateAccount", Access::writes),
    operation<describe_account>("DescribeAccount", Access::reads),
    operation<describe_create_account_status>("DescribeCreateAccountStatus", Access::reads),
    operation<list_accounts>("ListAccounts", Access::reads),
    operation<list_accounts_for_parent>("ListAccountsForParent", Access::reads),
    operation<list_create_account_status>("ListCreateAccountStatus", Access::reads),
    operation<move_account>("MoveAccount", Access::writes),
    operation<remove_account>("RemoveAccountFromOrganization", Access::writes),
};

}  // namespace

std::span<const Operation> account_operations() { return operations; }

}  // namespace kiln::services::organizations
