#pragma once
// Users, groups, roles and instance profiles of an account: made, found, changed, and deleted when nothing hangs on
// them. Refusals are IAM's own codes (NoSuchEntity, EntityAlreadyExists, DeleteConflict, LimitExceeded,
// ValidationError). Request threads; each call is one transaction.

#include <map>
#include <string>
#include <vector>

#include "catalog/iam.h"
#include "control/region.h"

namespace kiln::control {

inline constexpr const char* user_kind = "user";
inline constexpr const char* group_kind = "group";
inline constexpr const char* role_kind = "role";
inline constexpr const char* profile_kind = "instance-profile";

using IamTags = std::vector<std::pair<std::string, std::string>>;

struct NewIdentity {
  std::string kind, name;
  std::string path = "/";
  std::string description;
  std::string trust_policy;                 // of a role, which has to have one
  std::int64_t max_session_seconds = 3600;  // of a role
  std::string boundary;
  IamTags tags;
};
catalog::IamIdentity create_identity(Region& region, const std::string& account, const NewIdentity& what);

// Throws NoSuchEntity.
catalog::IamIdentity identity(catalog::Txn& txn, const std::string& account, const std::string& kind,
                              const std::string& name);
catalog::IamIdentity identity(Region& region, const std::string& account, const std::string& kind,
                              const std::string& name);
// Those whose path begins with this, by name.
std::vector<catalog::IamIdentity> identities(Region& region, const std::string& account, const std::string& kind,
                                             const std::string& path_prefix);

// Throws DeleteConflict while anything hangs on it.
void delete_identity(Region& region, const std::string& account, const std::string& kind, const std::string& name);

// What is empty stays.
struct IdentityChange {
  std::string name, path;
  std::optional<std::string> description, trust_policy, boundary;
  std::optional<std::int64_t> max_session_seconds;
};
catalog::IamIdentity change_identity(Region& region, const std::string& account, const std::string& kind,
                                     const std::string& name, const IdentityChange& change);

// Users of groups, roles of instance profiles. Adding a user twice changes nothing.
void add_member(Region& region, const std::string& account, const std::string& holder_kind, const std::string& holder,
                const std::string& member);
void remove_member(Region& region, const std::string& account, const std::string& holder_kind,
                   const std::string& holder, const std::string& member);
std::vector<catalog::IamIdentity> members_of(Region& region, const catalog::IamIdentity& holder);
std::vector<catalog::IamIdentity> holders_of(Region& region, const catalog::IamIdentity& member,
                                             const std::string& kind);

// owner: the id of an identity or a policy.
std::vector<catalog::IamTag> iam_tags(Region& region, const std::string& owner);
void set_iam_tags(catalog::Txn& txn, const std::string& owner, const IamTags& tags);
void set_iam_tags(Region& region, const std::string& owner, const IamTags& tags);
void remove_iam_tags(Region& region, const std::string& owner, const std::vector<std::string>& keys);

// An id as IAM makes them: AIDA and 17 letters and digits.
std::string new_iam_id(const std::string& prefix);
// Throws ValidationError. what: userName.
void check_iam_name(const std::string& name, const char* what, std::size_t longest);
void check_iam_path(const std::string& path);

}  // namespace kiln::control
