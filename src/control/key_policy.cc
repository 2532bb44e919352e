#include "control/key_policy.h"

#include "base/api_error.h"
#include "control/access.h"
#include "policy/evaluate.h"

namespace kiln::control {
namespace {

// Stands for the policies of a caller that allowed the use already.
const policy::Document& allow_all() {
  static const policy::Document document =
      *policy::parse(R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})", policy::identity_policy);
  return document;
}

struct ServicePolicy {
  std::string id, name, endpoint;
};

std::string service_key_policy(const ServicePolicy& service, const std::string& account, const std::string& region) {
  return R"({
  "Version" : "2012-10-17",
  "Id" : ")" +
         service.id +
         R"(",
  "Statement" : [ {
    "Sid" : "Allow access through )" +
         service.name + R"( for all principals in the account that are authorized to use )" + service.name + R"(",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant",
      "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:ViaService" : ")" +
         service.endpoint + "." + region + R"(.amazonaws.com",
        "kms:CallerAccount" : ")" +
         account + R"("
      }
    }
  }, {
    "Sid" : "Allow direct access to key metadata to the account",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::)" +
         account + R"(:root"
    },
    "Action" : [ "kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant" ],
    "Resource" : "*"
  } ]
})";
}

}  // namespace

bool policy_allows(const std::string& policy, const KeyUse& use) {
  const auto document = policy::parse(policy, policy::key_policy);
  if (!document) return false;
  policy::Request request{.caller = {.account = use.account,
                                     .arn = "arn:aws:iam::" + use.account + ":root",
                                     .role_arn = {},
                                     .service = {},
                                     .is_root = true},
                          .action = use.action,
                          .resource = "*",
                          .context = {}};
  policy::Policies policies;
  if (use.principal != nullptr && !use.principal->is_root()) {
    request.caller.arn = use.principal->arn;
    request.caller.role_arn = use.principal->role_arn;
    request.caller.is_root = false;
    policies.identity = {{.name = "identity", .document = &allow_all()}};
  }
  request.context.set("kms:CallerAccount", use.account);
  request.context.set("aws:PrincipalAccount", use.account);
  add_organization(request.context, use.place);
  if (!use.via_service.empty()) request.context.set("kms:ViaService", use.via_service);
  policies.resource = policy::NamedPolicy{.name = "key policy", .document = &*document};
  policies.resource_decides = true;
  return policy::evaluate(request, policies).allowed();
}

void check_policy(const std::string& policy) {
  const auto document = policy::parse(policy, policy::key_policy);
  if (!document) throw base::ApiError("MalformedPolicyDocumentException", document.error().message());
}

std::string default_key_policy(const std::string& account) {
  return R"({
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::)" +
         account + R"(:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
})";
}

std::string ebs_key_policy(const std::string& account, const std::string& region) {
  return service_key_policy({.id = "auto-ebs-2", .name = "EBS", .endpoint = "ec2"}, account, region);
}

std::string ssm_key_policy(const std::string& account, const std::string& region) {
  return service_key_policy({.id = "auto-ssm-1", .name = "AWS Systems Manager", .endpoint = "ssm"}, account, region);
}

}  // namespace kiln::control
