#include "control/access.h"

#include <gtest/gtest.h>

#include "control/access_keys.h"
#include "control/iam_policies.h"
#include "control/region_fixture.h"
#include "control/sealed_secrets.h"
#include "control/sessions.h"

namespace kiln::control {
namespace {

struct AccessTest : testing::Test {
  RegionFixture world;
  Region& region() { return world.region(); }
  const std::string account = "123456789012";

  Principal user(const std::string& name, const std::string& statements) {
    const auto row = create_identity(
        region(), account,
        {.kind = user_kind, .name = name, .description = {}, .trust_policy = {}, .boundary = {}, .tags = {}});
    if (!statements.empty()) put(user_kind, name, statements);
    return {.account = account,
            .arn = row.arn(),
            .user_id = row.id,
            .access_key = {},
            .identity_id = row.id,
            .user_name = name};
  }
  void put(const std::string& kind, const std::string& name, const std::string& statements) {
    put_inline_policy(
        region(), account, kind, name,
        {.identity_id = {}, .name = "its", .document = R"({"Version":"2012-10-17","Statement":[)" + statements + "]}"});
  }
  std::string asks(const Principal& who, const std::string& action, const std::string& resource = "*") {
    return refusal_of([&] { authorise(region(), who, {{.action = action, .resource = resource}}); });
  }
};

constexpr const char* describe = R"({"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"})";

TEST_F(AccessTest, a_root_key_may_do_all_and_a_user_what_its_policies_allow) {
  EXPECT_EQ(asks(world.alice, "ec2:RunInstances"), "no error");
  const auto ann = user("ann", describe);
  EXPECT_EQ(asks(ann, "ec2:DescribeImages"), "no error");
  EXPECT_EQ(asks(ann, "ec2:RunInstances"), "UnauthorizedOperation");
  EXPECT_EQ(asks(ann, "iam:ListUsers"), "AccessDenied");
  EXPECT_EQ(asks(ann, "ebs:GetSnapshotBlock"), "AccessDeniedException");
}

TEST_F(AccessTest, each_of_the_resources_of_a_request_has_to_be_allowed) {
  const auto ann = user("ann", R"({"Effect":"Allow","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*::image/*"})");
  const Asked image{.action = "ec2:RunInstances", .resource = "arn:aws:ec2:us-east-1::image/ami-1"};
  const Asked instance{.action = "ec2:RunInstances", .resource = "arn:aws:ec2:us-east-1:123456789012:instance/*"};
  EXPECT_EQ(refusal_of([&] { authorise(region(), ann, {image}); }), "no error");
  EXPECT_EQ(refusal_of([&] { authorise(region(), ann, {image, instance}); }), "UnauthorizedOperation");
}

TEST_F(AccessTest, a_user_that_was_deleted_may_do_nothing) {
  const auto ann = user("ann", describe);
  delete_inline_policy(region(), account, user_kind, "ann", "its");
  delete_identity(region(), account, user_kind, "ann");
  EXPECT_EQ(asks(ann, "ec2:DescribeImages"), "UnauthorizedOperation");
}

TEST_F(AccessTest, a_stored_policy_that_cannot_be_read_denies_everything) {
  const auto ann = user("ann", describe);
  region().catalog.run_in_txn([&](catalog::Txn& txn) {
    catalog::insert(txn, catalog::IamInlinePolicy{.identity_id = ann.identity_id, .name = "broken", .document = "{"});
  });
  EXPECT_EQ(asks(ann, "ec2:DescribeImages"), "UnauthorizedOperation");
}

TEST_F(AccessTest, conditions_see_who_calls_and_from_where) {
  auto ann = user("ann", R"({"Effect":"Allow","Action":"*","Resource":"*","Condition":{
      "StringEquals":{"aws:username":"ann","aws:PrincipalTag/team":"red","aws:RequestedRegion":"us-east-1"},
      "IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":"true"},
      "DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"},
      "ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}}})");
  EXPECT_EQ(asks(ann, "ec2:RunInstances"), "UnauthorizedOperation");
  set_iam_tags(region(), ann.identity_id, {{"team", "red"}});
  ann.source_ip = "10.1.2.3";
  ann.secure = true;
  EXPECT_EQ(asks(ann, "ec2:RunInstances"), "no error");
  ann.source_ip = "11.1.2.3";
  EXPECT_EQ(asks(ann, "ec2:RunInstances"), "UnauthorizedOperation");
}

TEST_F(AccessTest, secrets_are_in_the_catalog_only_as_ciphertexts) {
  user("ann", {});
  const auto made = create_access_key(region(), account, "ann");
  const auto row = access_keys_of_user(region(), account, "ann").front();
  EXPECT_EQ(made.id.size(), 20U);
  EXPECT_EQ(made.secret.size(), 40U);
  EXPECT_TRUE(row.sealed);
  EXPECT_EQ(row.secret.find(made.secret), std::string::npos);
  EXPECT_EQ(secret_of(region().key_store, row), made.secret);
  auto moved = row;
  moved.id = "AKIAOTHER";
  EXPECT_FALSE(secret_of(region().key_store, moved)) << "a seal is of one key alone";
  ASSERT_TRUE(region().key_store.destroy(identity_key()));
  EXPECT_FALSE(secret_of(region().key_store, row));
}

TEST_F(AccessTest, a_session_token_opens_for_its_key_and_nothing_else) {
  const auto ann = user("ann", describe);
  const auto session = session_of_caller(region(), ann, 900);
  const auto opened = open_session(region().key_store, session.access_key, session.token);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->secret, session.secret);
  EXPECT_EQ(opened->expires, session.expires);
  EXPECT_EQ(opened->principal.arn, ann.arn);
  EXPECT_EQ(asks(opened->principal, "ec2:DescribeImages"), "no error");
  EXPECT_EQ(asks(opened->principal, "ec2:RunInstances"), "UnauthorizedOperation");
  EXPECT_FALSE(open_session(region().key_store, "ASIAOTHER", session.token));
  auto damaged = session.token;
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(open_session(region().key_store, session.access_key, damaged));
  EXPECT_FALSE(open_session(region().key_store, session.access_key, ""));
}

TEST_F(AccessTest, an_encoded_message_is_told_to_its_account_alone) {
  const auto ann = user("ann", describe);
  std::string encoded;
  try {
    authorise(region(), ann, {{.action = "ec2:RunInstances"}});
  } catch (const base::ApiError& error) {
    const std::string text = error.what();
    encoded = text.substr(text.rfind(' ') + 1);
  }
  EXPECT_NE(decode_authorization_message(region(), world.alice, encoded).find("ec2:RunInstances"), std::string::npos);
  EXPECT_EQ(refusal_of([&] { decode_authorization_message(region(), world.bob, encoded); }),
            "InvalidAuthorizationMessageException");
}

}  // namespace
}  // namespace kiln::control
