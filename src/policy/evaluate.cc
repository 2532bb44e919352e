#include "policy/evaluate.h"

#include <algorithm>

namespace kiln::policy {
namespace {

std::string root_of(const std::string& account) { return "arn:aws:iam::" + account + ":root"; }

bool covers_action(const Statement& statement, const Request& request) {
  const bool found = std::ranges::any_of(statement.action,
                                         [&](const auto& pattern) { return matches_action(pattern, request.action); });
  return found != statement.not_action;
}

bool covers_resource(const Statement& statement, const Request& request, Variables variables) {
  if (statement.resource.empty()) return true;
  bool unresolved = false;
  for (const auto& text : statement.resource) {
    const auto pattern = expand(text, request.context, variables, Wildcards::yes);
    unresolved |= !pattern;
    if (pattern && matches_resource(*pattern, request.resource)) return !statement.not_resource;
  }
  // What an unknown name should have kept out of an allowance is not let in by it.
  if (unresolved && statement.effect == Effect::allow) return false;
  return statement.not_resource;
}

bool conditions_hold(const Statement& statement, const Request& request, Variables variables) {
  return std::ranges::all_of(statement.condition, [&](const auto& condition) {
    const Holds held = holds(condition, request.context, variables);
    return held == Holds::yes || (held == Holds::unresolved && statement.effect == Effect::deny);
  });
}

// What one policy says: the statement that denies, else the one that allows and names the caller best.
struct Said {
  const NamedPolicy* policy = nullptr;
  std::size_t statement = 0;  // counted from 1; 0: nothing
  Effect effect = Effect::deny;
  Named named = Named::not_at_all;

  bool denies() const { return statement != 0 && effect == Effect::deny; }
  bool allows() const { return statement != 0 && effect == Effect::allow; }
};

Said ask(const NamedPolicy& policy, const Request& request) {
  Said said{.policy = &policy};
  const auto& statements = policy.document->statement;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const Statement& statement = statements[i];
    const Named named = statement.principal ? names(statement, request.caller) : Named::caller;
    if (named == Named::not_at_all || !applies(statement, request, policy.document->variables())) continue;
    if (statement.effect == Effect::deny) return {&policy, i + 1, Effect::deny, named};
    if (said.statement == 0 || named > said.named) said = {&policy, i + 1, Effect::allow, named};
  }
  return said;
}

Said ask_all(const std::vector<NamedPolicy>& policies, const Request& request) {
  Said best;
  for (const auto& policy : policies) {
    const Said said = ask(policy, request);
    if (said.denies()) return said;
    if (!best.allows() && said.allows()) best = said;
  }
  return best;
}

Decision decided(Outcome outcome, Side side, const Said& said) {
  if (said.statement == 0) return {.outcome = outcome, .side = side, .policy = {}, .sid = {}, .statement = 0};
  return {.outcome = outcome,
          .side = side,
          .policy = said.policy->name,
          .sid = said.policy->document->statement[said.statement - 1].sid,
          .statement = said.statement};
}

Decision missing(Side side) { return decided(Outcome::implicit_deny, side, {}); }

}  // namespace

bool applies(const Statement& statement, const Request& request, Variables variables) {
  return covers_action(statement, request) && covers_resource(statement, request, variables) &&
         conditions_hold(statement, request, variables);
}

Named names(const Statement& statement, const Caller& caller) {
  const Principals& principals = *statement.principal;
  const bool has_role = !caller.role_arn.empty();
  Named best = Named::not_at_all;
  if (!caller.service.empty()) {
    const bool found = std::ranges::find(principals.service, caller.service) != principals.service.end();
    if (found || principals.anyone) best = Named::caller;
  } else {
    // Whatever anybody may do, a session may within the limits of its role.
    if (principals.anyone) best = has_role ? Named::role : Named::caller;
    for (const auto& name : principals.aws) {
      Named named = Named::not_at_all;
      if (name == caller.account || name == root_of(caller.account)) {
        named = caller.is_root ? Named::caller : Named::account;
      } else if (name == caller.arn) {
        named = Named::caller;
      } else if (has_role && name == caller.role_arn) {
        named = Named::role;
      }
      best = std::max(best, named);
    }
  }
  if (!statement.not_principal) return best;
  // Who is left out of a denial has to be named; that its account is does not leave it out.
  return best >= Named::role ? Named::not_at_all : Named::caller;
}

Decision evaluate(const Request& request, const Policies& policies) {
  const Caller& caller = request.caller;
  const Said identity = ask_all(policies.identity, request);
  const Said boundary = policies.boundary ? ask(*policies.boundary, request) : Said();
  const Said session = policies.session ? ask_all(*policies.session, request) : Said();
  const Said resource = policies.resource ? ask(*policies.resource, request) : Said();
  for (const auto& [said, side] : {std::pair(identity, Side::identity), std::pair(boundary, Side::boundary),
                                   std::pair(session, Side::session), std::pair(resource, Side::resource)}) {
    if (said.denies()) return decided(Outcome::explicit_deny, side, said);
  }
  const bool elsewhere = !policies.resource_account.empty() && policies.resource_account != caller.account;
  if ((elsewhere || policies.resource_decides) && !resource.allows()) return missing(Side::resource);
  if (resource.allows() && resource.named == Named::caller && (!elsewhere || !caller.service.empty())) {
    return decided(Outcome::allow, Side::resource, resource);
  }
  const bool by_resource = resource.allows() && resource.named == Named::role && !elsewhere;
  if (!by_resource && !caller.is_root && !identity.allows()) return missing(Side::identity);
  if (policies.boundary && !boundary.allows()) return missing(Side::boundary);
  if (policies.session && !session.allows()) return missing(Side::session);
  return by_resource ? decided(Outcome::allow, Side::resource, resource)
                     : decided(Outcome::allow, Side::identity, identity);
}

}  // namespace kiln::policy
