#include <algorithm>

#include "control/aws_policies.h"

namespace kiln::control {
namespace {

constexpr AwsPolicy policies[] = {
    {"AdministratorAccess", "/", "ANPAIWMBCKSKIEE64ZLYK", "Provides full access to AWS services and resources.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]})"},
    {"PowerUserAccess", "/", "ANPAJYRXTHIB4FOVS3ZXS",
     "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["iam:ListRoles","organizations:DescribeOrganization"],"Resource":"*"}]})"},
    {"ReadOnlyAccess", "/", "ANPAILL3HVNFSB6DCOWYQ", "Provides read-only access to AWS services and resources.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","ec2:Get*","ec2:List*","ebs:List*","ebs:Get*","kms:Describe*","kms:Get*","kms:List*","iam:Get*","iam:List*","iam:Generate*","sts:GetCallerIdentity","ssm:Describe*","ssm:Get*","ssm:List*","rbin:Get*","rbin:List*","organizations:Describe*","organizations:List*","autoscaling:Describe*","cloudwatch:Describe*","cloudwatch:Get*","cloudwatch:List*","imagebuilder:Get*","imagebuilder:List*","inspector2:Get*","inspector2:List*","dlm:Get*","dlm:List*"],"Resource":"*"}]})"},
    {"IAMFullAccess", "/", "ANPAI7XKCFMBPM3QQRRVQ", "Provides full access to IAM via the AWS Management Console.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeOrganization"],"Resource":"*"}]})"},
    {"IAMReadOnlyAccess", "/", "ANPAJKSO7NDY4T57MWDSQ",
     "Provides read only access to IAM via the AWS Management Console.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Generate*","iam:Simulate*"],"Resource":"*"}]})"},
    {"AmazonEC2FullAccess", "/", "ANPAI3VAJF5ZCRZ7MCQE6",
     "Provides full access to Amazon EC2 via the AWS Management Console.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"elasticloadbalancing:*","Resource":"*"},{"Effect":"Allow","Action":"cloudwatch:*","Resource":"*"},{"Effect":"Allow","Action":"autoscaling:*","Resource":"*"}]})"},
    {"AmazonEC2ReadOnlyAccess", "/", "ANPAIGDT4SV4GSETWTBZK",
     "Provides read only access to Amazon EC2 via the AWS Management Console.",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},{"Effect":"Allow","Action":["cloudwatch:ListMetrics","cloudwatch:GetMetricStatistics","cloudwatch:Describe*"],"Resource":"*"},{"Effect":"Allow","Action":"autoscaling:Describe*","Resource":"*"}]})"},
    {"AWSKeyManagementServicePowerUser", "/", "ANPAJNPP7PPPPMJRV2SA4",
     "Provides access to AWS Key Management Service (KMS).",
     R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:CreateAlias","kms:CreateKey","kms:DeleteAlias","kms:Describe*","kms:GenerateRandom","kms:Get*","kms:List*","kms:TagResource","kms:UntagResource","iam:ListGroups","iam:ListRoles","iam:ListUsers"],"Resource":"*"}]})"},
};

}  // namespace

std::span<const AwsPolicy> aws_policies() { return policies; }

const AwsPolicy* find_aws_policy(std::string_view arn) {
  const auto found = std::ranges::find_if(policies, [&](const AwsPolicy& each) { return each.arn() == arn; });
  return found == std::end(policies) ? nullptr : &*found;
}

}  // namespace kiln::control
