#include "control/key_policy.h"

#include "base/api_error.h"
#include "policy/evaluate.h"

namespace kiln::control {

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
  request.context.set("kms:CallerAccount", use.account);
  if (!use.via_service.empty()) request.context.set("kms:ViaService", use.via_service);
  policy::Policies policies;
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
  return R"({
  "Version" : "2012-10-17",
  "Id" : "auto-ebs-2",
  "Statement" : [ {
    "Sid" : "Allow access through EBS for all principals in the account that are authorized to use EBS",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "*"
    },
    "Action" : [ "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant",
      "kms:DescribeKey" ],
    "Resource" : "*",
    "Condition" : {
      "StringEquals" : {
        "kms:ViaService" : "ec2.)" +
         region + R"(.amazonaws.com",
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

}  // namespace kiln::control
