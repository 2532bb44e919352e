#include "policy/conditions.h"

#include <gtest/gtest.h>

#include "policy/values.h"

namespace kiln::policy {
namespace {

using Values = std::vector<std::string>;

bool test(const char* name, const Values& wanted, const Values& found) {
  auto condition = read_operator(name);
  EXPECT_TRUE(condition) << name;
  condition->key = "aws:Key";
  condition->values = wanted;
  EXPECT_TRUE(check_values(*condition, Variables::yes)) << name << " " << wanted[0];
  Context context;
  for (const auto& value : found) context.add("AWS:key", value);
  return holds(*condition, context, Variables::yes) == Holds::yes;
}

TEST(Conditions, texts) {
  EXPECT_TRUE(test("StringEquals", {"a", "b"}, {"b"}));
  EXPECT_FALSE(test("StringEquals", {"a*"}, {"ab"}));
  EXPECT_FALSE(test("StringNotEquals", {"a", "b"}, {"b"}));
  EXPECT_TRUE(test("StringNotEquals", {"a", "b"}, {"c"}));
  EXPECT_TRUE(test("StringEqualsIgnoreCase", {"Ab"}, {"aB"}));
  EXPECT_FALSE(test("StringNotEqualsIgnoreCase", {"Ab"}, {"aB"}));
  EXPECT_TRUE(test("StringLike", {"ami-*"}, {"ami-1"}));
  EXPECT_FALSE(test("StringNotLike", {"ami-*"}, {"ami-1"}));
}

TEST(Conditions, numbers) {
  EXPECT_TRUE(test("NumericEquals", {"1.0"}, {"1"}));
  EXPECT_TRUE(test("NumericNotEquals", {"1"}, {"2"}));
  EXPECT_TRUE(test("NumericLessThan", {"10"}, {"9"}));
  EXPECT_FALSE(test("NumericLessThan", {"10"}, {"10"}));
  EXPECT_TRUE(test("NumericLessThanEquals", {"10"}, {"10"}));
  EXPECT_TRUE(test("NumericGreaterThan", {"-1"}, {"0"}));
  EXPECT_TRUE(test("NumericGreaterThanEquals", {"1e3"}, {"1000"}));
  EXPECT_FALSE(test("NumericEquals", {"1"}, {"one"}));
  EXPECT_FALSE(test("NumericLessThan", {"1"}, {""}));
}

TEST(Conditions, times_in_every_form) {
  EXPECT_TRUE(test("DateEquals", {"2026-01-02T03:04:05Z"}, {"1767323045"}));
  EXPECT_TRUE(test("DateEquals", {"2026-01-02T03:04:05Z"}, {"2026-01-02T05:04:05.000+02:00"}));
  EXPECT_TRUE(test("DateNotEquals", {"2026-01-02"}, {"2026-01-03"}));
  EXPECT_TRUE(test("DateLessThan", {"2026-01-02"}, {"2026-01-01T23:59Z"}));
  EXPECT_TRUE(test("DateLessThanEquals", {"2026-01-02"}, {"2026-01-02T00:00:00Z"}));
  EXPECT_TRUE(test("DateGreaterThan", {"2026-01-02"}, {"2026-01-02T00:00:00.1Z"}));
  EXPECT_TRUE(test("DateGreaterThanEquals", {"2026-01-02"}, {"2026-01-02"}));
  for (const auto* text : {"2026-13-01", "2026-02-30", "2026-1-1", "2026-01-02T", "2026-01-02T03:04:05", "tomorrow", "",
                           "2026-01-02T25:00Z", "-1", "99999999999999999999", "2026-01-02T03:04:05.Z"}) {
    EXPECT_FALSE(parse_date(text)) << text;
  }
}

TEST(Conditions, booleans_and_bytes) {
  EXPECT_TRUE(test("Bool", {"true"}, {"True"}));
  EXPECT_FALSE(test("Bool", {"true"}, {"false"}));
  EXPECT_FALSE(test("Bool", {"false"}, {"0"}));
  EXPECT_TRUE(test("BinaryEquals", {"aGk="}, {"aGk="}));
  EXPECT_FALSE(test("BinaryEquals", {"aGk="}, {"aGkh"}));
}

TEST(Conditions, addresses) {
  EXPECT_TRUE(test("IpAddress", {"10.1.0.0/16", "192.168.0.1"}, {"10.1.255.3"}));
  EXPECT_FALSE(test("IpAddress", {"10.1.0.0/16"}, {"10.2.0.0"}));
  EXPECT_TRUE(test("IpAddress", {"10.0.0.0/9"}, {"10.127.0.1"}));
  EXPECT_FALSE(test("IpAddress", {"10.0.0.0/9"}, {"10.128.0.1"}));
  EXPECT_TRUE(test("IpAddress", {"0.0.0.0/0"}, {"1.2.3.4"}));
  EXPECT_FALSE(test("IpAddress", {"0.0.0.0/0"}, {"2001:db8::1"})) << "all of version 4 is not all";
  EXPECT_TRUE(test("IpAddress", {"2001:db8::/32"}, {"2001:DB8:1::7"}));
  EXPECT_TRUE(test("IpAddress", {"10.0.0.1"}, {"::ffff:10.0.0.1"}));
  EXPECT_TRUE(test("NotIpAddress", {"10.0.0.0/8"}, {"11.0.0.1"}));
  EXPECT_FALSE(test("NotIpAddress", {"10.0.0.0/8"}, {"10.0.0.1"}));
  for (const auto* text : {"10.0.0", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "", "10.0.0.0/-1", "x"}) {
    EXPECT_FALSE(parse_addresses(text)) << text;
  }
}

TEST(Conditions, arns) {
  for (const auto* name : {"ArnEquals", "ArnLike"}) {
    EXPECT_TRUE(test(name, {"arn:aws:iam::*:user/*"}, {"arn:aws:iam::1:user/x"})) << name;
    EXPECT_FALSE(test(name, {"arn:aws:iam:*"}, {"arn:aws:iam::1:user/x"})) << name;
  }
  EXPECT_TRUE(test("ArnNotEquals", {"arn:aws:iam::*:role/*"}, {"arn:aws:iam::1:user/x"}));
  EXPECT_FALSE(test("ArnNotLike", {"arn:aws:iam::*:user/*"}, {"arn:aws:iam::1:user/x"}));
}

TEST(Conditions, a_key_that_is_not_there) {
  EXPECT_FALSE(test("StringEquals", {"a"}, {}));
  EXPECT_TRUE(test("StringNotEquals", {"a"}, {}));
  EXPECT_TRUE(test("StringEqualsIfExists", {"a"}, {}));
  EXPECT_FALSE(test("StringEqualsIfExists", {"a"}, {"b"}));
  EXPECT_TRUE(test("NotIpAddress", {"10.0.0.0/8"}, {}));
  EXPECT_FALSE(test("Bool", {"false"}, {}));
  EXPECT_TRUE(test("Null", {"true"}, {}));
  EXPECT_FALSE(test("Null", {"true"}, {"x"}));
  EXPECT_TRUE(test("Null", {"false"}, {"x"}));
  EXPECT_TRUE(test("ForAllValues:StringEquals", {"a"}, {}));
  EXPECT_FALSE(test("ForAnyValue:StringEquals", {"a"}, {}));
  EXPECT_FALSE(test("ForAnyValue:StringNotEquals", {"a"}, {}));
  EXPECT_TRUE(test("ForAnyValue:StringEqualsIfExists", {"a"}, {}));
}

TEST(Conditions, keys_with_many_values) {
  EXPECT_TRUE(test("ForAllValues:StringEquals", {"a", "b"}, {"a", "b", "a"}));
  EXPECT_FALSE(test("ForAllValues:StringEquals", {"a", "b"}, {"a", "c"}));
  EXPECT_TRUE(test("ForAnyValue:StringLike", {"a*"}, {"x", "ab"}));
  EXPECT_FALSE(test("ForAnyValue:StringLike", {"a*"}, {"x", "y"}));
  EXPECT_TRUE(test("ForAnyValue:StringNotEquals", {"a", "b"}, {"a", "c"}));
  EXPECT_FALSE(test("ForAllValues:StringNotEquals", {"a", "b"}, {"a", "c"}));
}

TEST(Conditions, a_variable_without_a_value_is_nothing_that_could_be_equal) {
  EXPECT_FALSE(test("StringEquals", {"${aws:username}"}, {"${aws:username}"}));
  EXPECT_FALSE(test("StringLike", {"${aws:username}*"}, {"x"}));
  auto condition = read_operator("StringNotEquals");
  condition->key = "k:k";
  condition->values = {"${aws:username}"};
  Context context;
  context.set("k:k", "x");
  EXPECT_EQ(holds(*condition, context, Variables::yes), Holds::unresolved);
  context.set("aws:username", "X");
  EXPECT_EQ(holds(*condition, context, Variables::yes), Holds::yes);
  context.set("aws:username", "x");
  EXPECT_EQ(holds(*condition, context, Variables::yes), Holds::no);
}

TEST(Conditions, what_no_operator_can_read_is_refused) {
  for (const auto* name : {"", "stringequals", "String", "NullIfExists", "ForAllValues:Null", "ForAllValues:",
                           "IfExists", "ForAnyValue:ForAllValues:Bool", "StringEqualsIfExistsIfExists"}) {
    EXPECT_FALSE(read_operator(name)) << name;
  }
  for (const auto& [name, value] : {std::pair("NumericEquals", "x"),
                                    {"DateLessThan", "soon"},
                                    {"Bool", "yes"},
                                    {"IpAddress", "host"},
                                    {"Null", ""},
                                    {"BinaryEquals", "%"},
                                    {"StringLike", "${"},
                                    {"NumericEquals", "inf"},
                                    {"NumericEquals", "0x10"}}) {
    auto condition = read_operator(name);
    condition->values = {value};
    EXPECT_FALSE(check_values(*condition, Variables::yes)) << name << " " << value;
  }
}

}  // namespace
}  // namespace kiln::policy
