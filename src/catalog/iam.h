#pragma once
// Identity and access management: users, groups, roles and instance profiles, who is in which, and their policies. Not
// regional; accounts are in every key that users choose.

#include "catalog/table.h"

namespace kiln::catalog {

// A user, group, role or instance profile: all have a name of their own in the account, and an id that no other has
// ever had.
struct IamIdentity {
  std::string account;
  std::string kind;  // user, group, role, instance-profile
  std::string name;
  std::string id;    // AIDA..., AGPA..., AROA..., AIPA...
  std::string path;  // begins and ends with /
  std::string description;
  std::string trust_policy;  // JSON; of a role
  std::int64_t max_session_seconds = 0;
  std::string boundary;  // the ARN of a managed policy; empty: none
  base::Micros created = 0;

  std::string arn() const;
};

// A user in a group, a role in an instance profile.
struct IamMember {
  std::string holder_id, member_id;
};

// A managed policy of an account; its versions are numbered from 1 and never again.
struct IamPolicy {
  std::string account, name;
  std::string id;  // ANPA...
  std::string path, description;
  std::int64_t default_version = 1, last_version = 1;
  base::Micros created = 0, updated = 0;

  std::string arn() const;
};

struct IamPolicyVersion {
  std::string policy_id;
  std::int64_t version = 1;
  std::string document;
  base::Micros created = 0;
};

struct IamAttachment {
  std::string identity_id, policy_arn;
  base::Micros attached = 0;
};

struct IamInlinePolicy {
  std::string identity_id, name;
  std::string document;
};

struct IamTag {
  std::string owner_id;  // an identity's or a policy's
  std::string key, value;
};

std::optional<IamIdentity> find_identity(Txn& txn, const std::string& account, const std::string& kind,
                                         const std::string& name);
std::optional<IamIdentity> find_identity(Txn& txn, const std::string& id);
// Whether one has this name but for the case of its letters.
bool identity_name_is_taken(Txn& txn, const std::string& account, const std::string& kind, const std::string& name);
std::vector<IamIdentity> identities_of(Txn& txn, const std::string& account, const std::string& kind);  // by name
std::vector<IamIdentity> members_of(Txn& txn, const std::string& holder_id);                            // by name
std::vector<IamIdentity> holders_of(Txn& txn, const std::string& member_id, const std::string& kind);   // by name

std::optional<IamPolicy> find_policy(Txn& txn, const std::string& account, const std::string& name);
std::vector<IamPolicy> policies_of(Txn& txn, const std::string& account);  // by name
std::optional<IamPolicyVersion> find_policy_version(Txn& txn, const std::string& policy_id, std::int64_t version);
std::vector<IamPolicyVersion> policy_versions_of(Txn& txn, const std::string& policy_id);  // newest first

std::vector<IamAttachment> attachments_of(Txn& txn, const std::string& identity_id);  // by ARN
std::vector<IamAttachment> attachments_to(Txn& txn, const std::string& policy_arn);
std::vector<IamInlinePolicy> inline_policies_of(Txn& txn, const std::string& identity_id);  // by name
std::vector<IamTag> iam_tags_of(Txn& txn, const std::string& owner_id);                     // by key
void remove_iam_tags(Txn& txn, const std::string& owner_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::IamIdentity, "iam_identity", 3, account, kind, name, id, path, description, trust_policy,
         max_session_seconds, boundary, created)
KILN_ROW(kiln::catalog::IamMember, "iam_member", 2, holder_id, member_id)
KILN_ROW(kiln::catalog::IamPolicy, "iam_policy", 2, account, name, id, path, description, default_version, last_version,
         created, updated)
KILN_ROW(kiln::catalog::IamPolicyVersion, "iam_policy_version", 2, policy_id, version, document, created)
KILN_ROW(kiln::catalog::IamAttachment, "iam_attachment", 2, identity_id, policy_arn, attached)
KILN_ROW(kiln::catalog::IamInlinePolicy, "iam_inline_policy", 2, identity_id, name, document)
KILN_ROW(kiln::catalog::IamTag, "iam_tag", 2, owner_id, key, value)
