// GetCallerIdentity, AssumeRole, GetSessionToken, DecodeAuthorizationMessage.
#include "services/sts/sts.h"

#include "base/api_error.h"
#include "control/sessions.h"

namespace kiln::services::sts {

struct GetCallerIdentityRequest {};

struct GetCallerIdentityResponse {
  std::string arn, user_id, account;
};

struct PolicyDescriptor {
  std::string arn;
};

struct AssumeRoleRequest {
  std::string role_arn, role_session_name, policy, external_id;
  std::vector<PolicyDescriptor> policy_arns;
  std::optional<int> duration_seconds;
};

struct Credentials {
  std::string access_key_id, secret_access_key, session_token;
  wire::Timestamp expiration;
};

struct AssumedRoleUser {
  std::string assumed_role_id, arn;
};

struct AssumeRoleResponse {
  Credentials credentials;
  AssumedRoleUser assumed_role_user;
};

struct GetSessionTokenRequest {
  std::optional<int> duration_seconds;
};

struct GetSessionTokenResponse {
  Credentials credentials;
};

struct DecodeAuthorizationMessageRequest {
  std::string encoded_message;
};

struct DecodeAuthorizationMessageResponse {
  std::string decoded_message;
};

}  // namespace kiln::services::sts

KILN_WIRE_EMPTY(kiln::services::sts::GetCallerIdentityRequest)
KILN_WIRE(kiln::services::sts::GetCallerIdentityResponse, arn, user_id, account)
KILN_WIRE_NAME(kiln::services::sts::PolicyDescriptor, arn, "arn")
KILN_WIRE(kiln::services::sts::PolicyDescriptor, arn)
KILN_WIRE(kiln::services::sts::AssumeRoleRequest, role_arn, role_session_name, policy, external_id, policy_arns,
          duration_seconds)
KILN_WIRE(kiln::services::sts::Credentials, access_key_id, secret_access_key, session_token, expiration)
KILN_WIRE(kiln::services::sts::AssumedRoleUser, assumed_role_id, arn)
KILN_WIRE(kiln::services::sts::AssumeRoleResponse, credentials, assumed_role_user)
KILN_WIRE(kiln::services::sts::GetSessionTokenRequest, duration_seconds)
KILN_WIRE(kiln::services::sts::GetSessionTokenResponse, credentials)
KILN_WIRE(kiln::services::sts::DecodeAuthorizationMessageRequest, encoded_message)
KILN_WIRE(kiln::services::sts::DecodeAuthorizationMessageResponse, decoded_message)

namespace kiln::services::sts {
namespace {

Credentials to_shape(const control::Session& session) {
  return {.access_key_id = session.access_key,
          .secret_access_key = session.secret,
          .session_token = session.token,
          .expiration = {session.expires}};
}

std::optional<std::int64_t> seconds_of(std::optional<int> asked) {
  return asked ? std::optional<std::int64_t>(*asked) : std::nullopt;
}

GetCallerIdentityResponse get_caller_identity(Call& call, const GetCallerIdentityRequest&) {
  return {.arn = call.principal.arn, .user_id = call.principal.user_id, .account = call.principal.account};
}

AssumeRoleResponse assume_role(Call& call, const AssumeRoleRequest& request) {
  control::AssumeRole what{.role_arn = request.role_arn,
                           .session_name = request.role_session_name,
                           .duration_seconds = seconds_of(request.duration_seconds),
                           .policies = {},
                           .policy_arns = {},
                           .external_id = request.external_id};
  if (!request.policy.empty()) what.policies.push_back(request.policy);
  for (const auto& policy : request.policy_arns) what.policy_arns.push_back(policy.arn);
  const auto session = control::assume_role(call.region, call.principal, what);
  return {.credentials = to_shape(session),
          .assumed_role_user = {.assumed_role_id = session.principal.user_id, .arn = session.principal.arn}};
}

GetSessionTokenResponse get_session_token(Call& call, const GetSessionTokenRequest& request) {
  return {to_shape(control::session_of_caller(call.region, call.principal, seconds_of(request.duration_seconds)))};
}

DecodeAuthorizationMessageResponse decode_authorization_message(Call& call,
                                                                const DecodeAuthorizationMessageRequest& request) {
  return {control::decode_authorization_message(call.region, call.principal, request.encoded_message)};
}

// Who one is may be asked by anybody, and a session of one's own; of roles the rules decide, for these have a policy.
std::vector<control::Asked> asked(const AtDoor& request) {
  if (request.action == "GetCallerIdentity" || request.action == "GetSessionToken" || request.action == "AssumeRole") {
    return {};
  }
  return {{.action = "sts:" + request.action}};
}

constexpr Operation operations[] = {
    operation<assume_role>("AssumeRole", Access::writes),
    operation<decode_authorization_message>("DecodeAuthorizationMessage", Access::reads),
    operation<get_caller_identity>("GetCallerIdentity", Access::reads),
    operation<get_session_token>("GetSessionToken", Access::writes),
};

}  // namespace

Service service() {
  return {.name = "sts",
          .version = "2011-06-15",
          .dialect = {.protocol = wire::Protocol::query, .xml_namespace = "https://sts.amazonaws.com/doc/2011-06-15/"},
          .global = true,
          .asked = asked,
          .tables = {operations}};
}

}  // namespace kiln::services::sts
