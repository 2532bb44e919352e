#pragma once
// What a principal may do, and the record of what it did. Request threads.
//
// A root key may do all in its account. A user, and a session of a role, may do what their policies allow: their own,
// inline and attached, those of a user's groups, within their boundary and the policies of their session
// (policy/evaluate.h). Whose thing it is, the rules check themselves.
//
// They are asked for once a request, at the door (services/dispatch), for each resource that the request is about.

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/organizations.h"
#include "control/principal.h"
#include "control/region.h"
#include "policy/evaluate.h"

namespace kiln::control {

// One thing that a request wants to do.
struct Asked {
  std::string action;            // ec2:RunInstances
  std::string resource = "*";    // an ARN, or * of an action that is about no resource
  policy::Context context = {};  // what is known of the resource and the request; of the caller it is added
  // Of a key of the caller's account: what it says is enough for whom it names. Empty: the resource has none.
  std::string resource_policy = {};
};

// The policies of a principal, read once. A policy that cannot be read denies everything: it may have been a denial.
class Permissions {
 public:
  Permissions(catalog::Txn& txn, const Principal& principal);

  // What is known of the caller and the call, as conditions see it.
  policy::Request request(const Region& region, const Asked& asked) const;
  // All but the resource's own policy, which is the caller's to add.
  const policy::Policies& policies() const { return policies_; }
  policy::Decision decide(const Region& region, const Asked& asked) const;

 private:
  void add(std::vector<policy::NamedPolicy>& to, const std::string& name, const std::string& document);
  void add_of(catalog::Txn& txn, const std::string& identity_id, const std::string& account);
  void add_managed(catalog::Txn& txn, std::vector<policy::NamedPolicy>& to, const std::string& account,
                   const std::string& arn);

  const Principal& principal_;
  std::vector<std::pair<std::string, std::string>> tags_;
  catalog::OrganizationPlace place_;
  std::deque<policy::Document> documents_;
  policy::Policies policies_;
};

// aws:PrincipalOrgID and the like, of who asks.
void add_organization(policy::Context& context, const catalog::OrganizationPlace& place);

// Throws UnauthorizedOperation (EC2), AccessDeniedException or AccessDenied when one of them is not allowed.
void authorise(Region& region, const Principal& principal, const std::vector<Asked>& asked);
// The same error, for rules that decide by more than the principal's policies. action: what the request is, when that
// is another service's than what was asked, as iam:PassRole of a launch is.
[[noreturn]] void refuse(Region& region, const Principal& principal, const Asked& asked,
                         const policy::Decision& decision, std::string_view action = {});

// What an encoded authorization failure message says: JSON. Throws InvalidAuthorizationMessageException for what is
// none of this account's.
std::string decode_authorization_message(Region& region, const Principal& principal, const std::string& encoded);

// One request and its outcome.
struct Audit {
  std::string request_id;
  Principal principal;  // empty when the signature was refused
  std::string region, service, action, source_ip;
  std::string outcome;  // "ok", or the error code
};
void audit(const Audit& record);

}  // namespace kiln::control
