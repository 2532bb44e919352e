#pragma once
// The element Condition: one test of one key against a list of values. A statement applies when all of them hold.
//
//   StringLikeIfExists { "aws:RequestTag/team": ["red-*", "${aws:username}"] }
//
// A key that the request does not have: a test that something is equal, less or like does not hold, one that it is not
// holds, and so does every ...IfExists; ForAllValues holds of no values, ForAnyValue does not. Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/match.h"

namespace kiln::policy {

struct Condition {
  enum class Type { string, string_no_case, string_like, number, date, boolean, binary, address, arn, null };
  enum class Order { equal, less, less_or_equal, greater, greater_or_equal };  // of numbers and dates
  // Of keys with many values. none: some value of the request passes, or, when negated, each of them.
  enum class Quantifier { none, for_all_values, for_any_value };

  std::string test;  // as written: StringLikeIfExists
  Type type = Type::string;
  Order order = Order::equal;
  bool negated = false;
  bool if_exists = false;
  Quantifier quantifier = Quantifier::none;
  std::string key;
  std::vector<std::string> values;  // one of them is enough
};

// The operator of a condition by its name; key and values are not set. Fault::invalid when there is no such operator.
base::Result<Condition> read_operator(std::string_view name);

// Whether the values are what the operator can read: numbers, times, addresses.
base::Status check_values(const Condition& condition, Variables variables);

enum class Holds { no, yes, unresolved };
// unresolved: it is a negation that holds only because a variable of it has no value, so that nobody knows what it
// should not have been.
Holds holds(const Condition& condition, const Context& context, Variables variables);

}  // namespace kiln::policy
