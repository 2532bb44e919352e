#pragma once
// Wildcards, ARNs and variables: how a text of a policy is compared with a text of a request. Pure; any thread.
//
// Time is bounded by the product of both lengths, whatever the pattern: every place of the pattern is followed at once,
// and nothing is tried again.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kiln::policy {

// What is known of a request: condition keys and their values. The names of keys are compared without case, the tag's
// name in aws:RequestTag/Team included.
class Context {
 public:
  void set(std::string_view key, std::string value);  // its only value
  void add(std::string_view key, std::string value);  // one more of a key with many values, such as aws:TagKeys
  // Null when the request has no such key.
  const std::vector<std::string>* find(std::string_view key) const;
  const std::map<std::string, std::vector<std::string>>& all() const { return values_; }  // by key in lower case

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

// A text of a policy, ready to be compared: what came from a variable is literal, whatever characters it has.
struct Pattern {
  enum class Kind : unsigned char { literal, any, one };
  struct Step {
    Kind kind;
    char c;
  };
  std::vector<Step> steps;
};

enum class Variables { no, yes };  // of documents of version 2012-10-17
enum class Wildcards { no, yes };

// The text with its variables, ${aws:username} or ${aws:PrincipalTag/team, 'none'}, and ${*} ${?} ${$}. Nothing when a
// variable has no value, or more than one, and no default.
std::optional<Pattern> expand(std::string_view text, const Context& context, Variables variables, Wildcards wildcards);

// Fault::invalid for a variable without end or name.
base::Status check_variables(std::string_view text);

// The whole text against the whole pattern; a ? is one character of UTF-8.
bool matches(const Pattern& pattern, std::string_view text);

// An element Resource: a * at the end of a field matches colons too, one inside of a field before the sixth does not.
bool matches_resource(const Pattern& pattern, std::string_view arn);

// ArnLike: both have six fields, which are compared one by one; the sixth is all that is left.
bool matches_arn(const Pattern& pattern, std::string_view arn);

// Wildcards without variables and without case: actions.
bool matches_action(std::string_view pattern, std::string_view action);

}  // namespace kiln::policy
