#pragma once
// A policy: AWS's policy language read from JSON, and refused at the door when it is not that.
//
//   Document  Version, Id, Statement[]
//   Statement Sid, Effect, Principal | NotPrincipal, Action | NotAction, Resource | NotResource, Condition
//
// A document that was read can be evaluated without further errors: its actions name a service, its resources are ARNs
// or *, its conditions have operators that exist and values that these can read. Errors are Fault::invalid and say
// where: "Statement 2: Condition: ...". Pure; any thread; a Document never changes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/conditions.h"

namespace kiln::policy {

enum class Effect { allow, deny };

// Who a statement is about: of a resource's policy.
struct Principals {
  bool anyone = false;
  std::vector<std::string> aws;        // an account's number, or the ARN of its root, a user, a role or a session
  std::vector<std::string> service;    // ec2.amazonaws.com
  std::vector<std::string> federated;  // kept; nobody who calls here is one
};

struct Statement {
  std::string sid;
  Effect effect = Effect::deny;
  std::optional<Principals> principal;  // what the grammar asks for
  bool not_principal = false;
  std::vector<std::string> action;
  bool not_action = false;
  std::vector<std::string> resource;  // empty: whatever the policy is of
  bool not_resource = false;
  std::vector<Condition> condition;
};

struct Document {
  std::string version = "2008-10-17";  // what it is when the text does not say
  std::string id;
  std::vector<Statement> statement;

  Variables variables() const { return version == "2012-10-17" ? Variables::yes : Variables::no; }
};

// What a kind of policy has to have.
struct Grammar {
  enum class Element { forbidden, optional, required };

  Element principal = Element::forbidden;
  Element resource = Element::required;
  std::size_t longest_bytes = 131'072;
};
constexpr Grammar identity_policy{};
constexpr Grammar resource_policy{.principal = Grammar::Element::required};
constexpr Grammar key_policy{
    .principal = Grammar::Element::required, .resource = Grammar::Element::optional, .longest_bytes = 32 << 10};
constexpr Grammar trust_policy{.principal = Grammar::Element::required, .resource = Grammar::Element::forbidden};

base::Result<Document> parse(std::string_view text, const Grammar& grammar);

// As AWS counts a policy against its limit: white space does not count.
std::size_t counted_size(std::string_view text);

}  // namespace kiln::policy
