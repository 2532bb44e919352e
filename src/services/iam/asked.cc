// What a request to IAM is about, for the policies of who sends it.
#include "control/iam_policies.h"
#include "services/iam/operations.h"

namespace kiln::services::iam {
namespace {

struct Named {
  const char* parameter;
  const char* kind;
};

// The first that a request has is what it is about: AddUserToGroup is about the group.
constexpr Named named[] = {
    {"InstanceProfileName", control::profile_kind},
    {"GroupName", control::group_kind},
    {"RoleName", control::role_kind},
    {"UserName", control::user_kind},
};

std::string home(const AtDoor& request) { return "arn:aws:iam::" + request.principal.account + ":"; }

std::string path_of(const AtDoor& request) { return std::string(request.params.find("Path").value_or("/")); }

// Of one that is there its ARN, with its path; of one that is to be made what its ARN will be.
std::string arn_of(const AtDoor& request, const Named& what, const std::string& name) {
  const auto row = catalog::in_read(request.region.catalog, [&](catalog::Txn& txn) {
    return catalog::find_identity(txn, request.principal.account, what.kind, name);
  });
  return row ? row->arn() : home(request) + what.kind + path_of(request) + name;
}

std::string resource_of(const AtDoor& request) {
  for (const auto& each : named) {
    if (const auto name = request.params.find(each.parameter)) return arn_of(request, each, std::string(*name));
  }
  if (const auto name = request.params.find("PolicyName")) {
    return home(request) + "policy" + path_of(request) + std::string(*name);
  }
  if (const auto arn = request.params.find("PolicyArn")) return std::string(*arn);
  const bool own =
      request.action == "GetUser" || request.action.ends_with("AccessKey") || request.action == "ListAccessKeys";
  return own && !request.principal.user_name.empty() ? request.principal.arn : "*";
}

void add_tags(const AtDoor& request, policy::Context& context) {
  for (int i = 1;; ++i) {
    const auto at = "Tags.member." + std::to_string(i) + ".";
    const auto key = request.params.find(at + "Key");
    if (!key) break;
    context.add("aws:TagKeys", std::string(*key));
    context.set("aws:RequestTag/" + std::string(*key), std::string(request.params.find(at + "Value").value_or("")));
  }
  for (int i = 1;; ++i) {
    const auto key = request.params.find("TagKeys.member." + std::to_string(i));
    if (!key) break;
    context.add("aws:TagKeys", std::string(*key));
  }
}

void add_resource_tags(const AtDoor& request, const std::string& arn, policy::Context& context) {
  request.region.catalog.read([&](catalog::Txn& txn) {
    for (const auto& each : named) {
      const auto start = home(request) + each.kind + "/";
      if (!arn.starts_with(start)) continue;
      const auto row =
          catalog::find_identity(txn, request.principal.account, each.kind, arn.substr(arn.rfind('/') + 1));
      if (!row) continue;
      for (const auto& tag : catalog::iam_tags_of(txn, row->id)) {
        context.set("aws:ResourceTag/" + tag.key, tag.value);
        context.set("iam:ResourceTag/" + tag.key, tag.value);
      }
      if (!row->boundary.empty()) context.set("iam:PermissionsBoundary", row->boundary);
    }
  });
}

}  // namespace

std::vector<control::Asked> asked(const AtDoor& request) {
  control::Asked what{.action = "iam:" + request.action, .resource = resource_of(request)};
  if (what.resource != "*") {
    what.context.set("aws:ResourceAccount", request.principal.account);
    add_resource_tags(request, what.resource, what.context);
  }
  add_tags(request, what.context);
  if (const auto arn = request.params.find("PolicyArn")) what.context.set("iam:PolicyARN", std::string(*arn));
  if (const auto arn = request.params.find("PermissionsBoundary")) {
    what.context.set("iam:PermissionsBoundary", std::string(*arn));
  }
  std::vector<control::Asked> all{what};
  const auto role = request.params.find("RoleName");
  if (request.action == "AddRoleToInstanceProfile" && role) {
    all.push_back({.action = "iam:PassRole", .resource = arn_of(request, named[2], std::string(*role))});
  }
  return all;
}

}  // namespace kiln::services::iam
