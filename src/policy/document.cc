#include "policy/document.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "policy/json.h"

namespace kiln::policy {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;
using Element = Grammar::Element;

// Document, Statement list, Statement, Condition, operator, list of values: 6, and an object Principal in between.
constexpr std::size_t deepest = 8;

Error wrong(std::string what) { return {Fault::invalid, std::move(what)}; }

bool is_account(std::string_view text) {
  return text.size() == 12 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_word(std::string_view text, std::string_view more) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

// Where a policy may say one text or a list of them.
Result<std::vector<std::string>> texts_of(const Json& value, bool scalars) {
  std::vector<std::string> texts;
  const auto add = [&](const Json& one) -> Status {
    const bool scalar = scalars && (one.kind == Json::Kind::boolean || one.kind == Json::Kind::number);
    if (one.kind != Json::Kind::text && !scalar) return wrong("wanted a text or a list of texts");
    texts.push_back(one.text);
    return {};
  };
  if (value.kind == Json::Kind::list) {
    for (const auto& each : value.items) KILN_TRY(add(each));
  } else {
    KILN_TRY(add(value));
  }
  return texts;
}

Result<std::vector<std::string>> some_texts_of(const Json& value, const char* missing) {
  auto texts = texts_of(value, false);
  if (texts && texts->empty()) return wrong(missing);
  return texts;
}

Status check_action(std::string_view action) {
  if (action == "*") return {};
  const auto colon = action.find(':');
  if (colon == std::string_view::npos) {
    return wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: " + std::string(action));
  }
  if (!is_word(action.substr(0, colon), "-")) {
    return wrong("Vendor " + std::string(action.substr(0, colon)) + " is not valid: " + std::string(action));
  }
  if (!is_word(action.substr(colon + 1), "*?")) {
    return wrong("Action names may have letters, digits, * and ?: " + std::string(action));
  }
  return {};
}

Status check_resource(std::string_view resource, Variables variables) {
  if (variables == Variables::yes) KILN_TRY(check_variables(resource));
  if (std::ranges::all_of(resource, [](char c) { return c == '*'; }) && !resource.empty()) return {};
  const auto parts = base::split(resource, ':');
  if (parts.size() < 2 || parts[0] != "arn") {
    return wrong("Resource " + std::string(resource) + " must be in ARN format or \"*\".");
  }
  if (parts[1] != "aws" && parts[1] != "*") {
    return wrong("Partition \"" + std::string(parts[1]) + "\" is not valid for resource \"" + std::string(resource) +
                 "\".");
  }
  return {};
}

Status check_aws_principal(const std::string& name) {
  if (is_account(name)) return {};
  const auto parts = base::split(name, ':');
  const bool good =
      parts.size() == 6 && parts[0] == "arn" && parts[1] == "aws" && parts[3].empty() && is_account(parts[4]) &&
      parts[5].find_first_of("*?") == std::string_view::npos &&
      ((parts[2] == "iam" && (parts[5] == "root" || parts[5].starts_with("user/") || parts[5].starts_with("role/"))) ||
       (parts[2] == "sts" && (parts[5].starts_with("assumed-role/") || parts[5].starts_with("federated-user/"))));
  return good ? Status() : wrong("Invalid principal in policy: \"AWS\":\"" + name + "\"");
}

Result<Principals> read_principal(const Json& value) {
  Principals read;
  if (value.kind == Json::Kind::text && value.text == "*") {
    read.anyone = true;
    return read;
  }
  if (value.kind != Json::Kind::object || value.members.empty()) return wrong("wanted \"*\" or an object");
  for (const auto& [kind, names] : value.members) {
    auto texts = some_texts_of(names, "has no principals");
    if (!texts) return texts.error().in(kind);
    if (kind == "AWS") {
      for (auto& name : *texts) {
        if (name == "*") {
          read.anyone = true;
          continue;
        }
        KILN_TRY(check_aws_principal(name));
        read.aws.push_back(std::move(name));
      }
    } else if (kind == "Service") {
      read.service = *std::move(texts);
    } else if (kind == "Federated") {
      read.federated = *std::move(texts);
    } else {
      return wrong("Invalid principal in policy: " + kind + " is none of AWS, Service, Federated");
    }
  }
  return read;
}

Result<std::vector<Condition>> read_conditions(const Json& value, Variables variables) {
  std::vector<Condition> read;
  if (value.kind != Json::Kind::object) return wrong("wanted an object");
  for (const auto& [name, keys] : value.members) {
    const auto test = read_operator(name);
    if (!test) return test.error();
    if (keys.kind != Json::Kind::object) return wrong(name + ": wanted an object");
    for (const auto& [key, wanted] : keys.members) {
      auto values = texts_of(wanted, true);
      if (!values) return values.error().in(name + ": " + key);
      if (key.find(':') == std::string::npos) {
        return wrong("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: " + key);
      }
      Condition condition = *test;
      condition.key = key;
      condition.values = *std::move(values);
      if (const auto checked = check_values(condition, variables); !checked) return checked.error().in(key);
      read.push_back(std::move(condition));
    }
  }
  return read;
}

class StatementReader {
 public:
  StatementReader(const Json& from, const Grammar& grammar, Variables variables)
      : from_(from), grammar_(grammar), variables_(variables) {}

  Result<Statement> read() {
    if (from_.kind != Json::Kind::object) return wrong("wanted an object");
    KILN_TRY(check_names());
    KILN_TRY(sid());
    KILN_TRY(effect());
    KILN_TRY(principal());
    KILN_TRY(actions());
    KILN_TRY(resources());
    if (const auto* value = from_.find("Condition")) {
      auto conditions = read_conditions(*value, variables_);
      if (!conditions) return conditions.error().in("Condition");
      read_.condition = *std::move(conditions);
    }
    return std::move(read_);
  }

 private:
  Status check_names() const {
    static constexpr std::string_view known[] = {"Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
                                                 "NotAction", "Resource", "NotResource", "Condition"};
    for (const auto& [name, value] : from_.members) {
      if (std::ranges::find(known, name) == std::end(known)) return wrong(name + " is no element of a statement");
    }
    return {};
  }
  Status sid() {
    const auto* value = from_.find("Sid");
    if (value == nullptr) return {};
    if (value->kind != Json::Kind::text) return wrong("Sid: wanted a text");
    read_.sid = value->text;
    // Resource policies, such as the default one of keys, have Sids with spaces.
    if (grammar_.principal == Element::forbidden && !read_.sid.empty() && !is_word(read_.sid, "")) {
      return wrong(
          "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
          "[0-9A-Za-z]*");
    }
    return {};
  }
  Status effect() {
    const auto* value = from_.find("Effect");
    if (value == nullptr) return wrong("Missing required field Effect");
    if (value->kind != Json::Kind::text || (value->text != "Allow" && value->text != "Deny")) {
      return wrong("Invalid effect: " + value->text + ", wanted Allow or Deny");
    }
    read_.effect = value->text == "Allow" ? Effect::allow : Effect::deny;
    return {};
  }
  // One of two elements, the second of which is the negation of the first; null when neither is there.
  Result<const Json*> either(const std::string& name, bool& negated) const {
    const auto *plain = from_.find(name), *negation = from_.find("Not" + name);
    if (plain != nullptr && negation != nullptr) return wrong("has both " + name + " and Not" + name);
    negated = negation != nullptr;
    return negated ? negation : plain;
  }
  Status principal() {
    const auto value = either("Principal", read_.not_principal);
    if (!value) return value.error();
    if (*value == nullptr) {
      return grammar_.principal == Element::required ? wrong("Missing required field Principal") : Status();
    }
    if (grammar_.principal == Element::forbidden) return wrong("Policy document should not specify a principal.");
    if (read_.not_principal && read_.effect == Effect::allow) return wrong("Allow with NotPrincipal is not supported.");
    auto principals = read_principal(**value);
    if (!principals) return principals.error().in("Principal");
    read_.principal = *std::move(principals);
    return {};
  }
  Status actions() {
    const auto value = either("Action", read_.not_action);
    if (!value) return value.error();
    if (*value == nullptr) return wrong("Missing required field Action");
    auto texts = some_texts_of(**value, "Policy statement must contain actions.");
    if (!texts) return texts.error().in("Action");
    for (const auto& action : *texts) {
      if (const auto checked = check_action(action); !checked) return checked.error().in("Action");
    }
    read_.action = *std::move(texts);
    return {};
  }
  Status resources() {
    const auto value = either("Resource", read_.not_resource);
    if (!value) return value.error();
    if (*value == nullptr) {
      return grammar_.resource == Element::required ? wrong("Policy statement must contain resources.") : Status();
    }
    if (grammar_.resource == Element::forbidden) return wrong("Has prohibited field Resource");
    auto texts = some_texts_of(**value, "Policy statement must contain resources.");
    if (!texts) return texts.error().in("Resource");
    for (const auto& resource : *texts) {
      if (const auto checked = check_resource(resource, variables_); !checked) return checked.error().in("Resource");
    }
    read_.resource = *std::move(texts);
    return {};
  }

  const Json& from_;
  const Grammar& grammar_;
  const Variables variables_;
  Statement read_;
};

Status read_head(const Json& from, Document& document) {
  for (const auto& [name, value] : from.members) {
    if (name == "Statement") continue;
    if (name != "Version" && name != "Id") return wrong(name + " is no element of a policy");
    if (value.kind != Json::Kind::text) return wrong(name + ": wanted a text");
    (name == "Id" ? document.id : document.version) = value.text;
  }
  if (document.version != "2012-10-17" && document.version != "2008-10-17") {
    return wrong("Version: wanted 2012-10-17 or 2008-10-17, found " + document.version);
  }
  return {};
}

}  // namespace

Result<Document> parse(std::string_view text, const Grammar& grammar) {
  if (text.size() > grammar.longest_bytes) {
    return wrong("the policy has " + std::to_string(text.size()) + " bytes, " + std::to_string(grammar.longest_bytes) +
                 " is the limit");
  }
  const auto json = parse_json(text, deepest);
  if (!json) return json.error().in("Syntax errors in policy");
  if (json->kind != Json::Kind::object) return wrong("Syntax errors in policy: wanted an object");
  Document document;
  KILN_TRY(read_head(*json, document));
  const auto* const statements = json->find("Statement");
  if (statements == nullptr) return wrong("Missing required field Statement");
  const bool one = statements->kind == Json::Kind::object;
  if (!one && (statements->kind != Json::Kind::list || statements->items.empty())) {
    return wrong("Statement: wanted a statement or a list of them");
  }
  std::set<std::string> sids;
  const std::size_t count = one ? 1 : statements->items.size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto where = "Statement " + std::to_string(i + 1);
    auto statement = StatementReader(one ? *statements : statements->items[i], grammar, document.variables()).read();
    if (!statement) return statement.error().in(where);
    if (!statement->sid.empty() && !sids.insert(statement->sid).second) {
      return wrong(where + ": Statement IDs (SID) in a single policy must be unique.");
    }
    document.statement.push_back(*std::move(statement));
  }
  return document;
}

std::size_t counted_size(std::string_view text) {
  return text.size() -
         static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return c == ' ' || (c >= 9 && c <= 13); }));
}

}  // namespace kiln::policy
