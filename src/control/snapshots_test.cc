#include "control/snapshots.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "blocks/sealed_generation.h"
#include "catalog/blocks.h"
#include "control/garbage.h"
#include "control/region_fixture.h"
#include "control/usage.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

catalog::Snapshot row(Fixture& world, const std::string& id) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, "us-east-1", id).value(); });
}

std::size_t roots_of(Fixture& world, const std::string& owner) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::roots_of(txn, "us-east-1", owner).size(); });
}

// What stands below a volume of zeros.
class NoDisks final : public blocks::DiskSource {
 public:
  base::Result<blocks::ChunkId> chunk_id(const blocks::DiskId&, std::uint64_t) override { return blocks::ChunkId{}; }
  base::Result<blocks::ChunkBytes> chunk(const blocks::ChunkId&) override { return blocks::ChunkBytes{}; }
};

TEST(Snapshots, a_volume_made_from_a_snapshot_has_the_bytes_of_that_moment) {
  Fixture world;
  const auto volume = world.volume(world.alice);
  const auto before = Fixture::pattern(3 << 20, 1), after = Fixture::pattern(3 << 20, 2);
  world.write(volume, 1 << 20, before);
  const auto snapshot = create_snapshot(world.region(), world.alice, {.volume_id = volume, .description = "one"});
  EXPECT_EQ(snapshot.state, "pending");
  // The point in time is the call, not the end of the upload.
  for (;;) {
    try {
      world.write(volume, 1 << 20, after);
      break;
    } catch (const std::runtime_error&) {  // the upload's rebase has it open for a moment
    }
  }
  ASSERT_TRUE(world.settle());
  const auto done = row(world, snapshot.id);
  EXPECT_EQ(done.state, "completed") << done.state_message;
  EXPECT_EQ(done.progress, "100%");
  EXPECT_EQ(done.full_bytes, 3 << 20);
  const auto copy = world.volume(world.alice, snapshot.id);
  EXPECT_EQ(world.read(copy, 1 << 20, 3 << 20), before);
  EXPECT_EQ(world.read(copy, 0, 1 << 20), base::Bytes(1 << 20));
  EXPECT_EQ(world.read(volume, 1 << 20, 3 << 20), after);
  EXPECT_EQ(roots_of(world, volume), 1U);
}

TEST(Snapshots, each_of_a_row_of_snapshots_has_its_own_moment) {
  Fixture world;
  const auto volume = world.volume(world.alice);
  std::vector<std::string> ids;
  for (std::uint64_t i = 0; i < 5; ++i) {
    world.settle();
    world.write(volume, i << 19, Fixture::pattern(1 << 20, i));
    ids.push_back(create_snapshot(world.region(), world.alice, {.volume_id = volume}).id);
  }
  ASSERT_TRUE(world.settle());
  for (std::uint64_t i = 0; i < 5; ++i) {
    ASSERT_EQ(row(world, ids[i]).state, "completed");
    const auto copy = world.volume(world.alice, ids[i]);
    EXPECT_EQ(world.read(copy, i << 19, 1 << 20), Fixture::pattern(1 << 20, i));
    EXPECT_EQ(world.read(copy, (i + 2) << 19, 1 << 20), base::Bytes(1 << 20));
    EXPECT_EQ(row(world, ids[i]).parent_snapshot_id, i == 0 ? "" : ids[i - 1]);
  }
}

TEST(Snapshots, uploads_are_done_oldest_first_whatever_order_their_jobs_have) {
  Fixture world;
  const auto volume = world.volume(world.alice);
  world.write(volume, 0, Fixture::pattern(1 << 20, 1));
  const auto ids = std::array{base::new_id("snap"), base::new_id("snap")};
  auto& region = world.region();
  catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    for (const auto& id : ids) add_snapshot(txn, region, id, volume, "");
    return true;
  });
  // Cut in one order, started in the other.
  ASSERT_TRUE(region.idle_volumes.open({.volume = volume, .epoch = 1, .keys = {}}));
  ASSERT_TRUE(region.idle_volumes.seal({{.volume = volume, .snapshot = ids[0]}}));
  ASSERT_TRUE(region.idle_volumes.find(volume)->write(0, Fixture::pattern(1 << 20, 2), blocks::Fua::no));
  ASSERT_TRUE(region.idle_volumes.seal({{.volume = volume, .snapshot = ids[1]}}));
  ASSERT_TRUE(region.idle_volumes.sealed({.volume = volume, .snapshot = ids[1]}));
  ASSERT_TRUE(region.idle_volumes.close(volume));
  catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    for (const auto& id : {ids[1], ids[0]}) {
      region.jobs.start(
          txn, {.region = region.name, .kind = "create-snapshot", .subject = volume, .arguments = {{"snapshot", id}}});
    }
    return true;
  });
  ASSERT_TRUE(world.settle());
  for (std::uint64_t i = 0; i < 2; ++i) {
    ASSERT_EQ(row(world, ids[i]).state, "completed") << row(world, ids[i]).state_message;
    EXPECT_EQ(world.read(world.volume(world.alice, ids[i]), 0, 1 << 20), Fixture::pattern(1 << 20, i + 1));
  }
}

TEST(Snapshots, a_daemon_killed_at_any_step_goes_on_after_its_restart) {
  for (const std::string step : {"cut", "durable", "upload"}) {
    for (const std::string when : {"before", "after"}) {
      SCOPED_TRACE(step + "/" + when);
      const KillOnce kill("create-snapshot/" + step + "/" + when);
      Fixture world(kill);
      const auto volume = world.volume(world.alice);
      const auto bytes = Fixture::pattern(2 << 20, 7);
      world.write(volume, 0, bytes);
      const auto id = create_snapshot(world.region(), world.alice, {.volume_id = volume}).id;
      EXPECT_FALSE(world.settle());
      EXPECT_TRUE(kill.killed());
      world.restart();
      ASSERT_TRUE(world.settle());
      ASSERT_EQ(row(world, id).state, "completed") << row(world, id).state_message;
      EXPECT_EQ(world.read(world.volume(world.alice, id), 0, 2 << 20), bytes);
      EXPECT_EQ(roots_of(world, volume), 1U);
      const auto cuts = blocks::waiting_cuts(world.region().files, world.region().volume_directory(volume));
      ASSERT_TRUE(cuts);
      EXPECT_TRUE(cuts->empty());
      EXPECT_TRUE(verify(world.region()).bad.empty());
      collect(world.region(), {.grace = 0});
      EXPECT_TRUE(verify(world.region()).bad.empty());
    }
  }
}

TEST(Snapshots, a_daemon_killed_between_the_commit_and_the_rebase_rebases_after_its_restart) {
  const KillOnce kill("create-snapshot/upload/before");
  Fixture world(kill);
  const auto volume = world.volume(world.alice);
  const auto bytes = Fixture::pattern(2 << 20, 7);
  world.write(volume, 0, bytes);
  const auto id = create_snapshot(world.region(), world.alice, {.volume_id = volume}).id;
  EXPECT_FALSE(world.settle());
  {
    // Whoever holds the volume keeps the upload from rebasing it, not from committing.
    NoDisks below;
    auto held =
        blocks::Volume::open(world.region().files, world.region().volume_directory(volume), below, {.epoch = 1});
    ASSERT_TRUE(held) << held.error().message();
    world.restart();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (row(world, id).state == "pending" && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_EQ(row(world, id).state, "completed");
    EXPECT_EQ(roots_of(world, volume), 2U);
    collect(world.region(), {.grace = 0});
    EXPECT_TRUE(verify(world.region()).bad.empty());
    world.runner().stop();
  }
  world.restart();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(roots_of(world, volume), 1U);
  EXPECT_TRUE(blocks::waiting_cuts(world.region().files, world.region().volume_directory(volume))->empty());
  collect(world.region(), {.grace = 0});
  EXPECT_EQ(world.read(volume, 0, 2 << 20), bytes);
  EXPECT_EQ(world.read(world.volume(world.alice, id), 0, 2 << 20), bytes);
}

TEST(Snapshots, a_cut_that_a_host_crash_lost_makes_the_snapshot_an_error) {
  Fixture world;
  const auto volume = world.volume(world.alice);
  auto& region = world.region();
  const auto id = base::new_id("snap");
  catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    auto snapshot = add_snapshot(txn, region, id, volume, "");
    snapshot.generation = 1;  // it was cut, the call was answered, and the files do not know it
    catalog::update(txn, snapshot);
    region.jobs.start(
        txn, {.region = region.name, .kind = "create-snapshot", .subject = volume, .arguments = {{"snapshot", id}}});
    return true;
  });
  region.jobs.wake();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(row(world, id).state, "error");
  EXPECT_NE(row(world, id).state_message.find("before the snapshot"), std::string::npos);
  // The volume goes on, and its next snapshot is whole.
  world.write(volume, 0, Fixture::pattern(1 << 20, 3));
  const auto next = create_snapshot(region, world.alice, {.volume_id = volume}).id;
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(row(world, next).state, "completed");
}

TEST(Snapshots, deleting_one_while_it_is_uploaded_gives_its_cut_up) {
  const KillOnce kill("create-snapshot/upload/before");
  Fixture world(kill);
  const auto volume = world.volume(world.alice);
  const auto bytes = Fixture::pattern(1 << 20, 5);
  world.write(volume, 0, bytes);
  const auto id = create_snapshot(world.region(), world.alice, {.volume_id = volume}).id;
  world.settle();
  ASSERT_TRUE(kill.killed());
  delete_snapshot(world.region(), world.alice, id);
  world.restart();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.read(volume, 0, 1 << 20), bytes);
  EXPECT_TRUE(blocks::waiting_cuts(world.region().files, world.region().volume_directory(volume))->empty());
  EXPECT_EQ(roots_of(world, id), 0U);
}

TEST(Snapshots, one_that_an_image_names_cannot_be_deleted) {
  Fixture world;
  const auto made = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  EXPECT_EQ(refusal_of([&] { delete_snapshot(world.region(), world.alice, made.snapshot_id); }),
            "InvalidSnapshot.InUse");
  deregister_image(world.region(), world.alice, made.image_id, WithSnapshots::no);
  delete_snapshot(world.region(), world.alice, made.snapshot_id);
  EXPECT_EQ(refusal_of([&] { delete_snapshot(world.region(), world.alice, made.snapshot_id); }),
            "InvalidSnapshot.NotFound");
}

TEST(Snapshots, another_account_neither_sees_nor_touches_them) {
  Fixture world;
  const auto volume = world.volume(world.alice);
  const auto id = create_snapshot(world.region(), world.alice, {.volume_id = volume}).id;
  ASSERT_TRUE(world.settle());
  auto& region = world.region();
  EXPECT_TRUE(describe_snapshots(region, world.bob, {}).empty());
  EXPECT_EQ(refusal_of([&] { describe_snapshots(region, world.bob, {.ids = {id}}); }), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal_of([&] { delete_snapshot(region, world.bob, id); }), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal_of([&] { create_snapshot(region, world.bob, {.volume_id = volume}); }), "InvalidVolume.NotFound");
  EXPECT_EQ(
      refusal_of([&] { create_volume(region, world.bob, {.volume = {.zone = "us-east-1a", .snapshot_id = id}}); }),
      "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal_of([&] { describe_snapshots(region, world.bob, {.ids = {"snap-0123456789abcdef0"}}); }),
            "InvalidSnapshot.NotFound");
  EXPECT_EQ(describe_snapshots(region, world.alice, {.owners = {"self"}}).size(), 1U);
  EXPECT_TRUE(describe_snapshots(region, world.alice, {.owners = {world.bob.account}}).empty());
  EXPECT_EQ(refusal_of([&] { describe_snapshots(region, world.alice, {.owners = {"me"}}); }),
            "InvalidUserID.Malformed");
}

}  // namespace
}  // namespace kiln::control
