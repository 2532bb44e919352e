#include "control/organization_rows.h"

#include "base/api_error.h"

namespace kiln::control {

using base::ApiError;

catalog::Organization organization_of(catalog::Txn& txn, const Principal& caller) {
  const auto member = catalog::find_organization_member(txn, caller.account);
  auto organization = member ? catalog::find_organization(txn, member->organization_id) : std::nullopt;
  if (!organization) {
    throw ApiError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.");
  }
  return *std::move(organization);
}

catalog::Organization managed_organization(catalog::Txn& txn, const Principal& caller) {
  auto organization = organization_of(txn, caller);
  if (organization.master_account != caller.account) {
    throw ApiError("AccessDeniedException", "You don't have permissions to access this resource.");
  }
  return organization;
}

catalog::OrganizationMember own_member(catalog::Txn& txn, const catalog::Organization& organization,
                                       const std::string& account) {
  auto member = catalog::find_organization_member(txn, account);
  if (!member || member->organization_id != organization.id) {
    throw ApiError("AccountNotFoundException", "You specified an account that doesn't exist.");
  }
  return *std::move(member);
}

void join_organization(catalog::Txn& txn, const catalog::Organization& organization,
                       const catalog::OrganizationMember& member) {
  catalog::insert(txn, member);
  catalog::write_memberships(txn, organization, member.account);
}

std::string default_email(const std::string& account) { return account + "@localhost"; }

}  // namespace kiln::control
