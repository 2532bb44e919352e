#include "control/image_lifecycle.h"

#include <gtest/gtest.h>

#include "control/allowed_images.h"
#include "control/image_copies.h"
#include "control/launch.h"
#include "control/public_access.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

constexpr base::Micros day = base::seconds(86'400);

class ImageLifecycle : public testing::Test {
 protected:
  ImageLifecycle() { id_ = world_.import_disk("base", Fixture::pattern(1 << 20, 1)).image_id; }

  void share(const Grantee& grantee) { change_image(region(), world_.alice, id_, {.shares = {.add = {grantee}}}); }
  void share_with_bob() { share({"account", world_.bob.account}); }
  bool bob_finds(ImageQuery query = {}) { return !describe_images(region(), world_.bob, query).empty(); }
  std::string launch() {
    return refusal_of([&] {
      region().catalog.run_in_txn([&](catalog::Txn& txn) { image_for_launch(txn, region(), world_.bob, id_); });
    });
  }
  std::string deregister() {
    return refusal_of([&] { deregister_image(region(), world_.alice, id_, WithSnapshots::no); });
  }
  ImageDetails described() { return describe_images(region(), world_.alice, {.ids = {id_}}).at(0); }
  Region& region() { return world_.region(); }

  Fixture world_;
  std::string id_;
};

TEST_F(ImageLifecycle, a_disabled_one_is_nobodys_until_it_is_enabled_and_shared_anew) {
  share_with_bob();
  disable_image(region(), world_.alice, id_);
  EXPECT_EQ(described().image.state, "disabled");
  EXPECT_TRUE(describe_images(region(), world_.alice, {}).empty());
  EXPECT_EQ(describe_images(region(), world_.alice, {.include_disabled = true}).size(), 1U);
  EXPECT_FALSE(bob_finds());
  EXPECT_EQ(launch(), "InvalidAMIID.NotFound");
  EXPECT_EQ(refusal_of([&] { share_with_bob(); }), "InvalidAMIID.Unavailable");
  EXPECT_EQ(
      refusal_of([&] {
        region().catalog.run_in_txn([&](catalog::Txn& txn) { image_for_launch(txn, region(), world_.alice, id_); });
      }),
      "InvalidAMIID.Unavailable");
  disable_image(region(), world_.alice, id_);
  enable_image(region(), world_.alice, id_);
  EXPECT_EQ(described().image.state, "available");
  EXPECT_FALSE(bob_finds());
  share_with_bob();
  EXPECT_EQ(launch(), "no error");
  EXPECT_EQ(refusal_of([&] { disable_image(region(), world_.bob, id_); }), "AuthFailure");
}

TEST_F(ImageLifecycle, a_deprecated_one_is_hidden_from_others_and_still_launches) {
  share_with_bob();
  const auto now = region().clock.now();
  deprecate_image(region(), world_.alice, id_, now + day);
  EXPECT_EQ(*described().image.deprecation % base::seconds(60), 0);
  EXPECT_TRUE(bob_finds());
  world_.clock().advance(2 * day);
  EXPECT_FALSE(bob_finds());
  EXPECT_TRUE(bob_finds({.include_deprecated = true}));
  EXPECT_TRUE(bob_finds({.ids = {id_}}));
  EXPECT_EQ(describe_images(region(), world_.alice, {}).size(), 1U);
  EXPECT_EQ(launch(), "no error");
  undo_image_deprecation(region(), world_.alice, id_);
  EXPECT_TRUE(bob_finds());
  const auto at = [&](base::Micros time) {
    return refusal_of([&] { deprecate_image(region(), world_.alice, id_, region().clock.now() + time); });
  };
  EXPECT_EQ(at(-day), "InvalidParameterValue");
  EXPECT_EQ(at(3651 * day), "InvalidParameterValue");
}

TEST_F(ImageLifecycle, a_public_one_is_deprecated_two_years_after_its_creation_at_the_latest) {
  share({"group", "all"});
  const auto limit = described().image.deprecation;
  ASSERT_TRUE(limit);
  EXPECT_LE(*limit, described().image.created + 730 * day);
  EXPECT_EQ(refusal_of([&] { deprecate_image(region(), world_.alice, id_, *limit + day); }), "InvalidParameterValue");
  deprecate_image(region(), world_.alice, id_, *limit - day);
  undo_image_deprecation(region(), world_.alice, id_);
  EXPECT_EQ(described().image.deprecation, limit);
}

TEST_F(ImageLifecycle, a_protected_one_is_deregistered_only_after_its_cooldown) {
  protect_image(region(), world_.alice, id_, Cooldown::no);
  EXPECT_EQ(deregister(), "OperationNotPermitted");
  unprotect_image(region(), world_.alice, id_);
  protect_image(region(), world_.alice, id_, Cooldown::yes);
  unprotect_image(region(), world_.alice, id_);
  EXPECT_EQ(deregister(), "OperationNotPermitted");
  world_.clock().advance(day - base::seconds(60));
  EXPECT_EQ(deregister(), "OperationNotPermitted");
  world_.clock().advance(base::seconds(61));
  EXPECT_EQ(deregister(), "no error");
}

TEST_F(ImageLifecycle, a_copy_begins_a_life_of_its_own) {
  protect_image(region(), world_.alice, id_, Cooldown::yes);
  deprecate_image(region(), world_.alice, id_, region().clock.now() + day);
  const auto copy =
      copy_image(region(), world_.alice, {.source_region = "us-east-1", .source_image_id = id_, .name = "copy"});
  const auto launched = kiln::control::launch(region(), world_.alice, {.image_id = id_, .instance_type = "t3.micro"});
  ASSERT_TRUE(world_.settle());
  const auto made = create_image(region(), world_.alice, {.instance_id = launched.instance_ids.at(0), .name = "made"});
  ASSERT_TRUE(world_.settle());
  for (const auto& id : {copy.id, made.id}) {
    const auto row = describe_images(region(), world_.alice, {.ids = {id}}).at(0).image;
    EXPECT_EQ(row.state, "available");
    EXPECT_FALSE(row.deprecation);
    EXPECT_EQ(refusal_of([&] { deregister_image(region(), world_.alice, id, WithSnapshots::no); }), "no error");
  }
}

TEST_F(ImageLifecycle, block_public_access_stops_new_sharing_with_all) {
  const auto& account = world_.alice.account;
  EXPECT_EQ(public_access(region(), account, Shareable::images), "unblocked");
  set_public_access(region(), account, Shareable::images, "block-new-sharing");
  EXPECT_EQ(refusal_of([&] { share({"group", "all"}); }), "OperationNotPermitted");
  share_with_bob();
  set_public_access(region(), account, Shareable::images, "unblocked");
  share({"group", "all"});
  set_public_access(region(), account, Shareable::images, "block-new-sharing");
  EXPECT_TRUE(described().is_public);
  EXPECT_EQ(refusal_of([&] { set_public_access(region(), account, Shareable::images, "block-all-sharing"); }),
            "InvalidParameterValue");
}

TEST_F(ImageLifecycle, what_an_account_does_not_allow_itself_is_to_it_as_if_it_were_not_there) {
  share_with_bob();
  const auto& bob = world_.bob.account;
  const auto allow = [&](const ImageCriterion& criterion) { set_image_criteria(region(), bob, {criterion}); };
  const auto copy = [&] {
    return refusal_of([&] {
      copy_image(region(), world_.bob, {.source_region = "us-east-1", .source_image_id = id_, .name = "copy"});
    });
  };
  allow({.names = {"other-*"}});
  EXPECT_TRUE(describe_images(region(), world_.bob, {}).at(0).allowed);
  set_allowed_images(region(), bob, "audit-mode");
  EXPECT_FALSE(describe_images(region(), world_.bob, {}).at(0).allowed);
  EXPECT_EQ(launch(), "no error");
  set_allowed_images(region(), bob, "enabled");
  EXPECT_FALSE(bob_finds());
  EXPECT_EQ(launch(), "InvalidAMIID.NotFound");
  EXPECT_EQ(copy(), "InvalidAMIID.NotFound");
  EXPECT_TRUE(described().allowed);  // to its owner, who has other settings
  for (const ImageCriterion& fits :
       std::vector<ImageCriterion>{{.names = {"b?s*"}},
                                   {.providers = {world_.alice.account, "amazon"}},
                                   {.providers = {world_.alice.account}, .names = {"base"}},
                                   {.days_since_created = 1},
                                   {.days_since_deprecated = 0}}) {
    allow(fits);
    EXPECT_TRUE(bob_finds());
    EXPECT_EQ(launch(), "no error");
  }
  for (const ImageCriterion& does_not :
       std::vector<ImageCriterion>{{.providers = {"none"}},
                                   {.providers = {"amazon"}},
                                   {.product_codes = {"abc"}},
                                   {.providers = {world_.alice.account}, .names = {"x"}}}) {
    allow(does_not);
    EXPECT_FALSE(bob_finds());
  }
  world_.clock().advance(2 * day);
  allow({.days_since_created = 1});
  EXPECT_FALSE(bob_finds());
  set_image_criteria(region(), bob, {});
  EXPECT_TRUE(bob_finds());
  const auto refused = [&](const std::vector<ImageCriterion>& criteria) {
    return refusal_of([&] { set_image_criteria(region(), bob, criteria); });
  };
  EXPECT_EQ(refused(std::vector<ImageCriterion>(11, {.names = {"a"}})), "InvalidParameterValue");
  EXPECT_EQ(refused({{}}), "InvalidParameterValue");
  EXPECT_EQ(refused({{.providers = {"none", "amazon"}}}), "InvalidParameterValue");
  EXPECT_EQ(refused({{.providers = {"me"}}}), "InvalidParameterValue");
  EXPECT_EQ(refused({{.names = {"<a>"}}}), "InvalidParameterValue");
}

}  // namespace
}  // namespace kiln::control
