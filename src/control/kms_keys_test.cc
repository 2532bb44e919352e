#include "control/kms_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "control/key_policy.h"
#include "control/kms_data.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

using catalog::KmsKey;

struct Keys : testing::Test {
  RegionFixture world;
  Region& region() { return world.region(); }
  KmsKey made() { return create_key(region(), world.alice, {}); }

  std::string encrypted(const KmsKey& key) {
    return encrypt(region(), {.account = key.account}, key.id, base::as_bytes("secret"), {}).ciphertext;
  }
  std::string opened(const KmsKey& key, const std::string& ciphertext) {
    return refusal_of([&] { decrypt(region(), {.account = key.account}, "", ciphertext, {}); });
  }
  void set(KmsKey key) {
    region().catalog.run_in_txn([&](catalog::Txn& txn) { catalog::update(txn, key); });
  }
  bool has_material(const KmsKey& key) {
    const auto all = region().key_store.list();
    return std::ranges::find(*all, *keys::KeyId::from_text(key.id)) != all->end();
  }
};

TEST_F(Keys, a_key_is_destroyed_when_its_time_has_come_and_not_before) {
  const auto key = made(), other = made();
  const auto text = encrypted(key), kept = encrypted(other);
  auto scheduled = schedule_key_deletion(region(), world.alice, key.id, 7);
  EXPECT_EQ(*scheduled.deletion - region().clock.now() > base::seconds(7 * 24 * 3600 - 60), true);
  destroy_due_keys(region());
  EXPECT_EQ(opened(key, text), "KMSInvalidStateException");
  EXPECT_TRUE(has_material(key));
  scheduled.deletion = region().clock.now();
  set(scheduled);
  destroy_due_keys(region());
  EXPECT_FALSE(has_material(key));
  EXPECT_EQ(opened(key, text), "NotFoundException");
  EXPECT_EQ(opened(other, kept), "no error");
  EXPECT_EQ(keys_of(region(), world.alice.account).size(), 1U);
}

TEST_F(Keys, a_deletion_that_a_crash_interrupted_goes_on_and_cannot_be_cancelled) {
  auto key = made();
  const auto text = encrypted(key);
  key.state = "Deleting";  // committed, and nothing of the files done yet
  set(key);
  world.restart();
  EXPECT_EQ(refusal_of([&] { cancel_key_deletion(region(), world.alice, key.id); }), "NotFoundException");
  EXPECT_EQ(opened(key, text), "NotFoundException");
  destroy_due_keys(region());
  EXPECT_FALSE(has_material(key));

  auto second = made();
  second.state = "Deleting";
  set(second);
  ASSERT_TRUE(region().key_store.destroy(*keys::KeyId::from_text(second.id)));  // and this time all of them
  world.restart();
  destroy_due_keys(region());
  EXPECT_EQ(catalog::in_read(region().catalog,
                             [&](catalog::Txn& txn) { return catalog::kms_keys_of(txn, "us-east-1", second.account); })
                .size(),
            0U);
}

TEST_F(Keys, what_a_crash_left_of_making_a_key_goes_at_the_next_start) {
  auto key = made();
  key.state = "Creating";
  set(key);
  EXPECT_EQ(refusal_of([&] { find_key(region(), {.account = key.account}, key.id, "kms:DescribeKey"); }),
            "NotFoundException");
  world.restart();
  EXPECT_FALSE(has_material(key));
  EXPECT_TRUE(keys_of(region(), key.account).empty());
}

TEST_F(Keys, material_that_no_row_names_is_left_alone) {
  const auto stray = *keys::KeyId::from_text("11111111-1111-4111-8111-111111111111");
  ASSERT_TRUE(region().key_store.create(stray));
  world.restart();
  destroy_due_keys(region());
  EXPECT_EQ(*region().key_store.list(), std::vector{stray})
      << "an older catalog, put back, must not destroy newer keys";
}

TEST_F(Keys, eight_who_need_the_ebs_key_at_once_get_one) {
  std::vector<std::string> ids(8);
  {
    std::vector<std::jthread> threads;
    for (auto& id : ids) threads.emplace_back([&] { id = service_key(region(), world.alice.account, ebs_alias).id; });
  }
  for (const auto& id : ids) EXPECT_EQ(id, ids.front());
  EXPECT_EQ(region().key_store.list()->size(), 1U);
  EXPECT_EQ(keys_of(region(), world.alice.account).size(), 1U);
}

TEST_F(Keys, the_ebs_key_serves_its_account_through_ec2_and_nobody_else) {
  const auto key = service_key(region(), world.alice.account, ebs_alias);
  const auto use = [&](const std::string& account, const std::string& through) {
    return refusal_of([&] { find_key(region(), {.account = account, .through = through}, key.arn(), "kms:Decrypt"); });
  };
  EXPECT_EQ(use(world.alice.account, "ec2"), "no error");
  EXPECT_EQ(use(world.alice.account, ""), "AccessDeniedException");
  EXPECT_EQ(use(world.alice.account, "ssm"), "AccessDeniedException");
  EXPECT_EQ(use(world.bob.account, "ec2"), "AccessDeniedException");
}

// --- policies

constexpr const char* alice = "123456789012";
constexpr const char* bob = "210987654321";

bool allows(const std::string& statements, const std::string& account, const std::string& action) {
  return policy_allows(R"({"Statement":[)" + statements + "]}",
                       {.account = account, .action = action, .via_service = {}});
}

TEST(KeyPolicy, allows_what_it_says_and_a_denial_wins) {
  const std::string share =
      R"({"Effect":"Allow","Principal":{"AWS":["210987654321"]},"Action":["kms:Decrypt","kms:GenerateDataKey*"]})";
  EXPECT_TRUE(allows(share, bob, "kms:Decrypt"));
  EXPECT_TRUE(allows(share, bob, "kms:GenerateDataKeyWithoutPlaintext"));
  EXPECT_FALSE(allows(share, bob, "kms:Encrypt"));
  EXPECT_FALSE(allows(share, alice, "kms:Decrypt"));
  const std::string deny = R"({"Effect":"Deny","Principal":"*","Action":"KMS:decrypt"})";
  EXPECT_FALSE(allows(share + "," + deny, bob, "kms:Decrypt"));
  EXPECT_TRUE(allows(share + "," + deny, bob, "kms:GenerateDataKey"));
}

TEST(KeyPolicy, a_condition_on_what_is_not_known_of_the_call_allows_nothing) {
  EXPECT_FALSE(allows(
      R"({"Effect":"Allow","Principal":"*","Action":"kms:*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.1"}}})",
      bob, "kms:Decrypt"));
}

TEST(KeyPolicy, conditions_are_about_who_calls_and_through_what) {
  const auto policy = [](const std::string& condition) {
    return R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Condition":)" + condition + "}}";
  };
  const KeyUse use{.account = bob, .action = "kms:Decrypt", .via_service = "ec2.us-east-1.amazonaws.com"};
  EXPECT_TRUE(policy_allows(policy(R"({"StringLike":{"kms:ViaService":"ec2.*.amazonaws.com"}})"), use));
  EXPECT_FALSE(policy_allows(policy(R"({"StringEquals":{"kms:CallerAccount":"123456789012"}})"), use));
  EXPECT_FALSE(policy_allows(policy(R"({"Null":{"kms:ViaService":"true"}})"), use));
}

TEST(KeyPolicy, what_cannot_be_read_allows_nothing) {
  const KeyUse use{.account = bob, .action = "kms:Decrypt", .via_service = {}};
  EXPECT_FALSE(policy_allows(R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"Decrypt"}})", use));
}

TEST(KeyPolicy, a_users_permission_is_not_its_accounts) {
  EXPECT_FALSE(allows(R"({"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::210987654321:user/x"},"Action":"kms:*"})",
                      bob, "kms:Decrypt"));
}

TEST(KeyPolicy, what_is_no_policy_is_refused) {
  for (const auto* text : {
           "",
           "{",
           "[]",
           R"({"Statement":7})",
           R"({"Statement":[{"Effect":"Allow","Principal":"*"}]})",
           R"({"Statement":[{"Effect":"Maybe","Principal":"*","Action":"*"}]})",
           R"({"Statement":[{"Effect":"Allow","Principal":{"AWS":"nobody"},"Action":"*"}]})",
           R"({"Statement":[{"Effect":"Allow","NotAction":"x","Principal":"*","Action":"*"}]})",
           R"({"Statement":[{"Effect":"Allow","Principal":"*","Action":7}]})",
       }) {
    EXPECT_EQ(refusal_of([&] { check_policy(text); }), "MalformedPolicyDocumentException") << text;
  }
  check_policy(default_key_policy(alice));
  check_policy(ebs_key_policy(alice, "us-east-1"));
}

}  // namespace
}  // namespace kiln::control
