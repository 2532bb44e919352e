#include "control/access.h"

#include <boost/json.hpp>
#include <utility>

#include "base/api_error.h"
#include "base/log.h"
#include "catalog/iam.h"
#include "control/aws_policies.h"
#include "control/iam_policies.h"
#include "control/sealed_secrets.h"

namespace kiln::control {
namespace {

using base::ApiError;
using policy::Decision;
using policy::Outcome;
using policy::Side;

constexpr const char* message_context = "authorization message";

const policy::Document& deny_all() {
  static const policy::Document document =
      *policy::parse(R"({"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}})", policy::identity_policy);
  return document;
}

std::string name_of(Side side) {
  switch (side) {
    case Side::identity: return "identity-based policy";
    case Side::boundary: return "permissions boundary";
    case Side::session: return "session policy";
    case Side::resource: return "resource-based policy";
  }
  return {};
}

std::string refusal_text(const Principal& principal, const Asked& asked, const Decision& decision) {
  std::string text = "User: " + principal.arn + " is not authorized to perform: " + asked.action;
  if (asked.resource != "*") text += " on resource: " + asked.resource;
  if (decision.outcome == Outcome::explicit_deny) {
    const bool vowel = decision.side == Side::identity;
    return text + " with an explicit deny in " + (vowel ? "an " : "a ") + name_of(decision.side);
  }
  return text + " because no " + name_of(decision.side) + " allows the " + asked.action + " action";
}

// Who, what and why not, sealed: only STS tells it, to whom may ask.
std::string encoded_message(Region& region, const Principal& principal, const Asked& asked, const Decision& decision) {
  namespace json = boost::json;
  json::array conditions;
  for (const auto& [key, values] : asked.context.all()) {
    json::array items;
    for (const auto& value : values) items.push_back(json::object{{"value", value}});
    conditions.push_back(json::object{{"key", key}, {"values", json::object{{"items", std::move(items)}}}});
  }
  json::array matched;
  if (decision.statement != 0) {
    matched.push_back(json::object{{"statementId", decision.sid},
                                   {"effect", "DENY"},
                                   {"policy", decision.policy},
                                   {"statement", decision.statement}});
  }
  const json::object message{
      {"allowed", false},
      {"explicitDeny", decision.outcome == Outcome::explicit_deny},
      {"matchedStatements", json::object{{"items", std::move(matched)}}},
      {"failures", json::object{{"items", json::array()}}},
      {"context", json::object{{"principal", json::object{{"id", principal.user_id}, {"arn", principal.arn}}},
                               {"action", asked.action},
                               {"resource", asked.resource},
                               {"conditions", json::object{{"items", std::move(conditions)}}}}}};
  return seal_secret(region.key_store, message_context, principal.account + json::serialize(message));
}

bool is_query_service(std::string_view service) {
  return service == "iam" || service == "sts" || service == "autoscaling";
}

}  // namespace

void add_organization(policy::Context& context, const catalog::OrganizationPlace& place) {
  if (!place.organization) return;
  context.set("aws:PrincipalOrgID", place.organization->id);
  context.set("aws:PrincipalOrgMasterAccountId", place.organization->master_account);
  context.add("aws:PrincipalOrgPaths", place.path());
}

Permissions::Permissions(catalog::Txn& txn, const Principal& principal) : principal_(principal) {
  if (principal.is_root()) return;
  const auto identity = catalog::find_identity(txn, principal.identity_id);
  if (!identity) return;  // it was deleted since it signed, and nothing is allowed
  for (const auto& tag : catalog::iam_tags_of(txn, identity->id)) tags_.emplace_back(tag.key, tag.value);
  place_ = catalog::place_of(txn, principal.account);
  add_of(txn, identity->id, identity->account);
  for (const auto& group : catalog::holders_of(txn, identity->id, group_kind)) add_of(txn, group.id, group.account);
  if (!identity->boundary.empty()) {
    std::vector<policy::NamedPolicy> boundary;
    add_managed(txn, boundary, identity->account, identity->boundary);
    policies_.boundary = boundary.front();
  }
  if (principal.session_policies.empty()) return;
  policies_.session.emplace();
  for (const auto& each : principal.session_policies) {
    if (!each.starts_with("arn:")) {
      add(*policies_.session, "session policy", each);
    } else if (catalog::find_policy(txn, identity->account, each.substr(each.rfind('/') + 1)) ||
               find_aws_policy(each) != nullptr) {
      add_managed(txn, *policies_.session, identity->account, each);  // one that was deleted since allows nothing
    }
  }
}

void Permissions::add(std::vector<policy::NamedPolicy>& to, const std::string& name, const std::string& document) {
  auto read = policy::parse(document, policy::identity_policy);
  if (!read) {
    base::log_error("access", "the policy {} cannot be read, so it denies everything: {}", name,
                    read.error().message());
    to.push_back({.name = name, .document = &deny_all()});
    return;
  }
  documents_.push_back(*std::move(read));
  to.push_back({.name = name, .document = &documents_.back()});
}

void Permissions::add_managed(catalog::Txn& txn, std::vector<policy::NamedPolicy>& to, const std::string& account,
                              const std::string& arn) {
  add(to, arn, policy_document(txn, managed_policy(txn, account, arn), arn));
}

void Permissions::add_of(catalog::Txn& txn, const std::string& identity_id, const std::string& account) {
  for (const auto& row : catalog::inline_policies_of(txn, identity_id)) add(policies_.identity, row.name, row.document);
  for (const auto& row : catalog::attachments_of(txn, identity_id)) {
    add_managed(txn, policies_.identity, account, row.policy_arn);
  }
}

policy::Request Permissions::request(const Region& region, const Asked& asked) const {
  const Principal& who = principal_;
  policy::Request request{.caller = {.account = who.account,
                                     .arn = who.arn,
                                     .role_arn = who.role_arn,
                                     .service = {},
                                     .is_root = who.is_root()},
                          .action = asked.action,
                          .resource = asked.resource,
                          .context = asked.context};
  policy::Context& context = request.context;
  const auto now = region.clock.now();
  context.set("aws:CurrentTime", base::to_iso8601(now));
  context.set("aws:EpochTime", std::to_string(now / base::seconds(1)));
  context.set("aws:PrincipalAccount", who.account);
  context.set("aws:PrincipalArn", who.role_arn.empty() ? who.arn : who.role_arn);
  context.set("aws:PrincipalType", who.is_root() ? "Account" : who.role_arn.empty() ? "User" : "AssumedRole");
  context.set("aws:RequestedRegion", region.name);
  context.set("aws:SecureTransport", who.secure ? "true" : "false");
  context.set("aws:ViaAWSService", "false");
  context.set("aws:PrincipalIsAWSService", "false");
  context.set("aws:userid", who.user_id);
  if (!who.user_name.empty()) context.set("aws:username", who.user_name);
  if (!who.source_ip.empty()) context.set("aws:SourceIp", who.source_ip);
  if (!who.user_agent.empty()) context.set("aws:UserAgent", who.user_agent);
  if (who.token_issued != 0) {
    context.set("aws:TokenIssueTime", base::to_iso8601(who.token_issued));
    context.set("aws:MultiFactorAuthPresent", "false");
  }
  for (const auto& [key, value] : tags_) context.set("aws:PrincipalTag/" + key, value);
  add_organization(context, place_);
  return request;
}

Decision Permissions::decide(const Region& region, const Asked& asked) const {
  if (asked.resource_policy.empty()) return policy::evaluate(request(region, asked), policies_);
  const auto document = policy::parse(asked.resource_policy, policy::key_policy);
  policy::Policies policies = policies_;
  // One that cannot be read allows nothing, and the rules of keys refuse it themselves.
  if (document) policies.resource = {.name = "key policy", .document = &*document};
  return policy::evaluate(request(region, asked), policies);
}

void authorise(Region& region, const Principal& principal, const std::vector<Asked>& asked) {
  if (principal.is_root()) return;
  const auto refused =
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) -> std::optional<std::pair<Asked, Decision>> {
        const Permissions permissions(txn, principal);
        for (const auto& each : asked) {
          auto decision = permissions.decide(region, each);
          if (!decision.allowed()) return std::pair(each, std::move(decision));
        }
        return {};
      });
  if (refused) refuse(region, principal, refused->first, refused->second, asked.front().action);
}

void refuse(Region& region, const Principal& principal, const Asked& asked, const Decision& decision,
            std::string_view action) {
  const auto text = refusal_text(principal, asked, decision);
  if (action.empty()) action = asked.action;
  const auto service = action.substr(0, action.find(':'));
  if (service == "ec2") {
    throw ApiError(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. " + text +
            ". Encoded authorization failure message: " + encoded_message(region, principal, asked, decision),
        403);
  }
  if (service == "kms" || service == "ssm" || service == "organizations")
    throw ApiError("AccessDeniedException", text, 400);
  throw ApiError(is_query_service(service) ? "AccessDenied" : "AccessDeniedException", text, 403);
}

std::string decode_authorization_message(Region& region, const Principal& principal, const std::string& encoded) {
  const auto opened = open_secret(region.key_store, message_context, encoded);
  if (!opened || !opened->starts_with(principal.account + "{")) {
    throw ApiError("InvalidAuthorizationMessageException", "Message is not valid", 400);
  }
  return opened->substr(principal.account.size());
}

void audit(const Audit& record) {
  base::log_info("audit", "{} {} {} {} {}:{} {}", record.request_id, record.source_ip,
                 record.principal.arn.empty() ? "-" : record.principal.arn, record.region.empty() ? "-" : record.region,
                 record.service, record.action, record.outcome);
}

}  // namespace kiln::control
