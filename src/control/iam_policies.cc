#include "control/iam_policies.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "control/aws_policies.h"
#include "policy/document.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::IamIdentity;
using catalog::IamInlinePolicy;
using catalog::IamPolicy;
using catalog::IamPolicyVersion;
using catalog::Txn;

constexpr std::size_t longest_managed = 6144, longest_trust = 4096;
constexpr std::size_t most_versions = 5, most_attached = 10, most_policies = 1500;

// Of all inline policies of one identity together, without white space.
std::size_t longest_inline(const std::string& kind) {
  return kind == user_kind ? 2048 : kind == group_kind ? 5120 : 10'240;
}

void check_document(const std::string& document, const policy::Grammar& grammar) {
  const auto read = policy::parse(document, grammar);
  if (!read) throw ApiError("MalformedPolicyDocument", read.error().message());
}

void check_size(std::size_t counted, std::size_t limit, const std::string& what) {
  if (counted > limit) {
    throw ApiError("LimitExceeded", "Cannot exceed quota for " + what + ": " + std::to_string(limit), 409);
  }
}

[[noreturn]] void no_policy(const std::string& arn) {
  throw ApiError("NoSuchEntity", "Policy " + arn + " was not found.", 404);
}

IamPolicy to_row(const AwsPolicy& from) {
  return {.account = "aws",
          .name = std::string(from.name),
          .id = std::string(from.id),
          .path = std::string(from.path),
          .description = std::string(from.description)};
}

// One that the account may change.
IamPolicy own_policy(Txn& txn, const std::string& account, const std::string& arn) {
  if (find_aws_policy(arn) != nullptr) {
    throw ApiError("AccessDenied", "The policy " + arn + " belongs to AWS and cannot be changed.", 403);
  }
  return managed_policy(txn, account, arn);
}

std::int64_t version_number(const std::string& version) {
  std::int64_t number = 0;
  const char* const end = version.data() + version.size();
  if (!version.starts_with('v') || version.size() < 2 || std::from_chars(version.data() + 1, end, number).ptr != end ||
      number < 1) {
    throw ApiError("ValidationError", "1 validation error detected: Value '" + version +
                                          "' at 'versionId' failed to satisfy constraint: Member must satisfy regular "
                                          "expression pattern: v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?");
  }
  return number;
}

IamPolicyVersion version_of(Txn& txn, const std::string& arn, const IamPolicy& row, const std::string& version) {
  const auto number = version_number(version);
  if (row.account == "aws" && number == 1) {
    return {.policy_id = row.id, .version = 1, .document = std::string(find_aws_policy(arn)->document)};
  }
  auto found = catalog::find_policy_version(txn, row.id, number);
  if (!found) {
    throw ApiError("NoSuchEntity", "Policy " + arn + " version " + version + " does not exist or is not attachable.",
                   404);
  }
  return *std::move(found);
}

}  // namespace

void check_identity_policy(const std::string& document) { check_document(document, policy::identity_policy); }

void check_trust_policy(const std::string& document) {
  check_document(document, policy::trust_policy);
  check_size(policy::counted_size(document), longest_trust, "ACLSizePerRole");
}

IamPolicy create_managed_policy(Region& region, const std::string& account, const NewPolicy& what) {
  check_iam_name(what.name, "policyName", 128);
  check_iam_path(what.path);
  check_identity_policy(what.document);
  check_size(policy::counted_size(what.document), longest_managed, "PolicySize");
  const IamPolicy row{.account = account,
                      .name = what.name,
                      .id = new_iam_id("ANPA"),
                      .path = what.path,
                      .description = what.description,
                      .created = region.clock.now(),
                      .updated = region.clock.now()};
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto present = catalog::policies_of(txn, account);
    if (catalog::find_policy(txn, account, what.name)) {
      throw ApiError("EntityAlreadyExists",
                     "A policy called " + what.name + " already exists. Duplicate names are not allowed.", 409);
    }
    check_size(present.size() + 1, most_policies, "PoliciesPerAccount");
    catalog::insert(txn, row);
    catalog::insert(
        txn, IamPolicyVersion{.policy_id = row.id, .version = 1, .document = what.document, .created = row.created});
    set_iam_tags(txn, row.id, what.tags);
  });
  return row;
}

void delete_managed_policy(Region& region, const std::string& account, const std::string& arn) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = own_policy(txn, account, arn);
    const bool limits = !txn.query("SELECT id FROM iam_identity WHERE boundary = $1", {arn}).empty();
    if (limits || !catalog::attachments_to(txn, arn).empty()) {
      throw ApiError("DeleteConflict", "Cannot delete a policy attached to entities.", 409);
    }
    const auto versions = catalog::policy_versions_of(txn, row.id);
    if (versions.size() > 1) {
      throw ApiError("DeleteConflict",
                     "This policy has more than one version. Before you delete a policy, you must "
                     "delete the policy's versions. The default version is deleted with the policy.",
                     409);
    }
    for (const auto& version : versions) catalog::remove(txn, version);
    catalog::remove_iam_tags(txn, row.id);
    catalog::remove(txn, row);
  });
}

IamPolicy managed_policy(Txn& txn, const std::string& account, const std::string& arn) {
  if (const auto* aws = find_aws_policy(arn)) return to_row(*aws);
  if (!arn.starts_with("arn:")) {
    throw ApiError("ValidationError", "Invalid ARN: Could not be parsed: " + arn);
  }
  auto found = catalog::find_policy(txn, account, arn.substr(arn.rfind('/') + 1));
  if (!found || found->arn() != arn) no_policy(arn);
  return *std::move(found);
}

IamPolicy managed_policy(Region& region, const std::string& account, const std::string& arn) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return managed_policy(txn, account, arn); });
}

std::string policy_document(Txn& txn, const IamPolicy& policy, const std::string& arn) {
  return version_of(txn, arn, policy, "v" + std::to_string(policy.default_version)).document;
}

void check_policy_exists(Txn& txn, const std::string& account, const std::string& arn) {
  managed_policy(txn, account, arn);
}

std::vector<IamPolicy> managed_policies(Region& region, const std::string& account) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::policies_of(txn, account); });
}

std::vector<IamPolicy> aws_managed_policies() {
  std::vector<IamPolicy> rows;
  for (const auto& each : aws_policies()) rows.push_back(to_row(each));
  std::ranges::sort(rows, {}, &IamPolicy::name);
  return rows;
}

IamPolicyVersion create_policy_version(Region& region, const std::string& account, const std::string& arn,
                                       const std::string& document, bool set_default) {
  check_identity_policy(document);
  check_size(policy::counted_size(document), longest_managed, "PolicySize");
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto row = own_policy(txn, account, arn);
    if (catalog::policy_versions_of(txn, row.id).size() >= most_versions) {
      throw ApiError("LimitExceeded",
                     "A managed policy can have up to 5 versions. Before you create a new version, you "
                     "must delete an existing version.",
                     409);
    }
    row.last_version += 1;
    row.updated = region.clock.now();
    if (set_default) row.default_version = row.last_version;
    catalog::update(txn, row);
    const IamPolicyVersion made{
        .policy_id = row.id, .version = row.last_version, .document = document, .created = row.updated};
    catalog::insert(txn, made);
    return made;
  });
}

void delete_policy_version(Region& region, const std::string& account, const std::string& arn,
                           const std::string& version) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = own_policy(txn, account, arn);
    const auto found = version_of(txn, arn, row, version);
    if (found.version == row.default_version) {
      throw ApiError("DeleteConflict", "Cannot delete the default version of a policy.", 409);
    }
    catalog::remove(txn, found);
  });
}

void set_default_version(Region& region, const std::string& account, const std::string& arn,
                         const std::string& version) {
  region.catalog.run_in_txn([&](Txn& txn) {
    auto row = own_policy(txn, account, arn);
    row.default_version = version_of(txn, arn, row, version).version;
    row.updated = region.clock.now();
    catalog::update(txn, row);
  });
}

IamPolicyVersion policy_version(Region& region, const std::string& account, const std::string& arn,
                                const std::string& version) {
  return catalog::in_read(region.catalog,
                          [&](Txn& txn) { return version_of(txn, arn, managed_policy(txn, account, arn), version); });
}

std::vector<IamPolicyVersion> policy_versions(Region& region, const std::string& account, const std::string& arn) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const auto row = managed_policy(txn, account, arn);
    if (row.account == "aws") return std::vector{version_of(txn, arn, row, "v1")};
    return catalog::policy_versions_of(txn, row.id);
  });
}

void attach_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                   const std::string& arn) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = identity(txn, account, kind, name);
    check_policy_exists(txn, account, arn);
    catalog::upsert(txn,
                    catalog::IamAttachment{.identity_id = row.id, .policy_arn = arn, .attached = region.clock.now()});
    const auto count = catalog::attachments_of(txn, row.id).size();
    check_size(count, most_attached,
               kind == user_kind    ? "PoliciesPerUser"
               : kind == group_kind ? "PoliciesPerGroup"
                                    : "PoliciesPerRole");
  });
}

void detach_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                   const std::string& arn) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = identity(txn, account, kind, name);
    if (!catalog::remove(txn, catalog::IamAttachment{.identity_id = row.id, .policy_arn = arn})) no_policy(arn);
  });
}

std::vector<catalog::IamAttachment> attachments_of(Region& region, const IamIdentity& identity) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::attachments_of(txn, identity.id); });
}

std::vector<IamIdentity> attached_to(Region& region, const std::string& account, const std::string& arn, bool limits) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const char* const of_account = limits ? "WHERE account = $1 AND boundary = $2 ORDER BY name"
                                          : "WHERE account = $1 AND id IN (SELECT identity_id FROM iam_attachment "
                                            "WHERE policy_arn = $2) ORDER BY name";
    return catalog::select<IamIdentity>(txn, of_account, {account, arn});
  });
}

void put_inline_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                       const IamInlinePolicy& policy) {
  check_iam_name(policy.name, "policyName", 128);
  check_identity_policy(policy.document);
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = identity(txn, account, kind, name);
    catalog::upsert(txn, IamInlinePolicy{.identity_id = row.id, .name = policy.name, .document = policy.document});
    std::size_t size = 0;
    for (const auto& each : catalog::inline_policies_of(txn, row.id)) size += policy::counted_size(each.document);
    if (size > longest_inline(kind)) {
      throw ApiError(
          "LimitExceeded",
          "Maximum policy size of " + std::to_string(longest_inline(kind)) + " bytes exceeded for " + kind + " " + name,
          409);
    }
  });
}

void delete_inline_policy(Region& region, const std::string& account, const std::string& kind, const std::string& name,
                          const std::string& policy) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto row = identity(txn, account, kind, name);
    if (!catalog::remove(txn, IamInlinePolicy{.identity_id = row.id, .name = policy, .document = {}})) {
      throw ApiError("NoSuchEntity", "The " + kind + " policy with name " + policy + " cannot be found.", 404);
    }
  });
}

IamInlinePolicy inline_policy(Region& region, const IamIdentity& identity, const std::string& policy) {
  for (auto& each : inline_policies(region, identity)) {
    if (each.name == policy) return std::move(each);
  }
  throw ApiError("NoSuchEntity", "The " + identity.kind + " policy with name " + policy + " cannot be found.", 404);
}

std::vector<IamInlinePolicy> inline_policies(Region& region, const IamIdentity& identity) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::inline_policies_of(txn, identity.id); });
}

}  // namespace kiln::control
