#pragma once
// What the functions of organizations.h have in common: who may, and who is in. In the caller's transaction.

#include <string>

#include "catalog/organizations.h"
#include "control/principal.h"

namespace kiln::control {

// Throw AWSOrganizationsNotInUseException, AccessDeniedException.
catalog::Organization organization_of(catalog::Txn& txn, const Principal& caller);
catalog::Organization managed_organization(catalog::Txn& txn, const Principal& caller);
// Throws AccountNotFoundException.
catalog::OrganizationMember own_member(catalog::Txn& txn, const catalog::Organization& organization,
                                       const std::string& account);
void join_organization(catalog::Txn& txn, const catalog::Organization& organization,
                       const catalog::OrganizationMember& member);
// Of an account that nobody named one for.
std::string default_email(const std::string& account);

}  // namespace kiln::control
