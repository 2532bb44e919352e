#include "policy/conditions.h"

#include <algorithm>

#include "base/text.h"
#include "policy/values.h"

namespace kiln::policy {
namespace {

using base::Error;
using base::Fault;
using Order = Condition::Order;
using Quantifier = Condition::Quantifier;
using Type = Condition::Type;

struct Operator {
  std::string_view name;
  Type type;
  Order order = Order::equal;
  bool negated = false;
};

constexpr Operator operators[] = {
    {"StringEquals", Type::string},
    {"StringNotEquals", Type::string, Order::equal, true},
    {"StringEqualsIgnoreCase", Type::string_no_case},
    {"StringNotEqualsIgnoreCase", Type::string_no_case, Order::equal, true},
    {"StringLike", Type::string_like},
    {"StringNotLike", Type::string_like, Order::equal, true},
    {"NumericEquals", Type::number},
    {"NumericNotEquals", Type::number, Order::equal, true},
    {"NumericLessThan", Type::number, Order::less},
    {"NumericLessThanEquals", Type::number, Order::less_or_equal},
    {"NumericGreaterThan", Type::number, Order::greater},
    {"NumericGreaterThanEquals", Type::number, Order::greater_or_equal},
    {"DateEquals", Type::date},
    {"DateNotEquals", Type::date, Order::equal, true},
    {"DateLessThan", Type::date, Order::less},
    {"DateLessThanEquals", Type::date, Order::less_or_equal},
    {"DateGreaterThan", Type::date, Order::greater},
    {"DateGreaterThanEquals", Type::date, Order::greater_or_equal},
    {"Bool", Type::boolean},
    {"BinaryEquals", Type::binary},
    {"IpAddress", Type::address},
    {"NotIpAddress", Type::address, Order::equal, true},
    {"ArnEquals", Type::arn},
    {"ArnLike", Type::arn},
    {"ArnNotEquals", Type::arn, Order::equal, true},
    {"ArnNotLike", Type::arn, Order::equal, true},
    {"Null", Type::null},
};

bool takes_variables(Type type) {
  return type == Type::string || type == Type::string_no_case || type == Type::string_like || type == Type::arn;
}

template <class T>
bool stand(Order order, const T& left, const T& right) {
  switch (order) {
    case Order::equal: return left == right;
    case Order::less: return left < right;
    case Order::less_or_equal: return left <= right;
    case Order::greater: return left > right;
    case Order::greater_or_equal: return left >= right;
  }
  return false;
}

template <class T>
bool compare(Order order, const std::optional<T>& left, const std::optional<T>& right) {
  return left && right && stand(order, *left, *right);
}

// A value of the request against one of the policy, negation aside. Nothing when the policy's has no value.
std::optional<bool> passes(const Condition& condition, const std::string& wanted, const std::string& found,
                           const Context& context, Variables variables) {
  if (takes_variables(condition.type)) {
    const bool wild = condition.type == Type::string_like || condition.type == Type::arn;
    auto pattern = expand(wanted, context, variables, wild ? Wildcards::yes : Wildcards::no);
    if (!pattern) return {};
    if (condition.type == Type::arn) return matches_arn(*pattern, found);
    if (condition.type != Type::string_no_case) return matches(*pattern, found);
    for (auto& step : pattern->steps) step.c = base::lower({&step.c, 1})[0];
    return matches(*pattern, base::lower(found));
  }
  switch (condition.type) {
    case Type::number: return compare(condition.order, parse_number(found), parse_number(wanted));
    case Type::date: return compare(condition.order, parse_date(found), parse_date(wanted));
    case Type::boolean: return compare(Order::equal, parse_boolean(found), parse_boolean(wanted));
    case Type::binary: return compare(Order::equal, base::from_base64(found), base::from_base64(wanted));
    default: break;
  }
  const auto range = parse_addresses(wanted), address = parse_addresses(found);
  return range && address && range->holds(*address);
}

// A value of the request against all of the policy: one is enough; of a negation, none may be it.
Holds test(const Condition& condition, const std::string& found, const Context& context, Variables variables) {
  bool unresolved = false;
  for (const auto& wanted : condition.values) {
    const auto passed = passes(condition, wanted, found, context, variables);
    if (passed == true) return condition.negated ? Holds::no : Holds::yes;
    unresolved |= !passed;
  }
  if (!condition.negated) return Holds::no;
  return unresolved ? Holds::unresolved : Holds::yes;
}

bool is_readable(Type type, const std::string& value) {
  switch (type) {
    case Type::number: return parse_number(value).has_value();
    case Type::date: return parse_date(value).has_value();
    case Type::boolean:
    case Type::null: return parse_boolean(value).has_value();
    case Type::binary: return base::from_base64(value).has_value();
    case Type::address: return parse_addresses(value).has_value();
    default: return true;
  }
}

}  // namespace

base::Result<Condition> read_operator(std::string_view name) {
  Condition read;
  read.test = name;
  std::string_view plain = name;
  for (const auto& [prefix, quantifier] :
       {std::pair<std::string_view, Quantifier>("ForAllValues:", Quantifier::for_all_values),
        {"ForAnyValue:", Quantifier::for_any_value}}) {
    if (!plain.starts_with(prefix)) continue;
    read.quantifier = quantifier;
    plain.remove_prefix(prefix.size());
    break;
  }
  constexpr std::string_view if_exists = "IfExists";
  if (plain.ends_with(if_exists)) {
    read.if_exists = true;
    plain.remove_suffix(if_exists.size());
  }
  const auto found = std::ranges::find(operators, plain, &Operator::name);
  const bool alone = read.quantifier == Quantifier::none && !read.if_exists;
  if (found == std::end(operators) || (found->type == Type::null && !alone)) {
    return Error(Fault::invalid, "Invalid Condition type : " + std::string(name));
  }
  read.type = found->type;
  read.order = found->order;
  read.negated = found->negated;
  return read;
}

base::Status check_values(const Condition& condition, Variables variables) {
  for (const auto& value : condition.values) {
    if (!is_readable(condition.type, value)) {
      return Error(Fault::invalid, "'" + value + "' is no value that " + condition.test + " can compare");
    }
    if (variables == Variables::yes && takes_variables(condition.type)) KILN_TRY(check_variables(value));
  }
  return {};
}

Holds holds(const Condition& condition, const Context& context, Variables variables) {
  const auto yes_if = [](bool holds) { return holds ? Holds::yes : Holds::no; };
  const auto* const found = context.find(condition.key);
  const bool missing = found == nullptr || found->empty();
  if (condition.type == Type::null) {
    return yes_if(
        std::ranges::any_of(condition.values, [&](const auto& value) { return parse_boolean(value) == missing; }));
  }
  if (missing) {
    if (condition.if_exists || condition.quantifier == Quantifier::for_all_values) return Holds::yes;
    return yes_if(condition.quantifier == Quantifier::none && condition.negated);
  }
  const bool one_is_enough = condition.quantifier == Quantifier::for_any_value ||
                             (condition.quantifier == Quantifier::none && !condition.negated);
  bool unresolved = false;
  for (const auto& value : *found) {
    const Holds tested = test(condition, value, context, variables);
    unresolved |= tested == Holds::unresolved;
    if (one_is_enough && tested == Holds::yes) return Holds::yes;
    if (!one_is_enough && tested == Holds::no) return Holds::no;
  }
  if (unresolved) return Holds::unresolved;
  return yes_if(!one_is_enough);
}

}  // namespace kiln::policy
