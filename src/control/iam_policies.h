#pragma once
// Policies of identities: managed ones, in versions, which are attached by their ARN, and inline ones. Some managed
// policies are Kiln's own, under AWS's names (arn:aws:iam::aws:policy/...; aws_policies.h), and cannot be changed.
// Refusals are IAM's own codes. Request threads; each call is one transaction.

#include <string>
#include <vector>

#include "catalog/iam.h"
#include "control/iam_identities.h"
#include "control/region.h"

namespace kiln::control {

// Throw MalformedPolicyDocument, which says where.
void check_identity_policy(const std::string& document);
void check_trust_policy(const std::string& document);

struct NewPolicy {
  std::string name;
  std::string path = "/";
  std::string description;
  std::string document;
  IamTags tags;
};
catalog::IamPolicy create_managed_policy(Region& region, const std::string& account, const NewPolicy& what);
// Throws DeleteConflict while it is attached or has other versions.
void delete_managed_policy(Region& region, const std::string& account, const std::string& arn);

// By ARN, AWS's own included: those have the account aws. Throws NoSuchEntity.
catalog::IamPolicy managed_policy(catalog::Txn& txn, const std::string& account, const std::string& arn);
catalog::IamPolicy managed_policy(Region& region, const std::string& account, const std::string& arn);
// The default version of it.
std::string policy_document(catalog::Txn& txn, const catalog::IamPolicy& policy, const std::string& arn);
void check_policy_exists(catalog::Txn& txn, const std::string& account, const std::string& arn);
std::vector<catalog::IamPolicy> managed_policies(Region& region, const std::string& account);  // the account's, by name
std::vector<catalog::IamPolicy> aws_managed_policies();

catalog::IamPolicyVersion create_policy_version(Region& region, const std::string& account, const std::string& arn,
                                                const std::string& document, bool set_default);
// version: v3. The version that is the default cannot be deleted.
void delete_policy_version(Region& region, const std::string& account, const std::string& arn,
                           const std::string& version);
void set_default_version(Region& region, const std::string& account, const std::string& arn,
                         const std::string& version);
catalog::IamPolicyVersion policy_version(Region& region, const std::string& account, const std::string& arn,
                                         const std::string& version);
std::vector<catalog::IamPolicyVersion> policy_versions(Region& region, const std::string& account,
                                                       const std::string& arn);

void attach_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                   const std::string& arn);
void detach_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                   const std::string& arn);
std::vector<catalog::IamAttachment> attachments_of(Region& region, const catalog::IamIdentity& identity);
// Of the account, by name; limits: those whose boundary it is, in place of those it is attached to.
std::vector<catalog::IamIdentity> attached_to(Region& region, const std::string& account, const std::string& arn,
                                              bool limits);

void put_inline_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                       const catalog::IamInlinePolicy& policy);
void delete_inline_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                          const std::string& policy);
catalog::IamInlinePolicy inline_policy(Region& region, const catalog::IamIdentity& identity, const std::string& policy);
std::vector<catalog::IamInlinePolicy> inline_policies(Region& region, const catalog::IamIdentity& identity);

}  // namespace kiln::control
