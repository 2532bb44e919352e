#pragma once
// Whether policies let a caller do an action with a resource, and which statement says so. Pure; any thread.
//
//   a statement that applies denies                            -> explicit deny
//   the resource's policy names the caller itself              -> allow
//   it names the caller's role                                 -> allow, if boundary and session policies allow too
//   an identity policy allows, and boundary and session        -> allow; of another account's resource, and of one
//   policies allow too                                            whose policy decides, only if that names the account
//   nothing of these                                           -> implicit deny
//
// "Names the account" is weaker than "names the caller": it leaves to the account whom of its own it lets do it.

#include <optional>
#include <string>
#include <vector>

#include "policy/document.h"

namespace kiln::policy {

// Who asks. A root user may do all that the policies of its account could let it do.
struct Caller {
  std::string account;
  std::string arn;       // of the root user, a user, or the session of a role
  std::string role_arn;  // of a session: its role's
  std::string service;   // ec2.amazonaws.com, when it is a service that asks and nobody of an account
  bool is_root = false;
};

struct Request {
  Caller caller;
  std::string action;  // ec2:RunInstances
  std::string resource;
  Context context;
};

struct NamedPolicy {
  std::string name;          // for the answer: an ARN, or the name of an inline policy
  const Document* document;  // lent
};

struct Policies {
  std::vector<NamedPolicy> identity;
  std::optional<NamedPolicy> boundary;
  std::optional<std::vector<NamedPolicy>> session;  // together they are a limit
  std::optional<NamedPolicy> resource;
  std::string resource_account;  // empty: the caller's own
  // Of keys and roles: what their policy does not allow, nobody may.
  bool resource_decides = false;
};

enum class Outcome { allow, implicit_deny, explicit_deny };
enum class Side { identity, boundary, session, resource };

struct Decision {
  Outcome outcome = Outcome::implicit_deny;
  Side side = Side::identity;  // that decided: of an implicit deny, the one that lacks an allowance
  std::string policy;          // empty of an implicit deny, and when nothing but being root decided
  std::string sid;
  std::size_t statement = 0;  // counted from 1; 0 when none decided

  bool allowed() const { return outcome == Outcome::allow; }
};

Decision evaluate(const Request& request, const Policies& policies);

// Whether a statement is about this action, resource and context; and what its principals say of the caller.
enum class Named { not_at_all, account, role, caller };
bool applies(const Statement& statement, const Request& request, Variables variables);
Named names(const Statement& statement, const Caller& caller);

}  // namespace kiln::policy
