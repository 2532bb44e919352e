// Accounts that come into an organisation: made in it, or invited.
#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "control/accounts.h"
#include "control/iam_identities.h"
#include "control/iam_policies.h"
#include "control/organization_rows.h"
#include "control/organizations.h"
#include "control/sharing.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::AccountCreation;
using catalog::Organization;
using catalog::OrganizationInvitation;
using catalog::Txn;

constexpr base::Micros invitation_lasts = base::seconds(15 * 24 * 3600);
constexpr const char* usual_role = "OrganizationAccountAccessRole";

void check_new_member(const NewMember& what) {
  const auto at = what.email.find('@');
  const bool is_email = what.email.size() >= 6 && what.email.size() <= 64 && at != std::string::npos && at > 0 &&
                        at + 1 < what.email.size() && what.email.find(' ') == std::string::npos;
  if (!is_email)
    throw ApiError("InvalidInputException",
                   "You specified an invalid value: '" + what.email + "' is no e-mail address.");
  if (what.name.empty() || what.name.size() > 50) {
    throw ApiError("InvalidInputException",
                   "You specified an invalid value: an account's name has 1 to 50 characters.");
  }
}

// Through which the managing account gets in: nobody has a key of the new account.
void add_access_role(Region& region, const std::string& account, const std::string& master, const std::string& name) {
  try {
    create_identity(
        region, account,
        {.kind = role_kind,
         .name = name,
         .description = {},
         .trust_policy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::)" +
                         master + R"(:root"},"Action":"sts:AssumeRole"}]})",
         .boundary = {},
         .tags = {}});
    attach_policy(region, account, role_kind, name, "arn:aws:iam::aws:policy/AdministratorAccess");
  } catch (const ApiError& error) {
    throw ApiError("InvalidInputException", std::string("You specified an invalid value: ") + error.what());
  }
}

OrganizationInvitation seen_invitation(Txn& txn, const Principal& caller, const std::string& id, base::Micros now) {
  auto found = catalog::find_invitation(txn, id);
  const auto organization = found ? catalog::find_organization(txn, found->organization_id) : std::nullopt;
  if (!organization || (found->account != caller.account && organization->master_account != caller.account)) {
    throw ApiError("HandshakeNotFoundException", "You specified a handshake that doesn't exist.");
  }
  if (found->state == "OPEN" && found->expires <= now) found->state = "EXPIRED";
  return *std::move(found);
}

std::vector<OrganizationInvitation> as_of(std::vector<OrganizationInvitation> all, base::Micros now) {
  for (auto& each : all) {
    if (each.state == "OPEN" && each.expires <= now) each.state = "EXPIRED";
  }
  return all;
}

void accept(Txn& txn, const Region& region, const OrganizationInvitation& invitation) {
  if (catalog::find_organization_member(txn, invitation.account)) {
    throw ApiError("HandshakeConstraintViolationException", "The account is already a member of an organization.", 400,
                   "ALREADY_IN_AN_ORGANIZATION");
  }
  const auto organization = catalog::find_organization(txn, invitation.organization_id);
  join_organization(txn, *organization,
                    {.account = invitation.account,
                     .organization_id = organization->id,
                     .parent_id = organization->root_id,
                     .email = default_email(invitation.account),
                     .joined_method = "INVITED",
                     .joined = region.clock.now()});
}

}  // namespace

AccountCreation create_member_account(Region& region, const Principal& caller, const NewMember& what) {
  check_new_member(what);
  const auto organization = managed_organization(region, caller);
  const auto begin = [&](Txn& txn) {
    AccountCreation made{.id = "car-" + base::random_hex(16),
                         .organization_id = organization.id,
                         .name = what.name,
                         .account = {},
                         .failure_reason = {},
                         .requested = region.clock.now()};
    const auto taken = catalog::select<catalog::OrganizationMember>(txn, "WHERE email = $1", {what.email});
    if (!taken.empty()) {
      made.failure_reason = "EMAIL_ALREADY_EXISTS";
      catalog::insert(txn, made);
    } else {
      made.account = create_account(txn, made.requested, what.name).id;
    }
    return made;
  };
  const auto made = catalog::in_txn(region.catalog, begin);
  if (made.account.empty()) return made;
  // A crash before the last step leaves an account that is in no organisation and that nobody has a key of.
  add_access_role(region, made.account, caller.account, what.role_name.empty() ? usual_role : what.role_name);
  region.catalog.run_in_txn([&](Txn& txn) {
    join_organization(txn, managed_organization(txn, caller),
                      {.account = made.account,
                       .organization_id = organization.id,
                       .parent_id = organization.root_id,
                       .email = what.email,
                       .joined_method = "CREATED",
                       .joined = made.requested});
    catalog::insert(txn, made);
  });
  return made;
}

std::vector<AccountCreation> member_creations(Region& region, const Principal& caller) {
  return catalog::in_read(
      region.catalog, [&](Txn& txn) { return catalog::account_creations(txn, managed_organization(txn, caller).id); });
}

OrganizationInvitation invite_account(Region& region, const Principal& caller, const std::string& account,
                                      const std::string& notes) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    const auto organization = managed_organization(txn, caller);
    if (!is_account_id(account) || !catalog::find_account(txn, account)) {
      throw ApiError("InvalidInputException", "You specified an invalid value: there is no account '" + account + "'.");
    }
    if (const auto member = catalog::find_organization_member(txn, account);
        member && member->organization_id == organization.id) {
      throw ApiError("HandshakeConstraintViolationException", "The account is already a member of an organization.",
                     400, "ALREADY_IN_AN_ORGANIZATION");
    }
    const auto now = region.clock.now();
    const auto before = as_of(catalog::invitations_of(txn, account), now);
    if (std::ranges::any_of(before, [&](const auto& each) {
          return each.organization_id == organization.id && each.state == "OPEN";
        })) {
      throw ApiError("DuplicateHandshakeException", "A handshake with the same action and target already exists.");
    }
    OrganizationInvitation made{.id = "h-" + base::random_hex(16),
                                .organization_id = organization.id,
                                .account = account,
                                .state = "OPEN",
                                .notes = notes,
                                .requested = now,
                                .expires = now + invitation_lasts};
    catalog::insert(txn, made);
    return made;
  });
}

OrganizationInvitation answer_invitation(Region& region, const Principal& caller, const std::string& id,
                                         Answer answer) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto found = seen_invitation(txn, caller, id, region.clock.now());
    const bool invited = found.account == caller.account;
    if ((answer == Answer::cancel) == invited) {
      throw ApiError("AccessDeniedException", "You don't have permissions to access this resource.");
    }
    if (found.state != "OPEN") {
      throw ApiError("InvalidHandshakeTransitionException",
                     "You can't perform the operation on the handshake in its current state: " + found.state);
    }
    if (answer == Answer::accept) accept(txn, region, found);
    found.state = answer == Answer::accept ? "ACCEPTED" : answer == Answer::decline ? "DECLINED" : "CANCELED";
    catalog::update(txn, found);
    return found;
  });
}

OrganizationInvitation invitation(Region& region, const Principal& caller, const std::string& id) {
  return catalog::in_read(region.catalog,
                          [&](Txn& txn) { return seen_invitation(txn, caller, id, region.clock.now()); });
}

std::vector<OrganizationInvitation> invitations_to(Region& region, const Principal& caller) {
  return as_of(catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::invitations_of(txn, caller.account); }),
               region.clock.now());
}

std::vector<OrganizationInvitation> invitations_from(Region& region, const Principal& caller) {
  return as_of(
      catalog::in_read(region.catalog,
                       [&](Txn& txn) { return catalog::invitations_by(txn, managed_organization(txn, caller).id); }),
      region.clock.now());
}

}  // namespace kiln::control
