#include "control/organizations.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "control/accounts.h"
#include "control/iam_identities.h"
#include "control/iam_policies.h"
#include "control/organization_rows.h"
#include "control/sharing.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Organization;
using catalog::OrganizationMember;
using catalog::OrganizationUnit;
using catalog::Txn;

constexpr std::size_t most_unit_levels = 5, longest_name = 128;

void check_unit_name(const std::string& name) {
  if (name.empty() || name.size() > longest_name) {
    throw ApiError("InvalidInputException", "You specified an invalid value: a name has 1 to 128 characters.");
  }
}

OrganizationUnit own_unit(Txn& txn, const Organization& organization, const std::string& id) {
  auto unit = catalog::find_organization_unit(txn, id);
  if (!unit || unit->organization_id != organization.id) {
    throw ApiError("OrganizationalUnitNotFoundException", "You specified an organizational unit that doesn't exist.");
  }
  return *std::move(unit);
}

bool is_parent(Txn& txn, const Organization& organization, const std::string& id) {
  if (id == organization.root_id) return true;
  const auto unit = catalog::find_organization_unit(txn, id);
  return unit && unit->organization_id == organization.id;
}

void check_parent(Txn& txn, const Organization& organization, const std::string& id) {
  if (is_parent(txn, organization, id)) return;
  throw ApiError("ParentNotFoundException", "You specified parent that doesn't exist.");
}

void check_free_name(Txn& txn, const std::string& parent, const std::string& name) {
  const auto units = catalog::organization_units_under(txn, parent);
  if (std::ranges::find(units, name, &OrganizationUnit::name) == units.end()) return;
  throw ApiError("DuplicateOrganizationalUnitException", "An OU with the same name already exists.");
}

std::size_t level_of(Txn& txn, const std::string& parent) {
  std::size_t level = 0;
  for (auto unit = catalog::find_organization_unit(txn, parent); unit;
       unit = catalog::find_organization_unit(txn, unit->parent_id)) {
    ++level;
  }
  return level;
}

MemberAccount with_name(Txn& txn, OrganizationMember member) {
  const auto account = catalog::find_account(txn, member.account);
  return {.member = std::move(member), .name = account ? account->name : ""};
}

std::vector<MemberAccount> with_names(Txn& txn, std::vector<OrganizationMember> members) {
  std::vector<MemberAccount> all;
  for (auto& member : members) all.push_back(with_name(txn, std::move(member)));
  return all;
}

void leave(Txn& txn, const Organization& organization, const OrganizationMember& member) {
  if (member.account == organization.master_account) {
    throw ApiError("MasterCannotLeaveOrganizationException",
                   "You can't remove a management account from an organization. If you want the management account to "
                   "become a member account in another organization, you must first delete the current organization.");
  }
  catalog::remove(txn, member);
  catalog::write_memberships(txn, organization, member.account);
}

}  // namespace

Organization create_organization(Region& region, const Principal& caller, const std::string& feature_set) {
  if (!feature_set.empty() && feature_set != "ALL" && feature_set != "CONSOLIDATED_BILLING") {
    throw ApiError("InvalidInputException",
                   "You specified an invalid value: FeatureSet is ALL or "
                   "CONSOLIDATED_BILLING.");
  }
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    if (catalog::find_organization_member(txn, caller.account)) {
      throw ApiError("AlreadyInOrganizationException", "The AWS account is already a member of an organization.");
    }
    const auto now = region.clock.now();
    Organization made{.id = "o-" + base::random_hex(5),
                      .master_account = caller.account,
                      .feature_set = feature_set.empty() ? "ALL" : feature_set,
                      .root_id = "r-" + base::random_hex(2),
                      .created = now};
    catalog::insert(txn, made);
    join_organization(txn, made,
                      {.account = caller.account,
                       .organization_id = made.id,
                       .parent_id = made.root_id,
                       .email = default_email(caller.account),
                       .joined_method = "INVITED",
                       .joined = now});
    return made;
  });
}

Organization organization_of(Region& region, const Principal& caller) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return organization_of(txn, caller); });
}

Organization managed_organization(Region& region, const Principal& caller) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return managed_organization(txn, caller); });
}

std::string email_of(Region& region, const std::string& account) {
  const auto member =
      catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::find_organization_member(txn, account); });
  return member ? member->email : default_email(account);
}

void delete_organization(Region& region, const Principal& caller) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto organization = managed_organization(txn, caller);
    const auto members = catalog::organization_members(txn, organization.id);
    if (members.size() > 1) {
      throw ApiError("OrganizationNotEmptyException",
                     "To delete an organization you must first remove all member accounts (except the master).");
    }
    for (const auto& member : members) catalog::remove(txn, member);
    catalog::remove_organization(txn, organization);
    catalog::write_memberships(txn, organization, caller.account);
  });
}

OrganizationUnit create_organization_unit(Region& region, const Principal& caller, const std::string& parent,
                                          const std::string& name) {
  check_unit_name(name);
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto organization = managed_organization(txn, caller);
    check_parent(txn, organization, parent);
    check_free_name(txn, parent, name);
    if (level_of(txn, parent) >= most_unit_levels) {
      throw ApiError("ConstraintViolationException", "You have exceeded the allowed depth of the organization.", 400,
                     "OU_DEPTH_LIMIT_EXCEEDED");
    }
    OrganizationUnit unit{.id = "ou-" + organization.root_id.substr(2) + "-" + base::random_hex(4),
                          .organization_id = organization.id,
                          .parent_id = parent,
                          .name = name,
                          .created = region.clock.now()};
    catalog::insert(txn, unit);
    return unit;
  });
}

OrganizationUnit rename_organization_unit(Region& region, const Principal& caller, const std::string& id,
                                          const std::string& name) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto unit = own_unit(txn, managed_organization(txn, caller), id);
    if (name.empty() || name == unit.name) return unit;
    check_unit_name(name);
    check_free_name(txn, unit.parent_id, name);
    unit.name = name;
    catalog::update(txn, unit);
    return unit;
  });
}

void delete_organization_unit(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto unit = own_unit(txn, managed_organization(txn, caller), id);
    if (!catalog::organization_units_under(txn, id).empty() || !catalog::organization_members_under(txn, id).empty()) {
      throw ApiError("OrganizationalUnitNotEmptyException",
                     "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all "
                     "child OUs, and try the operation again.");
    }
    catalog::remove(txn, unit);
  });
}

OrganizationUnit organization_unit(Region& region, const Principal& caller, const std::string& id) {
  return catalog::in_read(region.catalog,
                          [&](Txn& txn) { return own_unit(txn, managed_organization(txn, caller), id); });
}

std::vector<OrganizationUnit> units_under(Region& region, const Principal& caller, const std::string& parent) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    check_parent(txn, managed_organization(txn, caller), parent);
    return catalog::organization_units_under(txn, parent);
  });
}

std::vector<MemberAccount> accounts_under(Region& region, const Principal& caller, const std::string& parent) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    check_parent(txn, managed_organization(txn, caller), parent);
    return with_names(txn, catalog::organization_members_under(txn, parent));
  });
}

std::vector<MemberAccount> member_accounts(Region& region, const Principal& caller) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    return with_names(txn, catalog::organization_members(txn, managed_organization(txn, caller).id));
  });
}

MemberAccount member_account(Region& region, const Principal& caller, const std::string& account) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    return with_name(txn, own_member(txn, managed_organization(txn, caller), account));
  });
}

std::string parent_of(Region& region, const Principal& caller, const std::string& child) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const auto organization = managed_organization(txn, caller);
    const auto member = catalog::find_organization_member(txn, child);
    if (member && member->organization_id == organization.id) return member->parent_id;
    const auto unit = catalog::find_organization_unit(txn, child);
    if (unit && unit->organization_id == organization.id) return unit->parent_id;
    throw ApiError("ChildNotFoundException", "You specified a child that doesn't exist.");
  });
}

void move_account(Region& region, const Principal& caller, const std::string& account, const std::string& from,
                  const std::string& to) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto organization = managed_organization(txn, caller);
    auto member = own_member(txn, organization, account);
    if (!is_parent(txn, organization, from) || member.parent_id != from) {
      throw ApiError("SourceParentNotFoundException", "You specified a source parent that doesn't exist.");
    }
    if (!is_parent(txn, organization, to)) {
      throw ApiError("DestinationParentNotFoundException", "You specified a destination parent that doesn't exist.");
    }
    if (from == to) {
      throw ApiError("DuplicateAccountException",
                     "That account is already present in the specified destination parent.");
    }
    member.parent_id = to;
    catalog::update(txn, member);
    catalog::write_memberships(txn, organization, account);
  });
}

void remove_from_organization(Region& region, const Principal& caller, const std::string& account) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto organization = managed_organization(txn, caller);
    leave(txn, organization, own_member(txn, organization, account));
  });
}

void leave_organization(Region& region, const Principal& caller) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto organization = organization_of(txn, caller);
    leave(txn, organization, own_member(txn, organization, caller.account));
  });
}

}  // namespace kiln::control
