#include "catalog/iam.h"

namespace kiln::catalog {

std::string IamIdentity::arn() const { return "arn:aws:iam::" + account + ":" + kind + path + name; }

std::string IamPolicy::arn() const { return "arn:aws:iam::" + account + ":policy" + path + name; }

std::optional<IamIdentity> find_identity(Txn& txn, const std::string& account, const std::string& kind,
                                         const std::string& name) {
  return select_one<IamIdentity>(txn, "WHERE account = $1 AND kind = $2 AND name = $3", {account, kind, name});
}

std::optional<IamIdentity> find_identity(Txn& txn, const std::string& id) {
  return select_one<IamIdentity>(txn, "WHERE id = $1", {id});
}

bool identity_name_is_taken(Txn& txn, const std::string& account, const std::string& kind, const std::string& name) {
  return select_one<IamIdentity>(txn, "WHERE account = $1 AND kind = $2 AND lower(name) = lower($3)",
                                 {account, kind, name})
      .has_value();
}

std::vector<IamIdentity> identities_of(Txn& txn, const std::string& account, const std::string& kind) {
  return select<IamIdentity>(txn, "WHERE account = $1 AND kind = $2 ORDER BY name", {account, kind});
}

std::vector<IamIdentity> members_of(Txn& txn, const std::string& holder_id) {
  return select<IamIdentity>(txn, "WHERE id IN (SELECT member_id FROM iam_member WHERE holder_id = $1) ORDER BY name",
                             {holder_id});
}

std::vector<IamIdentity> holders_of(Txn& txn, const std::string& member_id, const std::string& kind) {
  return select<IamIdentity>(
      txn, "WHERE id IN (SELECT holder_id FROM iam_member WHERE member_id = $1) AND kind = $2 ORDER BY name",
      {member_id, kind});
}

std::optional<IamPolicy> find_policy(Txn& txn, const std::string& account, const std::string& name) {
  return select_one<IamPolicy>(txn, "WHERE account = $1 AND name = $2", {account, name});
}

std::vector<IamPolicy> policies_of(Txn& txn, const std::string& account) {
  return select<IamPolicy>(txn, "WHERE account = $1 ORDER BY name", {account});
}

std::optional<IamPolicyVersion> find_policy_version(Txn& txn, const std::string& policy_id, std::int64_t version) {
  return select_one<IamPolicyVersion>(txn, "WHERE policy_id = $1 AND version = $2", {policy_id, version});
}

std::vector<IamPolicyVersion> policy_versions_of(Txn& txn, const std::string& policy_id) {
  return select<IamPolicyVersion>(txn, "WHERE policy_id = $1 ORDER BY version DESC", {policy_id});
}

std::vector<IamAttachment> attachments_of(Txn& txn, const std::string& identity_id) {
  return select<IamAttachment>(txn, "WHERE identity_id = $1 ORDER BY policy_arn", {identity_id});
}

std::vector<IamAttachment> attachments_to(Txn& txn, const std::string& policy_arn) {
  return select<IamAttachment>(txn, "WHERE policy_arn = $1 ORDER BY identity_id", {policy_arn});
}

std::vector<IamInlinePolicy> inline_policies_of(Txn& txn, const std::string& identity_id) {
  return select<IamInlinePolicy>(txn, "WHERE identity_id = $1 ORDER BY name", {identity_id});
}

std::vector<IamTag> iam_tags_of(Txn& txn, const std::string& owner_id) {
  return select<IamTag>(txn, "WHERE owner_id = $1 ORDER BY key", {owner_id});
}

void remove_iam_tags(Txn& txn, const std::string& owner_id) {
  txn.execute("DELETE FROM iam_tag WHERE owner_id = $1", {owner_id});
}

}  // namespace kiln::catalog
