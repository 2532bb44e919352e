#include "catalog/organizations.h"

#include "catalog/sharing.h"

namespace kiln::catalog {

std::string Organization::arn() const { return "arn:aws:organizations::" + master_account + ":organization/" + id; }

std::string Organization::arn_of(const std::string& kind, const std::string& what) const {
  return "arn:aws:organizations::" + master_account + ":" + kind + "/" + id + "/" + what;
}

std::optional<Organization> find_organization(Txn& txn, const std::string& id) {
  return select_one<Organization>(txn, "WHERE id = $1", {id});
}

std::optional<OrganizationUnit> find_organization_unit(Txn& txn, const std::string& id) {
  return select_one<OrganizationUnit>(txn, "WHERE id = $1", {id});
}

std::optional<OrganizationMember> find_organization_member(Txn& txn, const std::string& account) {
  return select_one<OrganizationMember>(txn, "WHERE account = $1", {account});
}

std::vector<OrganizationUnit> organization_units_under(Txn& txn, const std::string& parent_id) {
  return select<OrganizationUnit>(txn, "WHERE parent_id = $1 ORDER BY id", {parent_id});
}

std::vector<OrganizationMember> organization_members(Txn& txn, const std::string& organization_id) {
  return select<OrganizationMember>(txn, "WHERE organization_id = $1 ORDER BY account", {organization_id});
}

std::vector<OrganizationMember> organization_members_under(Txn& txn, const std::string& parent_id) {
  return select<OrganizationMember>(txn, "WHERE parent_id = $1 ORDER BY account", {parent_id});
}

std::vector<AccountCreation> account_creations(Txn& txn, const std::string& organization_id) {
  return select<AccountCreation>(txn, "WHERE organization_id = $1 ORDER BY id", {organization_id});
}

std::optional<OrganizationInvitation> find_invitation(Txn& txn, const std::string& id) {
  return select_one<OrganizationInvitation>(txn, "WHERE id = $1", {id});
}

std::vector<OrganizationInvitation> invitations_by(Txn& txn, const std::string& organization_id) {
  return select<OrganizationInvitation>(txn, "WHERE organization_id = $1 ORDER BY id", {organization_id});
}

std::vector<OrganizationInvitation> invitations_of(Txn& txn, const std::string& account) {
  return select<OrganizationInvitation>(txn, "WHERE account = $1 ORDER BY id", {account});
}

void remove_organization(Txn& txn, const Organization& organization) {
  for (const auto* table : {"organization_unit", "account_creation", "organization_invitation"}) {
    txn.execute(std::string("DELETE FROM ") + table + " WHERE organization_id = $1", {organization.id});
  }
  remove(txn, organization);
}

std::string OrganizationPlace::path() const {
  if (!organization) return {};
  std::string path = organization->id + "/" + organization->root_id + "/";
  for (auto id = unit_ids.rbegin(); id != unit_ids.rend(); ++id) path += *id + "/";
  return path;
}

OrganizationPlace place_of(Txn& txn, const std::string& account) {
  OrganizationPlace place;
  const auto member = find_organization_member(txn, account);
  if (!member) return place;
  place.organization = find_organization(txn, member->organization_id);
  for (auto unit = find_organization_unit(txn, member->parent_id); unit;
       unit = find_organization_unit(txn, unit->parent_id)) {
    place.unit_ids.push_back(unit->id);
  }
  return place;
}

void write_memberships(Txn& txn, const Organization& organization, const std::string& account) {
  txn.execute("DELETE FROM account_membership WHERE account = $1 AND (arn = $2 OR arn LIKE $3)",
              {account, organization.arn(), organization.arn_of("ou", "%")});
  const auto place = place_of(txn, account);
  if (!place.organization || place.organization->id != organization.id) return;
  upsert(txn, AccountMembership{.account = account, .arn = organization.arn()});
  for (const auto& id : place.unit_ids) {
    upsert(txn, AccountMembership{.account = account, .arn = organization.arn_of("ou", id)});
  }
}

}  // namespace kiln::catalog
