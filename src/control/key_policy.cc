#include "control/key_policy.h"

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

#include "base/api_error.h"
#include "base/text.h"

namespace kiln::control {
namespace {

namespace json = boost::json;

constexpr std::size_t longest_policy = 32 << 10;

[[noreturn]] void malformed(const std::string& why) { throw base::ApiError("MalformedPolicyDocumentException", why); }

// Where a policy may say one text or a list of them.
std::vector<std::string> texts_of(const json::value& value, const char* what) {
  std::vector<std::string> texts;
  const auto add = [&](const json::value& one) {
    if (!one.is_string()) malformed(std::string(what) + " is neither text nor a list of texts");
    texts.emplace_back(one.as_string());
  };
  if (value.is_array()) {
    for (const auto& each : value.as_array()) add(each);
  } else {
    add(value);
  }
  return texts;
}

struct Statement {
  bool allow = false;
  std::vector<std::string> accounts;  // 12 digits, or *
  std::vector<std::string> actions;
  std::vector<std::pair<std::string, std::vector<std::string>>> equals;  // StringEquals
  bool other_condition = false;
};

// An account by its number, its root's ARN or that of anybody in it, for whom it stands here.
std::string account_of(const std::string& principal) {
  const auto is_account = [](std::string_view text) {
    return text.size() == 12 && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (principal == "*" || is_account(principal)) return principal;
  const auto parts = base::split(principal, ':');
  if (parts.size() == 6 && parts[0] == "arn" && (parts[2] == "iam" || parts[2] == "sts") && is_account(parts[4])) {
    // Only root keys call here. A user's permission must not become its whole account's.
    return parts[5] == "root" ? std::string(parts[4]) : std::string();
  }
  malformed("Policy contains a statement with one or more invalid principals: " + principal);
}

void read_principal(const json::value& value, Statement& statement) {
  if (value.is_string()) {
    if (value.as_string() != "*") malformed("Principal is neither * nor an object");
    statement.accounts.emplace_back("*");
    return;
  }
  if (!value.is_object()) malformed("Principal is neither * nor an object");
  for (const auto& [kind, names] : value.as_object()) {
    if (kind != "AWS" && kind != "Service") malformed("Principal of kind " + std::string(kind) + " is not supported");
    for (const auto& name : texts_of(names, "Principal")) {
      if (kind == "AWS") statement.accounts.push_back(account_of(name));
    }
  }
}

void read_condition(const json::value& value, Statement& statement) {
  if (!value.is_object()) malformed("Condition is not an object");
  for (const auto& [test, keys] : value.as_object()) {
    if (!keys.is_object()) malformed("a Condition is not an object");
    for (const auto& [key, wanted] : keys.as_object()) {
      const auto name = base::lower(key);
      if (test == "StringEquals" && (name == "kms:viaservice" || name == "kms:calleraccount")) {
        statement.equals.emplace_back(name, texts_of(wanted, "Condition"));
      } else {
        statement.other_condition = true;
      }
    }
  }
}

Statement read_statement(const json::value& value) {
  if (!value.is_object()) malformed("a Statement is not an object");
  const json::object& fields = value.as_object();
  Statement statement;
  for (const auto* name : {"Effect", "Principal", "Action"}) {
    if (!fields.contains(name)) malformed("a Statement has no " + std::string(name));
  }
  for (const auto* name : {"NotPrincipal", "NotAction", "NotResource"}) {
    if (fields.contains(name)) malformed(std::string(name) + " is not supported");
  }
  const auto effect = texts_of(fields.at("Effect"), "Effect");
  if (effect.size() != 1 || (effect[0] != "Allow" && effect[0] != "Deny"))
    malformed("Effect is neither Allow nor Deny");
  statement.allow = effect[0] == "Allow";
  read_principal(fields.at("Principal"), statement);
  statement.actions = texts_of(fields.at("Action"), "Action");
  if (const auto* condition = fields.if_contains("Condition")) read_condition(*condition, statement);
  return statement;
}

std::vector<Statement> read_policy(const std::string& policy) {
  if (policy.size() > longest_policy) malformed("the policy is longer than 32 KiB");
  json::error_code error;
  const json::value parsed = json::parse(policy, error);
  if (error || !parsed.is_object()) malformed("the policy is not a JSON object");
  const json::value* const statements = parsed.as_object().if_contains("Statement");
  if (statements == nullptr) malformed("the policy has no Statement");
  std::vector<Statement> found;
  if (statements->is_array()) {
    for (const auto& each : statements->as_array()) found.push_back(read_statement(each));
  } else {
    found.push_back(read_statement(*statements));
  }
  return found;
}

bool applies(const Statement& statement, const KeyUse& use) {
  const auto names = [&](const std::string& account) { return account == "*" || account == use.account; };
  const auto covers = [&](const std::string& action) {
    return base::matches_wildcard(base::lower(action), base::lower(use.action));
  };
  if (std::ranges::none_of(statement.accounts, names) || std::ranges::none_of(statement.actions, covers)) return false;
  if (statement.other_condition && statement.allow) return false;
  return std::ranges::all_of(statement.equals, [&](const auto& condition) {
    const auto& found = condition.first == "kms:viaservice" ? use.via_service : use.account;
    return std::ranges::find(condition.second, found) != condition.second.end();
  });
}

}  // namespace

bool policy_allows(const std::string& policy, const KeyUse& use) {
  bool allowed = false;
  for (const auto& statement : read_policy(policy)) {
    if (!applies(statement, use)) continue;
    if (!statement.allow) return false;
    allowed = true;
  }
  return allowed;
}

void check_policy(const std::string& policy) { read_policy(policy); }

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
