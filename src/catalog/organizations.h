#pragma once
// Organisations: accounts under one that manages them, in a tree of units. Not regional.

#include "catalog/table.h"

namespace kiln::catalog {

struct Organization {
  std::string id;              // o- and 10 letters and digits
  std::string master_account;  // that manages it
  std::string feature_set;     // ALL, CONSOLIDATED_BILLING
  std::string root_id;         // r- and 4: the top of its tree
  base::Micros created = 0;

  std::string arn() const;
  // kind: account, ou, root. arn:aws:organizations::123456789012:ou/o-a1b2c3d4e5/ou-ab12-11111111
  std::string arn_of(const std::string& kind, const std::string& what) const;
};

struct OrganizationUnit {
  std::string id;  // ou-, what the root has behind its r-, and 8
  std::string organization_id;
  std::string parent_id;  // the root's, or another unit's
  std::string name;
  base::Micros created = 0;
};

struct OrganizationMember {
  std::string account;
  std::string organization_id, parent_id;
  std::string email;
  std::string joined_method;  // CREATED, INVITED
  base::Micros joined = 0;
};

struct AccountCreation {
  std::string id;  // car- and 32
  std::string organization_id;
  std::string name;            // of the account
  std::string account;         // that was made; empty when it failed
  std::string failure_reason;  // EMAIL_ALREADY_EXISTS
  base::Micros requested = 0;
};

struct OrganizationInvitation {
  std::string id;  // h- and 32
  std::string organization_id;
  std::string account;  // that is invited
  std::string state;    // OPEN, ACCEPTED, DECLINED, CANCELED
  std::string notes;
  base::Micros requested = 0, expires = 0;
};

std::optional<Organization> find_organization(Txn& txn, const std::string& id);
std::optional<OrganizationUnit> find_organization_unit(Txn& txn, const std::string& id);
std::optional<OrganizationMember> find_organization_member(Txn& txn, const std::string& account);
std::vector<OrganizationUnit> organization_units_under(Txn& txn, const std::string& parent_id);      // by id
std::vector<OrganizationMember> organization_members(Txn& txn, const std::string& organization_id);  // by account
std::vector<OrganizationMember> organization_members_under(Txn& txn, const std::string& parent_id);  // by account
std::vector<AccountCreation> account_creations(Txn& txn, const std::string& organization_id);        // by id
std::optional<OrganizationInvitation> find_invitation(Txn& txn, const std::string& id);
std::vector<OrganizationInvitation> invitations_by(Txn& txn, const std::string& organization_id);  // by id
std::vector<OrganizationInvitation> invitations_of(Txn& txn, const std::string& account);          // by id
// With its units, creations and invitations. Members are gone before.
void remove_organization(Txn& txn, const Organization& organization);

// Where an account stands, from its unit up to the root; empty when it is in no organisation.
struct OrganizationPlace {
  std::optional<Organization> organization;
  std::vector<std::string> unit_ids;  // the innermost first
  std::string path() const;           // o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/
};
OrganizationPlace place_of(Txn& txn, const std::string& account);
// Writes what images are shared by (sharing.h, account_membership) anew, for one organisation.
void write_memberships(Txn& txn, const Organization& organization, const std::string& account);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Organization, "organization", 1, id, master_account, feature_set, root_id, created)
KILN_ROW(kiln::catalog::OrganizationUnit, "organization_unit", 1, id, organization_id, parent_id, name, created)
KILN_ROW(kiln::catalog::OrganizationMember, "organization_member", 1, account, organization_id, parent_id, email,
         joined_method, joined)
KILN_ROW(kiln::catalog::AccountCreation, "account_creation", 1, id, organization_id, name, account, failure_reason,
         requested)
KILN_ROW(kiln::catalog::OrganizationInvitation, "organization_invitation", 1, id, organization_id, account, state,
         notes, requested, expires)
