// The evaluator against a naive one: policies and requests made at random, and what the documents of the policy
// language say of them, put down as directly as it can be. The naive one shares no code with the other: it works on
// the policy before it becomes JSON, uses regular expressions for wildcards and the C library for numbers and times.
// KILN_SEED chooses other policies.

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <deque>
#include <random>
#include <regex>
#include <set>

#include "policy/evaluate.h"

namespace kiln::policy {
namespace {

using Texts = std::vector<std::string>;

constexpr int rounds = 6000;

std::uint64_t seed() {
  const char* chosen = std::getenv("KILN_SEED");
  return chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 20'260'101;
}

struct ModelCondition {
  std::string test, key;
  Texts values;
};

struct ModelStatement {
  bool allow = true, not_action = false, not_resource = false, not_principal = false;
  Texts action, resource, principal;  // principal: of a resource's policy
  std::vector<ModelCondition> condition;
};

struct ModelPolicy {
  bool has_variables = true;
  std::vector<ModelStatement> statements;
};

// --- what is random

class Maker {
 public:
  explicit Maker(std::mt19937_64& random) : random_(random) {}

  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  const std::string& one_of(const Texts& texts) { return texts[random_() % texts.size()]; }

  Texts some_of(const Texts& texts, std::size_t most) {
    Texts some;
    for (auto count = 1 + random_() % most; count > 0; --count) some.push_back(one_of(texts));
    return some;
  }

  // The text with a part of it, now and then, behind a wildcard.
  std::string loosened(std::string text, std::string_view keep) {
    for (auto times = random_() % 3; times > 0; --times) {
      const auto from = keep.size() + random_() % (text.size() - keep.size());
      const auto length = random_() % 5;
      if (chance(3)) {
        text[from] = '?';
      } else {
        text.replace(from, length, "*");
      }
    }
    return text;
  }

  ModelPolicy policy(bool with_principal) {
    ModelPolicy made;
    made.has_variables = !chance(5);
    for (auto count = 1 + random_() % 3; count > 0; --count) made.statements.push_back(statement(with_principal));
    return made;
  }

  ModelStatement statement(bool with_principal) {
    ModelStatement made;
    made.allow = !chance(4);
    made.not_action = chance(5);
    made.not_resource = chance(5);
    for (const auto& action : some_of(actions, 2)) {
      made.action.push_back(chance(6) ? "*" : loosened(action, action.substr(0, action.find(':') + 1)));
    }
    for (const auto& resource : some_of(resources, 2)) {
      made.resource.push_back(chance(4) ? "*" : chance(8) ? resource_of_variable() : loosened(resource, "arn:aws:"));
    }
    if (with_principal) {
      made.principal = some_of(principals, 2);
      made.not_principal = !made.allow && chance(3);
    }
    for (auto count = random_() % 3; count > 0; --count) made.condition.push_back(condition());
    return made;
  }

  ModelCondition condition() {
    ModelCondition made{.test = one_of(tests), .key = one_of(keys), .values = {}};
    std::string family = made.test.substr(made.test.find(':') == std::string::npos ? 0 : made.test.find(':') + 1);
    made.values = some_of(values_of(family), 3);
    return made;
  }

  Request request() {
    Request made;
    made.action = one_of(actions);
    made.resource = one_of(resources);
    made.caller.account = one_of({"111111111111", "222222222222"});
    const auto kind = random_() % 3;
    const std::string home = "::" + made.caller.account + ":";
    if (kind == 0) {
      made.caller.arn = "arn:aws:iam" + home + "root";
      made.caller.is_root = true;
    } else if (kind == 1) {
      made.caller.arn = "arn:aws:iam" + home + "user/ann";
    } else {
      made.caller.arn = "arn:aws:sts" + home + "assumed-role/r/s";
      made.caller.role_arn = "arn:aws:iam" + home + "role/r";
    }
    for (const auto& key : keys) {
      for (auto count = random_() % 3; count > 0; --count) made.context.add(key, one_of(found));
    }
    if (!chance(3)) made.context.set("aws:username", one_of({"a", "ann", "*", "i-1"}));
    return made;
  }

 private:
  std::string resource_of_variable() {
    return one_of({"arn:aws:ec2:r:111111111111:instance/${aws:username}", "arn:aws:ec2:r:*:instance/${aws:username}*",
                   "arn:aws:s3:::${k:one, 'bucket'}/${*}"});
  }

  static Texts values_of(const std::string& family) {
    if (family.starts_with("Numeric")) return {"1", "2", "10", "1.5", "-3"};
    if (family.starts_with("Date")) return {"2026-01-02", "2026-01-02T03:04:05Z", "1767323045"};
    if (family.starts_with("Bool") || family.starts_with("Null")) return {"true", "false"};
    if (family.starts_with("Ip") || family.starts_with("NotIp"))
      return {"10.0.0.0/8", "10.1.2.3", "10.1.0.0/17", "0.0.0.0/0"};
    if (family.starts_with("Binary")) return {"aGk=", "aGtr"};
    if (family.starts_with("Arn"))
      return {"arn:aws:iam::1:user/*", "arn:aws:iam::*:u?er/a", "arn:aws:iam::1:user/${aws:username}"};
    return {"a", "A*", "a*", "?", "1*", "${aws:username}", "${k:two}x", "*-*-*", "true"};
  }

  const Texts actions{"ec2:Run", "ec2:Stop", "s3:Get"};
  const Texts resources{"arn:aws:ec2:r::image/ami-1", "arn:aws:ec2:r:111111111111:instance/i-1",
                        "arn:aws:ec2:r:111111111111:instance/ann", "arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a:b"};
  const Texts principals{"*",
                         "111111111111",
                         "arn:aws:iam::222222222222:root",
                         "arn:aws:iam::111111111111:user/ann",
                         "arn:aws:iam::222222222222:user/ann",
                         "arn:aws:iam::111111111111:role/r",
                         "arn:aws:sts::111111111111:assumed-role/r/s"};
  const Texts keys{"k:one", "k:two", "K:Tag/x"};
  const Texts found{"a",
                    "A",
                    "ab",
                    "ann",
                    "1",
                    "2.0",
                    "10",
                    "10.1.2.3",
                    "10.200.0.1",
                    "11.0.0.1",
                    "true",
                    "false",
                    "2026-01-02",
                    "2026-01-02T03:04:05Z",
                    "1767323045",
                    "2026-05-05T00:00:00Z",
                    "aGk=",
                    "arn:aws:iam::1:user/a",
                    "arn:aws:iam::1:user/ann",
                    "arn:aws:iam::22:user/a",
                    ""};
  const Texts tests{"StringEquals",
                    "StringNotEquals",
                    "StringEqualsIgnoreCase",
                    "StringNotEqualsIgnoreCase",
                    "StringLike",
                    "StringNotLike",
                    "NumericEquals",
                    "NumericNotEquals",
                    "NumericLessThan",
                    "NumericLessThanEquals",
                    "NumericGreaterThan",
                    "NumericGreaterThanEquals",
                    "DateEquals",
                    "DateNotEquals",
                    "DateLessThan",
                    "DateLessThanEquals",
                    "DateGreaterThan",
                    "DateGreaterThanEquals",
                    "Bool",
                    "BinaryEquals",
                    "IpAddress",
                    "NotIpAddress",
                    "ArnEquals",
                    "ArnLike",
                    "ArnNotEquals",
                    "ArnNotLike",
                    "Null",
                    "StringLikeIfExists",
                    "NumericLessThanIfExists",
                    "NotIpAddressIfExists",
                    "ForAllValues:StringEquals",
                    "ForAnyValue:StringEquals",
                    "ForAllValues:StringNotLike",
                    "ForAnyValue:StringNotLike",
                    "ForAllValues:NumericLessThan",
                    "ForAnyValue:ArnLike",
                    "ForAnyValue:StringLikeIfExists",
                    "ForAllValues:BoolIfExists"};
  std::mt19937_64& random_;
};

// --- as JSON

std::string quoted(const std::string& text) { return '"' + text + '"'; }

std::string list(const Texts& texts) {
  std::string out;
  for (const auto& text : texts) out += (out.empty() ? "" : ",") + quoted(text);
  return "[" + out + "]";
}

std::string as_json(const ModelStatement& statement) {
  std::string out = std::string(R"({"Effect":)") + (statement.allow ? "\"Allow\"" : "\"Deny\"");
  out += std::string(",\"") + (statement.not_action ? "NotAction" : "Action") + "\":" + list(statement.action);
  out += std::string(",\"") + (statement.not_resource ? "NotResource" : "Resource") + "\":" + list(statement.resource);
  if (!statement.principal.empty()) {
    out += std::string(",\"") + (statement.not_principal ? "NotPrincipal" : "Principal") +
           "\":{\"AWS\":" + list(statement.principal) + "}";
  }
  std::string conditions;
  std::set<std::string> used;
  for (const auto& condition : statement.condition) {
    if (!used.insert(condition.test).second) continue;
    conditions += (conditions.empty() ? "" : ",") + quoted(condition.test) + ":{" + quoted(condition.key) + ":" +
                  list(condition.values) + "}";
  }
  return out + ",\"Condition\":{" + conditions + "}}";
}

std::string as_json(const ModelPolicy& policy) {
  std::string statements;
  for (const auto& statement : policy.statements) statements += (statements.empty() ? "" : ",") + as_json(statement);
  return std::string(R"({"Version":")") + (policy.has_variables ? "2012-10-17" : "2008-10-17") + R"(","Statement":[)" +
         statements + "]}";
}

// --- the naive evaluator

constexpr char star = '\x01', mark = '\x02';  // wildcards that a variable did not bring

std::string lowered(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

struct Naive {
  const Request& request;
  bool has_variables = true;

  std::optional<std::string> value(const std::string& key) const {
    for (const auto& [name, values] : request.context.all()) {
      if (name == lowered(key) && values.size() == 1) return values[0];
    }
    return {};
  }

  // Wildcards become control characters, variables their values. Nothing: a variable has none.
  std::optional<std::string> resolved(const std::string& text, bool wild) const {
    static const std::regex variable(R"(\$\{([^},]*)(?:, '([^']*)')?\})");
    std::smatch found;
    if (has_variables && std::regex_search(text, found, variable)) {
      const auto name = found[1].str();
      auto is = name == "*" ? name : value(name);
      if (!is && found[2].matched) is = found[2].str();
      const auto before = resolved(found.prefix(), wild), after = resolved(found.suffix(), wild);
      if (!is || !after) return {};
      return *before + *is + *after;
    }
    std::string out = text;
    for (char& c : out) c = wild && c == '*' ? star : wild && c == '?' ? mark : c;
    return out;
  }

  static bool like(const std::string& pattern, const std::string& text, const char* any = ".*") {
    std::string expression;
    for (const char c : pattern) {
      if (c == star) {
        expression += any;
      } else if (c == mark) {
        expression += '.';
      } else {
        if (std::string("^$\\.*+?()[]{}|").find(c) != std::string::npos) expression += '\\';
        expression += c;
      }
    }
    return std::regex_match(text, std::regex(expression));
  }

  static Texts fields(const std::string& text) {
    Texts out(1);
    for (const char c : text) {
      if (c == ':' && out.size() < 6) {
        out.emplace_back();
      } else {
        out.back() += c;
      }
    }
    return out;
  }

  // A star that is not at the end of one of the first five fields takes no colon.
  static bool like_resource(const std::string& pattern, const std::string& arn) {
    std::string held;
    const auto parts = fields(pattern);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      std::string part = parts[i];
      for (std::size_t at = 0; i < 5 && at + 1 < part.size(); ++at) {
        if (part[at] == star) part[at] = '\x03';
      }
      held += (i == 0 ? "" : ":") + part;
    }
    std::string expression;
    for (const char c : held) {
      const bool special = std::string("^$\\.*+?()[]{}|").find(c) != std::string::npos;
      expression += c == star     ? ".*"
                    : c == '\x03' ? "[^:]*"
                    : c == mark   ? "."
                    : special     ? std::string("\\") + c
                                  : std::string(1, c);
    }
    return std::regex_match(arn, std::regex(expression));
  }

  static bool like_arn(const std::string& pattern, const std::string& arn) {
    const auto wanted = fields(pattern), given = fields(arn);
    if (wanted.size() != 6 || given.size() != 6) return false;
    for (std::size_t i = 0; i < 6; ++i) {
      if (!like(wanted[i], given[i])) return false;
    }
    return true;
  }

  static std::optional<double> number(const std::string& text) {
    static const std::regex form(R"(-?[0-9]+(\.[0-9]+)?)");
    if (!std::regex_match(text, form)) return {};
    return std::strtod(text.c_str(), nullptr);
  }
  static std::optional<double> date(const std::string& text) {
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos)
      return std::strtod(text.c_str(), nullptr);
    for (const char* form : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"}) {
      std::tm parts{};
      const char* end = ::strptime(text.c_str(), form, &parts);
      if (end != nullptr && *end == 0) return static_cast<double>(::timegm(&parts));
    }
    return {};
  }
  static std::optional<unsigned> address(const std::string& text) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    char end = 0;
    if (std::sscanf(text.c_str(), "%u.%u.%u.%u%c", &a, &b, &c, &d, &end) != 4) return {};
    return a << 24 | b << 16 | c << 8 | d;
  }
  static bool inside(const std::string& range, const std::string& text) {
    const auto slash = range.find('/');
    const auto net = address(range.substr(0, slash)), one = address(text);
    if (!net || !one) return false;
    const unsigned bits = slash == std::string::npos ? 32 : static_cast<unsigned>(std::stoi(range.substr(slash + 1)));
    for (unsigned i = 0; i < bits; ++i) {
      if ((*net >> (31 - i) & 1) != (*one >> (31 - i) & 1)) return false;
    }
    return true;
  }
  static bool ordered(const std::string& how, std::optional<double> left, std::optional<double> right) {
    if (!left || !right) return false;
    if (how == "LessThan") return *left < *right;
    if (how == "LessThanEquals") return *left <= *right;
    if (how == "GreaterThan") return *left > *right;
    if (how == "GreaterThanEquals") return *left >= *right;
    return *left == *right;
  }

  // family is the operator without Not, quantifier and IfExists.
  std::optional<bool> is(const std::string& family, const std::string& wanted, const std::string& given) const {
    if (family.starts_with("String") || family.starts_with("Arn")) {
      auto pattern = resolved(wanted, family == "StringLike" || family.starts_with("Arn"));
      if (!pattern) return {};
      if (family.starts_with("Arn")) return like_arn(*pattern, given);
      if (family == "StringEqualsIgnoreCase") return lowered(*pattern) == lowered(given);
      return like(*pattern, given);
    }
    if (family.starts_with("Numeric")) return ordered(family.substr(7), number(given), number(wanted));
    if (family.starts_with("Date")) return ordered(family.substr(4), date(given), date(wanted));
    if (family == "IpAddress") return inside(wanted, given);
    return given == wanted;  // Bool and BinaryEquals, of values that are spelled in one way
  }

  // 1 yes, 0 no, -1 nobody knows.
  int holds(const ModelCondition& condition) const {
    std::string test = condition.test;
    const auto without = [&](const std::string& part) {
      const auto at = test.find(part);
      if (at == std::string::npos) return false;
      test.erase(at, part.size());
      return true;
    };
    const bool all = without("ForAllValues:"), any = without("ForAnyValue:");
    const bool if_exists = without("IfExists");
    Texts given;
    for (const auto& [name, values] : request.context.all()) {
      if (name == lowered(condition.key)) given = values;
    }
    if (test == "Null") {
      bool holds = false;
      for (const auto& value : condition.values) holds = holds || (value == "true") == given.empty();
      return holds;
    }
    const bool negated = without("Not");
    if (given.empty()) return if_exists || all || (negated && !any);
    int yes = 0, unknown = 0;
    for (const auto& value : given) {
      bool matched = false, unresolved = false;
      for (const auto& wanted : condition.values) {
        const auto found = is(test, wanted, value);
        matched = matched || found == true;
        unresolved = unresolved || !found;
      }
      if (negated && !matched && unresolved) {
        ++unknown;
      } else if (matched != negated) {
        ++yes;
      }
    }
    const int count = static_cast<int>(given.size());
    const bool one_is_enough = any || (!all && !negated);
    if (one_is_enough) return yes > 0 ? 1 : unknown > 0 ? -1 : 0;
    return yes == count ? 1 : yes + unknown == count ? -1 : 0;
  }

  bool about_this(const ModelStatement& statement) const {
    bool action = false, resource = false, unresolved = false;
    for (auto pattern : statement.action) {
      for (char& c : pattern) c = c == '*' ? star : c == '?' ? mark : c;
      action = action || like(lowered(pattern), lowered(request.action));
    }
    for (const auto& text : statement.resource) {
      const auto pattern = resolved(text, true);
      resource = resource || (pattern && like_resource(*pattern, request.resource));
      unresolved = unresolved || !pattern;
    }
    if (action == statement.not_action || resource == statement.not_resource) return false;
    if (statement.not_resource && unresolved && statement.allow) return false;
    std::set<std::string> used;
    for (const auto& condition : statement.condition) {
      if (!used.insert(condition.test).second) continue;
      const int held = holds(condition);
      if (held == 0 || (held < 0 && statement.allow)) return false;
    }
    return true;
  }
};

// How well the principals say the caller: 0 not, 1 its account, 2 its role, 3 itself.
int grade(const ModelStatement& statement, const Caller& caller) {
  int best = 0;
  for (const auto& name : statement.principal) {
    const bool account = name == caller.account || name == "arn:aws:iam::" + caller.account + ":root";
    if (name == caller.arn || (account && caller.is_root)) best = std::max(best, 3);
    if (name == "*") best = std::max(best, caller.role_arn.empty() ? 3 : 2);
    if (!caller.role_arn.empty() && name == caller.role_arn) best = std::max(best, 2);
    if (account) best = std::max(best, 1);
  }
  if (statement.not_principal) return best >= 2 ? 0 : 3;
  return best;
}

// The best grade among the statements of the effect that apply; 3 of policies without principals.
int says(const ModelPolicy& policy, const Request& request, bool allow) {
  int best = 0;
  for (const auto& statement : policy.statements) {
    const Naive naive{.request = request, .has_variables = policy.has_variables};
    if (statement.allow != allow || !naive.about_this(statement)) continue;
    best = std::max(best, statement.principal.empty() ? 3 : grade(statement, request.caller));
  }
  return best;
}

struct ModelPolicies {
  std::vector<ModelPolicy> identity;
  std::optional<ModelPolicy> boundary, session, resource;
  std::string resource_account;
  bool resource_decides = false;
};

Outcome naive_outcome(const Request& request, const ModelPolicies& all) {
  bool denied = false, identity = request.caller.is_root;
  for (const auto& policy : all.identity) {
    denied = denied || says(policy, request, false) > 0;
    identity = identity || says(policy, request, true) > 0;
  }
  bool within = true;
  for (const auto* limit : {&all.boundary, &all.session}) {
    if (!*limit) continue;
    denied = denied || says(**limit, request, false) > 0;
    within = within && says(**limit, request, true) > 0;
  }
  if (all.resource) denied = denied || says(*all.resource, request, false) > 0;
  if (denied) return Outcome::explicit_deny;
  const int named = all.resource ? says(*all.resource, request, true) : 0;
  const bool foreign = !all.resource_account.empty() && all.resource_account != request.caller.account;
  bool allowed = identity && within;
  if (foreign) {
    allowed = allowed && named > 0;
  } else if (all.resource_decides) {
    allowed = named == 3 || (named == 2 && within) || (named == 1 && allowed);
  } else {
    allowed = named == 3 || (named == 2 && within) || allowed;
  }
  return allowed ? Outcome::allow : Outcome::implicit_deny;
}

// --- the property

struct Round {
  Request request;
  ModelPolicies model;
  std::deque<Document> documents;
  std::string texts;

  NamedPolicy read(const ModelPolicy& policy, const Grammar& grammar) {
    const auto text = as_json(policy);
    texts += text + "\n";
    auto document = parse(text, grammar);
    if (!document) {
      ADD_FAILURE() << text << ": " << document.error().message();
      document = Document();
    }
    documents.push_back(*std::move(document));
    return {.name = "policy", .document = &documents.back()};
  }
  Policies policies() {
    Policies made;
    for (const auto& policy : model.identity) made.identity.push_back(read(policy, identity_policy));
    if (model.boundary) made.boundary = read(*model.boundary, identity_policy);
    if (model.session) made.session = {read(*model.session, identity_policy)};
    if (model.resource) made.resource = read(*model.resource, resource_policy);
    made.resource_account = model.resource_account;
    made.resource_decides = model.resource_decides;
    return made;
  }
  std::string text() const {
    std::string out = texts + request.caller.arn + " " + request.action + " " + request.resource + "\n";
    for (const auto& [key, values] : request.context.all()) out += key + "=" + list(values) + " ";
    return out + "resource of '" + model.resource_account + "'" + (model.resource_decides ? ", decides" : "");
  }
};

TEST(EvaluateModel, agrees_with_a_naive_evaluator) {
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed()));
  std::mt19937_64 random(seed());
  Maker maker(random);
  int count[3] = {};
  for (int i = 0; i < rounds; ++i) {
    Round round;
    round.request = maker.request();
    for (auto policies = random() % 3; policies > 0; --policies) round.model.identity.push_back(maker.policy(false));
    if (maker.chance(4)) round.model.boundary = maker.policy(false);
    if (maker.chance(4)) round.model.session = maker.policy(false);
    if (maker.chance(2)) round.model.resource = maker.policy(true);
    round.model.resource_account = maker.one_of({"", "111111111111"});
    round.model.resource_decides = maker.chance(5);
    const auto expected = naive_outcome(round.request, round.model);
    const auto policies = round.policies();
    ASSERT_EQ(evaluate(round.request, policies).outcome, expected) << round.text();
    ++count[static_cast<int>(expected)];
  }
  for (const int outcome : count) EXPECT_GT(outcome, rounds / 20) << "the policies are not telling enough";
}

}  // namespace
}  // namespace kiln::policy
