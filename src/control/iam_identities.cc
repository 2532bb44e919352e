#include "control/iam_identities.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "control/iam_policies.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::IamIdentity;
using catalog::Txn;

constexpr std::int64_t shortest_session = 3600, longest_session = 12 * 3600;
constexpr std::size_t most_groups_of_user = 10, most_tags = 50;

struct Kind {
  const char* kind;
  const char* id_prefix;
  const char* parameter;  // as errors name it
  const char* noun;
  std::size_t longest_name;
  std::size_t most;  // of an account
};

constexpr Kind kinds[] = {
    {user_kind, "AIDA", "userName", "user", 64, 5000},
    {group_kind, "AGPA", "groupName", "group", 128, 300},
    {role_kind, "AROA", "roleName", "role", 64, 1000},
    {profile_kind, "AIPA", "instanceProfileName", "instance profile", 128, 1000},
};

const Kind& kind_of(const std::string& kind) {
  return *std::ranges::find_if(kinds, [&](const Kind& each) { return kind == each.kind; });
}

[[noreturn]] void invalid(const std::string& what, const std::string& constraint) {
  throw ApiError("ValidationError",
                 "1 validation error detected: Value at '" + what + "' failed to satisfy constraint: " + constraint);
}

std::string capital(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

void check_session_seconds(std::int64_t seconds) {
  if (seconds < shortest_session || seconds > longest_session) {
    invalid("maxSessionDuration", "Member must have value from 3600 to 43200");
  }
}

void check_new_name(Txn& txn, const std::string& account, const Kind& kind, const std::string& name) {
  check_iam_name(name, kind.parameter, kind.longest_name);
  if (catalog::identity_name_is_taken(txn, account, kind.kind, name)) {
    throw ApiError("EntityAlreadyExists", capital(kind.noun) + " with name " + name + " already exists.", 409);
  }
}

[[noreturn]] void conflict(const std::string& what) {
  throw ApiError("DeleteConflict", "Cannot delete entity, must " + what + " first.", 409);
}

void check_nothing_hangs_on(Txn& txn, const IamIdentity& row) {
  if (!catalog::inline_policies_of(txn, row.id).empty()) conflict("delete policies");
  if (!catalog::attachments_of(txn, row.id).empty()) conflict("detach all policies");
  if (!catalog::members_of(txn, row.id).empty()) {
    conflict(row.kind == group_kind ? "remove users from group" : "remove roles from instance profile");
  }
  if (row.kind == user_kind) {
    if (!txn.query("SELECT id FROM access_key WHERE user_id = $1", {row.id}).empty()) conflict("delete access keys");
    if (!catalog::holders_of(txn, row.id, group_kind).empty()) conflict("remove user from group");
  }
  if (row.kind == role_kind && !catalog::holders_of(txn, row.id, profile_kind).empty()) {
    conflict("remove roles from instance profile");
  }
}

}  // namespace

std::string new_iam_id(const std::string& prefix) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const auto random = base::random_hex(17);
  std::string id = prefix;
  for (std::size_t i = 0; i < random.size(); i += 2) {
    id += letters[static_cast<std::size_t>(std::stoi(random.substr(i, 2), nullptr, 16)) % letters.size()];
  }
  return id;
}

void check_iam_name(const std::string& name, const char* what, std::size_t longest) {
  if (name.empty()) invalid(what, "Member must have length greater than or equal to 1");
  if (name.size() > longest) invalid(what, "Member must have length less than or equal to " + std::to_string(longest));
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("+=,.@_-").find(c) != std::string_view::npos;
  };
  if (!std::ranges::all_of(name, good)) {
    throw ApiError("ValidationError", "The specified value for " + std::string(what) +
                                          " is invalid. It must contain only alphanumeric characters and/or the "
                                          "following: +=,.@_-");
  }
}

void check_iam_path(const std::string& path) {
  const bool good = !path.empty() && path.size() <= 512 && path.front() == '/' && path.back() == '/' &&
                    std::ranges::all_of(path, [](char c) { return c > 0x20 && c < 0x7F && c != '*' && c != '?'; });
  if (!good) {
    throw ApiError("ValidationError",
                   "The specified value for path is invalid. It must begin and end with / and "
                   "contain only alphanumeric characters and/or / characters.");
  }
}

IamIdentity create_identity(Region& region, const std::string& account, const NewIdentity& what) {
  const Kind& kind = kind_of(what.kind);
  check_iam_path(what.path);
  IamIdentity row{.account = account,
                  .kind = what.kind,
                  .name = what.name,
                  .id = new_iam_id(kind.id_prefix),
                  .path = what.path,
                  .description = what.description,
                  .trust_policy = what.trust_policy,
                  .boundary = what.boundary,
                  .created = region.clock.now()};
  if (what.kind == role_kind) {
    check_trust_policy(what.trust_policy);
    check_session_seconds(what.max_session_seconds);
    row.max_session_seconds = what.max_session_seconds;
  }
  region.catalog.run_in_txn([&](Txn& txn) {
    check_new_name(txn, account, kind, what.name);
    if (catalog::identities_of(txn, account, what.kind).size() >= kind.most) {
      throw ApiError("LimitExceeded",
                     "Cannot exceed quota for " + capital(kind.noun) + "sPerAccount: " + std::to_string(kind.most),
                     409);
    }
    if (!row.boundary.empty()) check_policy_exists(txn, account, row.boundary);
    catalog::insert(txn, row);
    set_iam_tags(txn, row.id, what.tags);
  });
  return row;
}

IamIdentity identity(Txn& txn, const std::string& account, const std::string& kind, const std::string& name) {
  check_iam_name(name, kind_of(kind).parameter, 128);
  auto found = catalog::find_identity(txn, account, kind, name);
  if (!found) {
    throw ApiError("NoSuchEntity",
                   kind == profile_kind ? "Instance Profile " + name + " cannot be found."
                                        : "The " + kind + " with name " + name + " cannot be found.",
                   404);
  }
  return *std::move(found);
}

IamIdentity identity(Region& region, const std::string& account, const std::string& kind, const std::string& name) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return identity(txn, account, kind, name); });
}

std::vector<IamIdentity> identities(Region& region, const std::string& account, const std::string& kind,
                                    const std::string& path_prefix) {
  if (!path_prefix.empty() && path_prefix.front() != '/') {
    throw ApiError("ValidationError", "The specified value for pathPrefix is invalid. It must begin with /.");
  }
  auto found = catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::identities_of(txn, account, kind); });
  std::erase_if(found, [&](const IamIdentity& each) { return !each.path.starts_with(path_prefix); });
  return found;
}

void delete_identity(Region& region, const std::string& account, const std::string& kind, const std::string& name) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = identity(txn, account, kind, name);
    check_nothing_hangs_on(txn, row);
    catalog::remove_iam_tags(txn, row.id);
    catalog::remove(txn, row);
  });
}

IamIdentity change_identity(Region& region, const std::string& account, const std::string& kind,
                            const std::string& name, const IdentityChange& change) {
  if (!change.path.empty()) check_iam_path(change.path);
  if (change.trust_policy) check_trust_policy(*change.trust_policy);
  if (change.max_session_seconds) check_session_seconds(*change.max_session_seconds);
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto row = identity(txn, account, kind, name);
    catalog::remove(txn, row);  // its name is part of its key
    if (!change.name.empty() && change.name != name) {
      check_new_name(txn, account, kind_of(kind), change.name);
      row.name = change.name;
    }
    if (!change.path.empty()) row.path = change.path;
    if (change.description) row.description = *change.description;
    if (change.trust_policy) row.trust_policy = *change.trust_policy;
    if (change.max_session_seconds) row.max_session_seconds = *change.max_session_seconds;
    if (change.boundary) {
      if (!change.boundary->empty()) check_policy_exists(txn, account, *change.boundary);
      row.boundary = *change.boundary;
    }
    catalog::insert(txn, row);
    return row;
  });
}

void add_member(Region& region, const std::string& account, const std::string& holder_kind, const std::string& holder,
                const std::string& member) {
  const bool is_profile = holder_kind == profile_kind;
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto held_by = identity(txn, account, holder_kind, holder);
    const auto held = identity(txn, account, is_profile ? role_kind : user_kind, member);
    if (is_profile && !catalog::members_of(txn, held_by.id).empty()) {
      throw ApiError("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1", 409);
    }
    if (!is_profile && catalog::holders_of(txn, held.id, group_kind).size() >= most_groups_of_user) {
      throw ApiError("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10", 409);
    }
    catalog::upsert(txn, catalog::IamMember{held_by.id, held.id});
  });
}

void remove_member(Region& region, const std::string& account, const std::string& holder_kind,
                   const std::string& holder, const std::string& member) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto held_by = identity(txn, account, holder_kind, holder);
    const auto held = identity(txn, account, holder_kind == profile_kind ? role_kind : user_kind, member);
    if (!catalog::remove(txn, catalog::IamMember{held_by.id, held.id})) {
      throw ApiError("NoSuchEntity", member + " is not in " + holder + ".", 404);
    }
  });
}

std::vector<IamIdentity> members_of(Region& region, const IamIdentity& holder) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::members_of(txn, holder.id); });
}

std::vector<IamIdentity> holders_of(Region& region, const IamIdentity& member, const std::string& kind) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::holders_of(txn, member.id, kind); });
}

std::vector<catalog::IamTag> iam_tags(Region& region, const std::string& owner) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::iam_tags_of(txn, owner); });
}

void set_iam_tags(Txn& txn, const std::string& owner, const IamTags& tags) {
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > 128 || value.size() > 256) {
      invalid("tags", "keys have from 1 to 128 characters, values at most 256");
    }
    if (key.starts_with("aws:")) throw ApiError("InvalidInput", "Tag keys that begin with aws: are reserved.");
    catalog::upsert(txn, catalog::IamTag{.owner_id = owner, .key = key, .value = value});
  }
  if (catalog::iam_tags_of(txn, owner).size() > most_tags) {
    throw ApiError("LimitExceeded", "The number of tags has reached the maximum limit.", 409);
  }
}

void set_iam_tags(Region& region, const std::string& owner, const IamTags& tags) {
  region.catalog.run_in_txn([&](Txn& txn) { set_iam_tags(txn, owner, tags); });
}

void remove_iam_tags(Region& region, const std::string& owner, const std::vector<std::string>& keys) {
  region.catalog.run_in_txn([&](Txn& txn) {
    for (const auto& key : keys) catalog::remove(txn, catalog::IamTag{.owner_id = owner, .key = key, .value = {}});
  });
}

}  // namespace kiln::control
