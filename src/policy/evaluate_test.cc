#include "policy/evaluate.h"

#include <gtest/gtest.h>

#include <deque>

namespace kiln::policy {
namespace {

constexpr const char* home = "123456789012";
constexpr const char* other = "210987654321";

struct Evaluate : testing::Test {
  Request request{
      .caller = {.account = home, .arn = "arn:aws:iam::123456789012:user/ann", .role_arn = {}, .service = {}},
      .action = "ec2:RunInstances",
      .resource = "arn:aws:ec2:us-east-1::image/ami-1",
      .context = {}};
  Policies policies;

  NamedPolicy policy(const std::string& statements, const Grammar& grammar = identity_policy) {
    const auto text = R"({"Version":"2012-10-17","Statement":[)" + statements + "]}";
    auto read = parse(text, grammar);
    EXPECT_TRUE(read) << read.error().message();
    documents_.push_back(*std::move(read));
    return {.name = "p" + std::to_string(documents_.size()), .document = &documents_.back()};
  }
  void on_resource(const std::string& principal, const std::string& effect = "Allow") {
    policies.resource = policy(
        R"({"Effect":")" + effect + R"(","Action":"*","Resource":"*","Principal":)" + principal + "}", resource_policy);
  }
  void as_session() {
    request.caller.arn = "arn:aws:sts::123456789012:assumed-role/builder/me";
    request.caller.role_arn = "arn:aws:iam::123456789012:role/builder";
  }
  Outcome outcome() const { return evaluate(request, policies).outcome; }

 private:
  std::deque<Document> documents_;
};

constexpr const char* allow_all = R"({"Effect":"Allow","Action":"*","Resource":"*"})";
constexpr const char* allow_run = R"({"Sid":"Run","Effect":"Allow","Action":"ec2:Run*","Resource":"*"})";
constexpr const char* deny_run = R"({"Sid":"No","Effect":"Deny","Action":"ec2:RunInstances","Resource":"*"})";
constexpr const char* allow_other = R"({"Effect":"Allow","Action":"s3:*","Resource":"*"})";

TEST_F(Evaluate, nothing_is_allowed_that_no_policy_allows) {
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  policies.identity = {policy(allow_other)};
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  policies.identity.push_back(policy(allow_run));
  const auto decision = evaluate(request, policies);
  EXPECT_EQ(decision.outcome, Outcome::allow);
  EXPECT_EQ(decision.policy, "p2");
  EXPECT_EQ(decision.sid, "Run");
  EXPECT_EQ(decision.statement, 1U);
}

TEST_F(Evaluate, a_denial_wins_wherever_it_stands) {
  policies.identity = {policy(allow_all), policy(std::string(allow_all) + "," + deny_run)};
  const auto decision = evaluate(request, policies);
  EXPECT_EQ(decision.outcome, Outcome::explicit_deny);
  EXPECT_EQ(decision.sid, "No");
  EXPECT_EQ(decision.statement, 2U);
  policies.identity = {policy(allow_all)};
  policies.session = {policy(allow_all), policy(deny_run)};
  EXPECT_EQ(evaluate(request, policies).side, Side::session);
  EXPECT_EQ(outcome(), Outcome::explicit_deny);
  policies.session.reset();
  on_resource("\"*\"", "Deny");
  EXPECT_EQ(outcome(), Outcome::explicit_deny);
  request.caller.is_root = true;
  EXPECT_EQ(outcome(), Outcome::explicit_deny) << "a resource may be closed to the root user too";
}

TEST_F(Evaluate, not_action_and_not_resource_are_about_all_else) {
  policies.identity = {policy(R"({"Effect":"Allow","NotAction":["iam:*","ec2:Stop*"],"Resource":"*"})")};
  EXPECT_EQ(outcome(), Outcome::allow);
  request.action = "ec2:StopInstances";
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  policies.identity = {policy(R"({"Effect":"Allow","Action":"*","NotResource":"arn:aws:ec2:*:*:image/*"})")};
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  request.resource = "arn:aws:ec2:us-east-1:123456789012:instance/i-1";
  EXPECT_EQ(outcome(), Outcome::allow);
}

TEST_F(Evaluate, all_conditions_have_to_hold) {
  policies.identity = {policy(R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":{
      "StringEquals":{"ec2:Owner":"self","ec2:Region":"us-east-1"},"Bool":{"ec2:Public":"false"}}})")};
  request.context.set("ec2:Owner", "self");
  request.context.set("ec2:Public", "false");
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  request.context.set("ec2:Region", "us-east-1");
  EXPECT_EQ(outcome(), Outcome::allow);
}

TEST_F(Evaluate, boundary_and_session_only_take_away) {
  policies.identity = {policy(allow_run)};
  policies.boundary = policy(allow_other);
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  EXPECT_EQ(evaluate(request, policies).side, Side::boundary);
  policies.boundary = policy(allow_run);
  EXPECT_EQ(outcome(), Outcome::allow);
  policies.session.emplace();
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  EXPECT_EQ(evaluate(request, policies).side, Side::session);
  policies.session = {policy(allow_other), policy(allow_run)};
  EXPECT_EQ(outcome(), Outcome::allow);
  policies.identity.clear();
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
}

TEST_F(Evaluate, in_one_account_either_side_is_enough) {
  on_resource(R"({"AWS":"arn:aws:iam::123456789012:user/ann"})");
  EXPECT_EQ(outcome(), Outcome::allow);
  policies.boundary = policy(allow_other);
  EXPECT_EQ(outcome(), Outcome::allow) << "a user that is named itself is not held by its boundary";
  on_resource(R"({"AWS":"arn:aws:iam::123456789012:user/bea"})");
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
}

TEST_F(Evaluate, naming_an_account_leaves_it_to_the_account) {
  on_resource(R"({"AWS":"123456789012"})");
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  request.caller.is_root = true;
  EXPECT_EQ(outcome(), Outcome::allow);
  request.caller.is_root = false;
  policies.identity = {policy(allow_run)};
  EXPECT_EQ(outcome(), Outcome::allow);
}

TEST_F(Evaluate, between_accounts_both_sides_are_needed) {
  policies.resource_account = other;
  policies.identity = {policy(allow_run)};
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  EXPECT_EQ(evaluate(request, policies).side, Side::resource);
  on_resource(R"({"AWS":"arn:aws:iam::123456789012:user/ann"})");
  EXPECT_EQ(outcome(), Outcome::allow);
  policies.identity.clear();
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  on_resource(R"({"AWS":"123456789012"})");
  policies.identity = {policy(allow_run)};
  EXPECT_EQ(outcome(), Outcome::allow);
}

TEST_F(Evaluate, a_policy_that_decides_is_asked_even_of_its_own_account) {
  policies.resource_decides = true;
  policies.identity = {policy(allow_all)};
  on_resource(R"({"AWS":"arn:aws:iam::210987654321:root"})");
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  request.caller.is_root = true;
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  on_resource(R"({"AWS":"arn:aws:iam::123456789012:root"})");
  EXPECT_EQ(outcome(), Outcome::allow);
}

TEST_F(Evaluate, a_session_is_held_by_its_limits_unless_it_is_named_itself) {
  as_session();
  policies.session = {policy(allow_other)};
  for (const auto* name : {R"({"AWS":"arn:aws:iam::123456789012:role/builder"})", "\"*\""}) {
    on_resource(name);
    EXPECT_EQ(outcome(), Outcome::implicit_deny) << name;
    EXPECT_EQ(evaluate(request, policies).side, Side::session) << name;
  }
  on_resource(R"({"AWS":"arn:aws:sts::123456789012:assumed-role/builder/me"})");
  EXPECT_EQ(outcome(), Outcome::allow);
}

TEST_F(Evaluate, a_service_is_asked_for_by_its_name) {
  request.caller = {.account = {}, .arn = {}, .role_arn = {}, .service = "ec2.amazonaws.com"};
  policies.resource_account = home;
  policies.resource_decides = true;
  on_resource(R"({"Service":"ec2.amazonaws.com"})");
  EXPECT_EQ(outcome(), Outcome::allow);
  on_resource(R"({"Service":"lambda.amazonaws.com","AWS":"123456789012"})");
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
}

TEST_F(Evaluate, who_is_left_out_of_a_denial_is_named_itself) {
  policies.identity = {policy(allow_all)};
  const auto deny_but = [&](const char* names) {
    policies.resource =
        policy(R"({"Effect":"Deny","Action":"*","Resource":"*","NotPrincipal":{"AWS":)" + std::string(names) + "}}",
               resource_policy);
  };
  deny_but(R"("arn:aws:iam::123456789012:user/ann")");
  EXPECT_EQ(outcome(), Outcome::allow);
  deny_but(R"("arn:aws:iam::123456789012:user/bea")");
  EXPECT_EQ(outcome(), Outcome::explicit_deny);
  deny_but(R"("arn:aws:iam::123456789012:root")");
  EXPECT_EQ(outcome(), Outcome::explicit_deny);
}

TEST_F(Evaluate, a_variable_without_a_value_never_widens_what_is_allowed) {
  const std::string mine = R"("arn:aws:ec2:us-east-1:123456789012:instance/${aws:username}")";
  request.resource = "arn:aws:ec2:us-east-1:123456789012:instance/ann";
  policies.identity = {policy(R"({"Effect":"Allow","Action":"*","Resource":)" + mine + "}")};
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  policies.identity = {policy(R"({"Effect":"Allow","Action":"*","NotResource":)" + mine + "}")};
  EXPECT_EQ(outcome(), Outcome::implicit_deny);
  policies.identity = {policy(allow_all), policy(R"({"Effect":"Deny","Action":"*","NotResource":)" + mine + "}")};
  EXPECT_EQ(outcome(), Outcome::explicit_deny);
  request.context.set("aws:username", "ann");
  EXPECT_EQ(outcome(), Outcome::allow);
}

}  // namespace
}  // namespace kiln::policy
