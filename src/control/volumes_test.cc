#include "control/volumes.h"

#include <gtest/gtest.h>

#include "catalog/blocks.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

std::string refusal(Fixture& world, const VolumeRequest& what) {
  return refusal_of([&] { create_volume(world.region(), world.alice, {.volume = what}); });
}

TEST(Volumes, one_that_is_larger_than_its_snapshot_goes_on_with_zeros) {
  Fixture world;
  const auto bytes = Fixture::pattern(1 << 20, 3);
  const auto made = world.import_disk("base", bytes);
  const auto volume = create_volume(world.region(), world.alice,
                                    {.volume = {.zone = "us-east-1b", .snapshot_id = made.snapshot_id, .size_gib = 3}});
  EXPECT_EQ(volume.state, "creating");
  ASSERT_TRUE(world.settle());
  const auto details = describe_volumes(world.region(), world.alice, {volume.id});
  ASSERT_EQ(details.size(), 1U);
  EXPECT_EQ(details[0].volume.state, "available");
  EXPECT_EQ(details[0].volume.size_gib, 3);
  EXPECT_EQ(world.read(volume.id, 0, 1 << 20), bytes);
  EXPECT_EQ(world.read(volume.id, (std::uint64_t{3} << 30) - 4096, 4096), base::Bytes(4096));
}

TEST(Volumes, what_cannot_be_made_is_refused_as_aws_does) {
  Fixture world;
  const auto made = world.import_disk("base", Fixture::pattern(1 << 20, 3));
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a"}), "MissingParameter");
  EXPECT_EQ(refusal(world, {.size_gib = 1}), "MissingParameter");
  EXPECT_EQ(refusal(world, {.zone = "eu-west-1a", .size_gib = 1}), "InvalidZone.NotFound");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .size_gib = 1, .volume_type = "gp9"}), "UnknownVolumeType");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .size_gib = 20'000, .volume_type = "gp2"}), "InvalidParameterValue");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .size_gib = 1, .volume_type = "st1"}), "InvalidParameterValue");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .size_gib = 4, .volume_type = "io1"}), "MissingParameter");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .size_gib = 1, .encryption = {.key = "alias/x"}}),
            "InvalidParameterDependency");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .size_gib = 1, .initialization_rate = 100}),
            "InvalidParameterCombination");
  for (const int rate : {99, 301, 0, -1}) {
    EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .snapshot_id = made.snapshot_id, .initialization_rate = rate}),
              "InvalidParameterValue")
        << rate;
  }
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .snapshot_id = "snap-0123456789abcdef0"}),
            "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal(world, {.zone = "us-east-1a", .snapshot_id = "vol-1"}), "InvalidParameterValue");
  EXPECT_TRUE(describe_volumes(world.region(), world.alice, {}).empty());
  EXPECT_TRUE(world.settle());
}

TEST(Volumes, deleting_one_leaves_neither_rows_nor_files) {
  Fixture world;
  const auto id = world.volume(world.alice);
  auto& region = world.region();
  EXPECT_EQ(refusal_of([&] { delete_volume(region, world.bob, id); }), "InvalidVolume.NotFound");
  delete_volume(region, world.alice, id);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(refusal_of([&] { describe_volumes(region, world.alice, {id}); }), "InvalidVolume.NotFound");
  EXPECT_FALSE(*region.files.exists(region.volume_directory(id)));
  EXPECT_TRUE(
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return catalog::roots(txn, region.name); }).empty());
}

TEST(Volumes, a_daemon_killed_at_any_step_makes_or_deletes_them_after_its_restart) {
  for (const std::string point : {"create-volume/files/before", "create-volume/files/after",
                                  "create-volume/show/before", "create-volume/show/after"}) {
    SCOPED_TRACE(point);
    const KillOnce kill(point);
    Fixture world(kill);
    const auto id = create_volume(world.region(), world.alice, {.volume = {.zone = "us-east-1a", .size_gib = 2}}).id;
    EXPECT_FALSE(world.settle());
    world.restart();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(describe_volumes(world.region(), world.alice, {id}).at(0).volume.state, "available");
    world.write(id, 0, Fixture::pattern(4096, 1));
  }
  for (const std::string point : {"delete-volume/remove/before", "delete-volume/remove/after"}) {
    SCOPED_TRACE(point);
    const KillOnce kill(point);
    Fixture world(kill);
    const auto id = world.volume(world.alice);
    delete_volume(world.region(), world.alice, id);
    EXPECT_FALSE(world.settle());
    world.restart();
    ASSERT_TRUE(world.settle());
    EXPECT_TRUE(describe_volumes(world.region(), world.alice, {}).empty());
    EXPECT_FALSE(*world.region().files.exists(world.region().volume_directory(id)));
  }
}

TEST(Volumes, a_client_token_is_kept_with_what_it_made) {
  Fixture world;
  const catalog::ClientToken token{.region = "us-east-1",
                                   .account = world.alice.account,
                                   .operation = "CreateVolume",
                                   .token = "t-1",
                                   .parameters = "digest",
                                   .created = 1};
  const auto id = create_volume(world.region(), world.alice,
                                {.volume = {.zone = "us-east-1a", .size_gib = 1}, .client_token = token})
                      .id;
  const auto kept = catalog::in_read(world.region().catalog, [&](catalog::Txn& txn) {
    return catalog::find_client_token(txn, "us-east-1", world.alice.account, "CreateVolume", "t-1");
  });
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->result, id);
  EXPECT_TRUE(world.settle());
}

}  // namespace
}  // namespace kiln::control
