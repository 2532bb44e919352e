#pragma once
// Organisations: the account that makes one manages it, makes accounts in it, invites others, and puts them into units.
// What is shared with an organisation or a unit is shared with every account below it, at once.
//
// All but its own affairs (which organisation it is in, its invitations, leaving) is the managing account's to see and
// do. Refusals are Organizations' own codes. Request threads; each call is one transaction.

#include <optional>
#include <string>
#include <vector>

#include "catalog/accounts.h"
#include "catalog/organizations.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

struct MemberAccount {
  catalog::OrganizationMember member;
  std::string name;
};

catalog::Organization create_organization(Region& region, const Principal& caller, const std::string& feature_set);
// That the caller is in. Throws AWSOrganizationsNotInUseException.
catalog::Organization organization_of(Region& region, const Principal& caller);
// That the caller manages. Throws AWSOrganizationsNotInUseException, AccessDeniedException.
catalog::Organization managed_organization(Region& region, const Principal& caller);
std::string email_of(Region& region, const std::string& account);
void delete_organization(Region& region, const Principal& caller);

catalog::OrganizationUnit create_organization_unit(Region& region, const Principal& caller, const std::string& parent,
                                                   const std::string& name);
catalog::OrganizationUnit rename_organization_unit(Region& region, const Principal& caller, const std::string& id,
                                                   const std::string& name);
void delete_organization_unit(Region& region, const Principal& caller, const std::string& id);
catalog::OrganizationUnit organization_unit(Region& region, const Principal& caller, const std::string& id);
// Throw ParentNotFoundException.
std::vector<catalog::OrganizationUnit> units_under(Region& region, const Principal& caller, const std::string& parent);
std::vector<MemberAccount> accounts_under(Region& region, const Principal& caller, const std::string& parent);
std::vector<MemberAccount> member_accounts(Region& region, const Principal& caller);
MemberAccount member_account(Region& region, const Principal& caller, const std::string& account);
// Of an account or a unit: the root's id or a unit's. Throws ChildNotFoundException.
std::string parent_of(Region& region, const Principal& caller, const std::string& child);

// A new account, with a role that the managing account may assume.
struct NewMember {
  std::string email, name, role_name;
};
catalog::AccountCreation create_member_account(Region& region, const Principal& caller, const NewMember& what);
std::vector<catalog::AccountCreation> member_creations(Region& region, const Principal& caller);

void move_account(Region& region, const Principal& caller, const std::string& account, const std::string& from,
                  const std::string& to);
void remove_from_organization(Region& region, const Principal& caller, const std::string& account);
void leave_organization(Region& region, const Principal& caller);

catalog::OrganizationInvitation invite_account(Region& region, const Principal& caller, const std::string& account,
                                               const std::string& notes);
enum class Answer { accept, decline, cancel };  // the last one is the inviting account's
catalog::OrganizationInvitation answer_invitation(Region& region, const Principal& caller, const std::string& id,
                                                  Answer answer);
// To or from the caller's account. Throws HandshakeNotFoundException.
catalog::OrganizationInvitation invitation(Region& region, const Principal& caller, const std::string& id);
std::vector<catalog::OrganizationInvitation> invitations_to(Region& region, const Principal& caller);
std::vector<catalog::OrganizationInvitation> invitations_from(Region& region, const Principal& caller);

}  // namespace kiln::control
