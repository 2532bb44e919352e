#include "policy/document.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

extern "C" int fuzz_policy_document(const std::uint8_t* data, std::size_t size);

namespace kiln::policy {
namespace {

std::string with(const std::string& statement) { return R"({"Version":"2012-10-17","Statement":)" + statement + "}"; }

std::string refusal(const std::string& text, const Grammar& grammar = identity_policy) {
  const auto read = parse(text, grammar);
  return read ? "none" : read.error().message();
}

constexpr const char* full = R"({
  "Version": "2012-10-17", "Id": "mine",
  "Statement": [
    {"Sid": "One", "Effect": "Allow", "Action": ["ec2:Describe*", "ec2:RunInstances"], "Resource": "*"},
    {"Effect": "Deny", "NotAction": "iam:*", "NotResource": ["arn:aws:ec2:*::image/*"],
     "Condition": {"StringLike": {"aws:RequestTag/x": ["a", "b"], "ec2:Owner": "self"},
                   "NumericLessThan": {"ec2:VolumeSize": 100}, "Bool": {"aws:SecureTransport": false}}}
  ]})";

TEST(Document, is_read_with_all_that_it_says) {
  const auto read = parse(full, identity_policy);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->id, "mine");
  EXPECT_EQ(read->variables(), Variables::yes);
  ASSERT_EQ(read->statement.size(), 2U);
  EXPECT_EQ(read->statement[0].sid, "One");
  EXPECT_EQ(read->statement[0].effect, Effect::allow);
  EXPECT_EQ(read->statement[0].action, (std::vector<std::string>{"ec2:Describe*", "ec2:RunInstances"}));
  const auto& deny = read->statement[1];
  EXPECT_TRUE(deny.not_action && deny.not_resource);
  ASSERT_EQ(deny.condition.size(), 4U);
  EXPECT_EQ(deny.condition[0].key, "aws:RequestTag/x");
  EXPECT_EQ(deny.condition[0].values, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(deny.condition[2].values, std::vector<std::string>{"100"});
  EXPECT_EQ(deny.condition[3].values, std::vector<std::string>{"false"});
}

TEST(Document, one_statement_needs_no_list_and_an_old_one_has_no_variables) {
  const auto read = parse(R"({"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}})", identity_policy);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->variables(), Variables::no);
}

TEST(Document, principals_of_a_resources_policy) {
  const auto read = parse(with(R"({"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":{
      "AWS":["123456789012","arn:aws:iam::123456789012:user/a","*"],"Service":"ec2.amazonaws.com","Federated":"x"}})"),
                          resource_policy);
  ASSERT_TRUE(read) << read.error().message();
  const auto& principal = *read->statement[0].principal;
  EXPECT_TRUE(principal.anyone);
  EXPECT_EQ(principal.aws.size(), 2U);
  EXPECT_EQ(principal.service, std::vector<std::string>{"ec2.amazonaws.com"});
}

TEST(Document, what_is_wrong_is_said_with_its_place) {
  EXPECT_EQ(refusal(with(R"([{"Effect":"Allow","Action":"ec2:*","Resource":"*"},
                             {"Effect":"Allow","Action":"RunInstances","Resource":"*"}])")),
            "Statement 2: Action: Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: "
            "RunInstances");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"ec2:*","Resource":"ami-1"})")),
            "Statement 1: Resource: Resource ami-1 must be in ARN format or \"*\".");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"ec2:*"})")),
            "Statement 1: Policy statement must contain resources.");
  EXPECT_EQ(refusal(with(R"({"Effect":"Allow","Action":"ec2:*","Resource":"*","Condition":
                             {"IpAddress":{"aws:SourceIp":"home"}}})")),
            "Statement 1: Condition: aws:SourceIp: 'home' is no value that IpAddress can compare");
  EXPECT_EQ(refusal("{\"Version\":"), "Syntax errors in policy: no JSON at character 12");
}

TEST(Document, a_member_that_is_there_twice_is_refused) {
  EXPECT_EQ(refusal(with(R"({"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"})")),
            "Syntax errors in policy: the member Effect is there twice");
}

TEST(Document, what_is_no_policy_is_refused) {
  const std::string rest = R"("Effect":"Allow","Action":"a:b","Resource":"*")";
  for (const auto& text : {
           std::string(),
           std::string("{"),
           std::string("[]"),
           std::string("7"),
           std::string("{}"),
           std::string(R"({"Statement":7})"),
           std::string(R"({"Statement":[]})"),
           std::string(R"({"Statement":[7]})"),
           std::string(R"({"Version":"2020-01-01","Statement":[{)") + rest + "}]}",
           std::string(R"({"Version":7,"Statement":[{)") + rest + "}]}",
           std::string(R"({"Extra":"x","Statement":[{)") + rest + "}]}",
           with("[{" + rest + "}]") + "x",
           with("{\"extra\":1," + rest + "}"),
           with("{\"Sid\":\"a b\"," + rest + "}"),
           with("[{\"Sid\":\"a\"," + rest + "},{\"Sid\":\"a\"," + rest + "}]"),
           with("{\"Principal\":\"*\"," + rest + "}"),
           with("{\"NotAction\":\"a:c\"," + rest + "}"),
           with("{\"NotResource\":\"*\"," + rest + "}"),
           with(R"({"Action":"a:b","Resource":"*"})"),
           with(R"({"Effect":"Maybe","Action":"a:b","Resource":"*"})"),
           with(R"({"Effect":"Allow","Resource":"*"})"),
           with(R"({"Effect":"Allow","Action":[],"Resource":"*"})"),
           with(R"({"Effect":"Allow","Action":7,"Resource":"*"})"),
           with(R"({"Effect":"Allow","Action":"*:b","Resource":"*"})"),
           with(R"({"Effect":"Allow","Action":"a:","Resource":"*"})"),
           with(R"({"Effect":"Allow","Action":"a:b","Resource":""})"),
           with(R"({"Effect":"Allow","Action":"a:b","Resource":"arn:gov:x:::y"})"),
           with(R"({"Effect":"Allow","Action":"a:b","Resource":"arn:aws:x:::${y"})"),
           with("{\"Condition\":7," + rest + "}"),
           with("{\"Condition\":{\"StringLike\":7}," + rest + "}"),
           with("{\"Condition\":{\"Strings\":{}}," + rest + "}"),
           with("{\"Condition\":{\"StringLike\":{\"key\":\"x\"}}," + rest + "}"),
           with("{\"Condition\":{\"StringLike\":{\"a:b\":{}}}," + rest + "}"),
           with("{\"Condition\":{\"StringLike\":{\"a:b\":[[\"x\"]]}}," + rest + "}"),
       }) {
    EXPECT_NE(refusal(text), "none") << text;
  }
  const std::string principal = R"({"Effect":"Allow","Action":"a:b","Resource":"*","Principal":)";
  for (const auto* name : {"7", "\"me\"", "{}", R"({"AWS":"me"})", R"({"AWS":"arn:aws:iam::1:root"})", R"({"X":"*"})",
                           R"({"AWS":"arn:aws:iam::123456789012:user/*"})", R"({"AWS":[]})"}) {
    EXPECT_NE(refusal(with(principal + name + "}"), resource_policy), "none") << name;
  }
  EXPECT_NE(refusal(with("{" + rest + "}"), resource_policy), "none") << "nobody is named";
  EXPECT_NE(refusal(with(R"({"Effect":"Allow","Action":"a:b","Resource":"*","NotPrincipal":"*"})"), resource_policy),
            "none");
  EXPECT_NE(refusal(with(principal + "\"*\"}"), trust_policy), "none") << "a role trusts for itself alone";
}

TEST(Document, is_bounded) {
  std::string deep = "1";
  for (int i = 0; i < 10'000; ++i) deep = "[" + deep + "]";
  EXPECT_EQ(refusal(deep), "Syntax errors in policy: nested too deep");
  EXPECT_NE(refusal(std::string(40'000, ' ') + full, key_policy), "none");
  EXPECT_EQ(refusal(std::string(40'000, ' ') + full), "none");
  EXPECT_EQ(counted_size(" {\n\t\"a b\" : 1 }\r"), 8U);
}

TEST(Document, whatever_comes_is_read_or_refused) {
  const char* chosen = std::getenv("KILN_SEED");
  const std::uint64_t seed = chosen != nullptr ? std::strtoull(chosen, nullptr, 10) : 20'260'101;
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::string bucket = with(R"({"Effect":"Deny","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:i/${aws:username}",
    "NotPrincipal":{"AWS":"arn:aws:iam::123456789012:root"},"Condition":{"ForAnyValue:StringLike":{"aws:TagKeys":"a*"},
    "DateLessThan":{"aws:CurrentTime":"2027-01-01T00:00:00Z"},"IpAddress":{"aws:SourceIp":["10.0.0.0/8","::1"]}}})");
  static constexpr std::string_view telling = "\"{}[]:,*?$'\\0129 \n\xC3";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = random() % 2 == 0 ? full : bucket;
    for (auto count = random() % 4; count < 4 && !text.empty(); ++count) {
      const std::size_t at = random() % text.size(), length = random() % 12;
      switch (random() % 4) {
        case 0: text[at] = telling[random() % telling.size()]; break;
        case 1: text.erase(at, length); break;
        case 2: text.insert(at, text.substr(random() % text.size(), length)); break;
        default: text[at] = static_cast<char>(random()); break;
      }
    }
    fuzz_policy_document(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
}

}  // namespace
}  // namespace kiln::policy
