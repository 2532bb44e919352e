#include "control/sessions.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/api_error.h"
#include "base/text.h"
#include "control/access.h"
#include "control/iam_policies.h"
#include "control/sealed_secrets.h"

namespace kiln::control {
namespace {

namespace json = boost::json;

using base::ApiError;
using catalog::IamIdentity;
using catalog::Txn;

constexpr std::int64_t shortest_seconds = 900, usual_role_seconds = 3600;
constexpr std::int64_t usual_seconds = 12 * 3600, longest_user_seconds = 36 * 3600, longest_root_seconds = 3600;
constexpr std::int64_t longest_chained_seconds = 3600;
constexpr std::size_t longest_session_policy = 2048, most_policy_arns = 10;

[[noreturn]] void invalid(const std::string& why) { throw ApiError("ValidationError", why); }

std::int64_t checked_duration(std::optional<std::int64_t> asked, std::int64_t usual, std::int64_t longest) {
  const auto seconds = asked.value_or(std::min(usual, longest));
  if (seconds < shortest_seconds) {
    invalid("1 validation error detected: Value '" + std::to_string(seconds) +
            "' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900");
  }
  if (seconds > longest) invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
  return seconds;
}

void check_session_name(const std::string& name) {
  if (name.size() < 2 || name.size() > 64) {
    invalid("1 validation error detected: Value '" + name +
            "' at 'roleSessionName' failed to satisfy constraint: Member must have length from 2 to 64");
  }
  check_iam_name(name, "roleSessionName", 64);
}

// Seals what is known of the credentials into their token.
Session make(Region& region, Principal principal, std::int64_t seconds) {
  const auto key = new_access_key("ASIA");
  const auto now = region.clock.now();
  principal.access_key = key.id;
  principal.token_issued = now;
  json::array policies;
  for (const auto& document : principal.session_policies) policies.emplace_back(document);
  const json::object known{{"secret", key.secret},
                           {"expires", now + base::seconds(seconds)},
                           {"issued", now},
                           {"account", principal.account},
                           {"arn", principal.arn},
                           {"user_id", principal.user_id},
                           {"identity_id", principal.identity_id},
                           {"user_name", principal.user_name},
                           {"role_arn", principal.role_arn},
                           {"policies", std::move(policies)}};
  Session made{.access_key = key.id,
               .secret = key.secret,
               .token = seal_secret(region.key_store, key.id, json::serialize(known)),
               .expires = now + base::seconds(seconds),
               .principal = std::move(principal)};
  return made;
}

std::optional<IamIdentity> find_role(Txn& txn, const std::string& arn) {
  const auto parts = base::split(arn, ':');
  if (parts.size() != 6 || parts[0] != "arn" || parts[2] != "iam" || !parts[5].starts_with("role/")) return {};
  auto role = catalog::find_identity(txn, std::string(parts[4]), role_kind,
                                     std::string(parts[5].substr(parts[5].rfind('/') + 1)));
  return role && role->arn() == arn ? role : std::nullopt;
}

Principal principal_of(const IamIdentity& role, const std::string& session_name) {
  return {.account = role.account,
          .arn = "arn:aws:sts::" + role.account + ":assumed-role/" + role.name + "/" + session_name,
          .user_id = role.id + ":" + session_name,
          .access_key = {},
          .identity_id = role.id,
          .role_arn = role.arn()};
}

// The documents of the session, each checked, and the ARNs of managed ones: the token goes with every request in a
// header, so it has to stay short.
std::vector<std::string> session_policies(Txn& txn, const AssumeRole& what, const IamIdentity& role) {
  std::vector<std::string> documents = what.policies;
  std::size_t size = 0;
  for (const auto& document : documents) {
    check_identity_policy(document);
    size += document.size();
  }
  if (size > longest_session_policy) {
    throw ApiError("PackedPolicyTooLarge", "The session policy has more than 2048 characters.");
  }
  if (what.policy_arns.size() > most_policy_arns) invalid("At most 10 policy ARNs can be given.");
  for (const auto& arn : what.policy_arns) {
    check_policy_exists(txn, role.account, arn);
    documents.push_back(arn);
  }
  return documents;
}

}  // namespace

Session assume_role(Region& region, const Principal& caller, const AssumeRole& what) {
  check_session_name(what.session_name);
  if (caller.is_root()) {
    throw ApiError("AccessDenied", "Roles may not be assumed by root accounts.", 403);
  }
  Asked asked{.action = "sts:AssumeRole", .resource = what.role_arn};
  asked.context.set("sts:RoleSessionName", what.session_name);
  if (!what.external_id.empty()) asked.context.set("sts:ExternalId", what.external_id);
  std::optional<policy::Decision> refused;
  std::int64_t seconds = 0;
  Principal principal;
  region.catalog.read([&](Txn& txn) {
    refused.reset();
    const auto role = find_role(txn, what.role_arn);
    const Permissions permissions(txn, caller);
    // Whether there is such a role is not told to who may not assume it.
    const auto trust = role ? policy::parse(role->trust_policy, policy::trust_policy)
                            : base::Result<policy::Document>(base::Error(base::Fault::not_found, "no such role"));
    policy::Policies policies = permissions.policies();
    policies.resource_decides = true;
    if (role) policies.resource_account = role->account;
    if (trust) policies.resource = policy::NamedPolicy{.name = "trust policy", .document = &*trust};
    const auto decision = policy::evaluate(permissions.request(region, asked), policies);
    if (!decision.allowed()) {
      refused = decision;
      return;
    }
    const bool chained = caller.token_issued != 0;
    seconds = checked_duration(
        what.duration_seconds, usual_role_seconds,
        chained ? std::min(longest_chained_seconds, role->max_session_seconds) : role->max_session_seconds);
    principal = principal_of(*role, what.session_name);
    principal.session_policies = session_policies(txn, what, *role);
  });
  if (refused) refuse(region, caller, asked, *refused);
  return make(region, std::move(principal), seconds);
}

std::optional<Session> session_for_service(Region& region, const IamIdentity& role, const std::string& service,
                                           const std::string& session_name, std::int64_t duration_seconds) {
  const auto trust = policy::parse(role.trust_policy, policy::trust_policy);
  if (!trust) return {};
  policy::Policies policies{.resource = policy::NamedPolicy{.name = "trust policy", .document = &*trust},
                            .resource_account = role.account,
                            .resource_decides = true};
  policy::Request request{.caller = {.service = service}, .action = "sts:AssumeRole", .resource = role.arn()};
  request.context.set("aws:SourceAccount", role.account);
  if (!policy::evaluate(request, policies).allowed()) return {};
  return make(region, principal_of(role, session_name), duration_seconds);
}

Session session_of_caller(Region& region, const Principal& caller, std::optional<std::int64_t> duration_seconds) {
  if (caller.token_issued != 0) {
    throw ApiError("AccessDenied", "Cannot call GetSessionToken with session credentials", 403);
  }
  const auto longest = caller.is_root() ? longest_root_seconds : longest_user_seconds;
  return make(region, caller, checked_duration(duration_seconds, usual_seconds, longest));
}

std::optional<OpenedSession> open_session(keys::KeyStore& keys, const std::string& access_key,
                                          const std::string& token) {
  const auto text = open_secret(keys, access_key, token);
  if (!text) return {};
  const auto known = json::parse(*text).as_object();
  const auto word = [&](const char* name) { return std::string(known.at(name).as_string()); };
  OpenedSession session{.secret = word("secret"),
                        .expires = known.at("expires").as_int64(),
                        .principal = {.account = word("account"),
                                      .arn = word("arn"),
                                      .user_id = word("user_id"),
                                      .access_key = access_key,
                                      .identity_id = word("identity_id"),
                                      .user_name = word("user_name"),
                                      .role_arn = word("role_arn"),
                                      .session_policies = {},
                                      .token_issued = known.at("issued").as_int64()}};
  for (const auto& each : known.at("policies").as_array()) {
    session.principal.session_policies.emplace_back(each.as_string());
  }
  return session;
}

}  // namespace kiln::control
