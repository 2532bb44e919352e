#include "policy/match.h"

#include <gtest/gtest.h>

namespace kiln::policy {
namespace {

Pattern pattern(std::string_view text) { return *expand(text, {}, Variables::no, Wildcards::yes); }
bool like(std::string_view wanted, std::string_view text) { return matches(pattern(wanted), text); }
bool resource(std::string_view wanted, std::string_view arn) { return matches_resource(pattern(wanted), arn); }
bool arn_like(std::string_view wanted, std::string_view arn) { return matches_arn(pattern(wanted), arn); }

TEST(Match, wildcards_cover_the_whole_text_and_nothing_less) {
  EXPECT_TRUE(like("", ""));
  EXPECT_TRUE(like("*", ""));
  EXPECT_TRUE(like("a*c?e", "abbbcde"));
  EXPECT_TRUE(like("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(like("a*c", "abcd"));
  EXPECT_FALSE(like("?", ""));
  EXPECT_FALSE(like("A", "a"));
  EXPECT_FALSE(like("", "a"));
}

TEST(Match, a_question_mark_is_one_character_and_not_one_byte) {
  EXPECT_TRUE(like("a?c", "a\u00fcc"));
  EXPECT_TRUE(like("\u00fc*\u00fc", "\u00fcx\u00fc"));
  EXPECT_FALSE(like("a??c", "a\u00fcc"));
  EXPECT_TRUE(like("?", "\xF0\x9F\x98\x80"));
}

TEST(Match, many_stars_take_no_more_than_the_product_of_the_lengths) {
  std::string stars, text(2000, 'a');
  for (int i = 0; i < 1000; ++i) stars += "*a";
  EXPECT_FALSE(like(stars + "b", text));  // what tries again and again would not end
  EXPECT_TRUE(like(stars, text));
}

TEST(Match, a_star_of_a_resource_crosses_colons_only_at_the_end_of_a_field) {
  const std::string image = "arn:aws:ec2:us-east-1::image/ami-1";
  EXPECT_TRUE(resource("*", image));
  EXPECT_TRUE(resource("arn:aws:ec2:*", image));
  EXPECT_TRUE(resource("arn:aws:ec2:*:image/*", image));
  EXPECT_TRUE(resource("arn:aws:ec2:us-*-1::image/ami-*", image));
  EXPECT_TRUE(resource("arn:aws:ec2:*::image/ami-?", image));
  EXPECT_FALSE(resource("arn:aws:e*1::image/ami-1", image)) << "inside of a field a star stays in it";
  EXPECT_TRUE(resource("arn:aws:logs:r:1:log-group:a*b", "arn:aws:logs:r:1:log-group:a:b")) << "the sixth has no end";
}

TEST(Match, images_have_no_account_and_a_pattern_with_one_is_not_theirs) {
  const std::string image = "arn:aws:ec2:us-east-1::image/ami-1";
  EXPECT_TRUE(resource("arn:aws:ec2:us-east-1::image/ami-1", image));
  EXPECT_FALSE(resource("arn:aws:ec2:us-east-1:123456789012:image/ami-1", image));
}

TEST(Match, the_fields_of_an_arn_are_compared_one_by_one) {
  const std::string user = "arn:aws:iam::123456789012:user/dept/ann";
  EXPECT_TRUE(arn_like("arn:aws:iam::*:user/*", user));
  EXPECT_TRUE(arn_like("arn:*:i?m::123456789012:user/d*/ann", user));
  EXPECT_FALSE(arn_like("arn:aws:iam:*:user/*", user)) << "a star is within one field";
  EXPECT_FALSE(arn_like("*", user));
  EXPECT_TRUE(arn_like("arn:aws:x:::a*c", "arn:aws:x:::a:b:c"));
}

struct Variable : testing::Test {
  Variable() {
    context.set("aws:username", "ann*");
    context.set("AWS:PrincipalTag/Team", "red");
    context.add("aws:TagKeys", "a");
    context.add("aws:TagKeys", "b");
  }
  // What a text stands for; its wildcards as they are.
  std::string of(std::string_view text, Variables variables = Variables::yes) const {
    const auto expanded = expand(text, context, variables, Wildcards::yes);
    if (!expanded) return "nothing";
    std::string out;
    for (const auto& step : expanded->steps) out += step.c;
    return out;
  }
  Context context;
};

TEST_F(Variable, stands_for_the_value_of_its_key) {
  EXPECT_EQ(of("home/${aws:username}/x"), "home/ann*/x");
  EXPECT_EQ(of("${aws:principaltag/TEAM}"), "red");
  EXPECT_EQ(of("${aws:PrincipalTag/none, 'a }x'}"), "a }x");
  EXPECT_EQ(of("${*}${?}${$}$ $x"), "*?$$ $x");
  EXPECT_EQ(of("${aws:userid}"), "nothing");
  EXPECT_EQ(of("${aws:TagKeys}"), "nothing") << "of two values neither is the one";
  EXPECT_EQ(of("${aws:username}", Variables::no), "${aws:username}");
}

TEST_F(Variable, is_literal_whatever_its_value_has) {
  const auto expanded = expand("${aws:username}", context, Variables::yes, Wildcards::yes);
  EXPECT_TRUE(matches(*expanded, "ann*"));
  EXPECT_FALSE(matches(*expanded, "anna")) << "a user named * would be everybody";
  const auto quoted = expand("${*}", context, Variables::yes, Wildcards::yes);
  EXPECT_FALSE(matches(*quoted, "x"));
}

TEST_F(Variable, without_an_end_or_a_name_is_refused) {
  EXPECT_TRUE(check_variables("a ${b} ${c, 'd'} $ {x}"));
  for (const auto* text : {"${", "${}", "x${a", "${a, b}", "${a, 'b}", "${ }", "${ , 'x'}"}) {
    EXPECT_FALSE(check_variables(text)) << text;
  }
}

TEST(Match, actions_have_no_case) {
  EXPECT_TRUE(matches_action("EC2:describe*", "ec2:DescribeImages"));
  EXPECT_TRUE(matches_action("*", "ec2:DescribeImages"));
  EXPECT_FALSE(matches_action("ec2:Describe", "ec2:DescribeImages"));
}

}  // namespace
}  // namespace kiln::policy
