#include "control/snapshot_sets.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "control/garbage.h"
#include "control/instances.h"
#include "control/launch.h"
#include "control/region_fixture.h"
#include "control/snapshot_copies.h"
#include "control/tags.h"
#include "control/usage.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;
constexpr std::size_t unit = 4096;

catalog::Snapshot row(Fixture& world, const std::string& id) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, "us-east-1", id).value(); });
}
std::size_t roots_of(Fixture& world, const std::string& owner) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::roots_of(txn, "us-east-1", owner).size(); });
}

// An instance with a root volume and one data volume.
struct Machine {
  std::string instance, root, data;
};
Machine machine(Fixture& world) {
  const auto image = world.import_disk("base", Fixture::pattern(1 << 20, 1)).image_id;
  Launch request{.image_id = image, .instance_type = "kiln.tiny"};
  request.devices.push_back({.device_name = "/dev/sdf", .size_gib = 1, .delete_on_termination = true});
  Machine made{.instance = launch(world.region(), world.alice, request).instance_ids.at(0), .root = {}, .data = {}};
  EXPECT_TRUE(world.settle());
  const auto described = describe_instances(world.region(), world.alice, {made.instance}).at(0);
  for (const auto& disk : described.disks) {
    (disk.attachment.device_name == "/dev/sdf" ? made.data : made.root) = disk.volume.id;
  }
  return made;
}
void stop(Fixture& world, const Machine& machine) {
  stop_instances(world.region(), world.alice, {machine.instance}, Force::no);
  EXPECT_TRUE(world.settle());
}

std::uint64_t number_at(Fixture& world, const std::string& volume) {
  const auto bytes = world.read(volume, 0, unit);
  std::uint64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}
base::Bytes page_of(std::uint64_t number) {
  base::Bytes bytes(unit);
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

TEST(SnapshotSets, all_volumes_are_as_they_were_at_one_moment) {
  Fixture world;
  const auto guest = machine(world);
  for (const auto& volume : {guest.root, guest.data}) world.write(volume, 0, page_of(0));
  // Each number is on the one volume before it is written to the other.
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> written = 0;
  std::thread writer([&] {
    for (std::uint64_t number = 1; !done; written = number++) {
      world.write(guest.root, 0, page_of(number));
      world.write(guest.data, 0, page_of(number));
    }
  });
  std::vector<std::vector<SnapshotDetails>> sets;
  for (int i = 0; i < 4; ++i) {
    for (const auto before = written.load(); written < before + 5;) std::this_thread::yield();
    sets.push_back(create_snapshots(world.region(), world.alice, {.instance_id = guest.instance}));
  }
  done = true;
  writer.join();
  ASSERT_TRUE(world.settle());
  for (const auto& set : sets) {
    ASSERT_EQ(set.size(), 2U);
    EXPECT_EQ(set[0].snapshot.started, set[1].snapshot.started);
    std::map<std::string, std::uint64_t> numbers;
    for (const auto& member : set) {
      ASSERT_EQ(row(world, member.snapshot.id).state, "completed") << row(world, member.snapshot.id).state_message;
      numbers[member.snapshot.volume_id] = number_at(world, world.volume(world.alice, member.snapshot.id));
    }
    EXPECT_GE(numbers[guest.root], numbers[guest.data]);
    EXPECT_LE(numbers[guest.root], numbers[guest.data] + 1);
  }
}

TEST(SnapshotSets, volumes_are_left_out_and_tags_copied_as_asked) {
  Fixture world;
  const auto guest = machine(world);
  stop(world, guest);
  auto& region = world.region();
  create_tags(region, world.alice.account, {guest.data}, {{"disk", "data"}, {"team", "a"}});
  const auto only_data = create_snapshots(region, world.alice,
                                          {.instance_id = guest.instance,
                                           .exclude_boot_volume = true,
                                           .description = "nightly",
                                           .copy_tags = CopyTags::from_volume,
                                           .tags = {{"team", "b"}}});
  ASSERT_EQ(only_data.size(), 1U);
  EXPECT_EQ(only_data[0].snapshot.volume_id, guest.data);
  EXPECT_EQ(only_data[0].snapshot.description, "nightly");
  std::map<std::string, std::string> tags;
  for (const auto& tag : only_data[0].tags) tags[tag.key] = tag.value;
  EXPECT_EQ(tags, (std::map<std::string, std::string>{{"disk", "data"}, {"team", "b"}}));
  const auto only_boot =
      create_snapshots(region, world.alice, {.instance_id = guest.instance, .exclude_data_volume_ids = {guest.data}});
  ASSERT_EQ(only_boot.size(), 1U);
  EXPECT_EQ(only_boot[0].snapshot.volume_id, guest.root);
  const auto refusal = [&](const NewSnapshotSet& what, const Principal& caller) {
    return refusal_of([&] { create_snapshots(region, caller, what); });
  };
  EXPECT_EQ(refusal({.instance_id = guest.instance, .exclude_data_volume_ids = {guest.root}}, world.alice),
            "InvalidParameterValue");
  EXPECT_EQ(
      refusal({.instance_id = guest.instance, .exclude_boot_volume = true, .exclude_data_volume_ids = {guest.data}},
              world.alice),
      "InvalidParameterCombination");
  EXPECT_EQ(refusal({.instance_id = guest.instance}, world.bob), "InvalidInstanceID.NotFound");
  EXPECT_EQ(refusal({.instance_id = "i-1"}, world.alice), "InvalidInstanceID.Malformed");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(describe_snapshots(region, world.alice, {}).size(), 3U);  // with the image's
}

TEST(SnapshotSets, a_daemon_killed_at_any_step_completes_all_of_a_set_after_its_restart) {
  for (const std::string step : {"cut", "durable", "upload"}) {
    for (const std::string when : {"before", "after"}) {
      SCOPED_TRACE(step + "/" + when);
      Fixture world;
      const auto guest = machine(world);
      world.write(guest.root, 0, page_of(11));
      world.write(guest.data, 0, page_of(12));
      const KillOnce kill("create-snapshot/" + step + "/" + when);
      world.restart(kill);
      const auto set = create_snapshots(world.region(), world.alice, {.instance_id = guest.instance});
      EXPECT_FALSE(world.settle());
      EXPECT_TRUE(kill.killed());
      for (const auto& volume : {guest.root, guest.data}) world.write(volume, 0, page_of(99));
      world.restart();
      ASSERT_TRUE(world.settle());
      for (const auto& member : set) {
        ASSERT_EQ(row(world, member.snapshot.id).state, "completed") << row(world, member.snapshot.id).state_message;
        EXPECT_EQ(number_at(world, world.volume(world.alice, member.snapshot.id)),
                  member.snapshot.volume_id == guest.root ? 11U : 12U);
      }
      collect(world.region(), {.grace = 0});
      EXPECT_TRUE(verify(world.region()).bad.empty());
    }
  }
}

// What create_snapshots leaves when the daemon dies in it: rows and jobs, and no cut that the rows know of.
TEST(SnapshotSets, one_that_was_never_cut_fails_as_a_whole) {
  Fixture world;
  const auto guest = machine(world);
  auto& region = world.region();
  const std::vector<std::string> ids{base::new_id("snap"), base::new_id("snap")};
  catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    for (const bool is_root : {true, false}) {
      const auto& volume = is_root ? guest.root : guest.data;
      auto snapshot = add_snapshot(txn, region, ids[is_root ? 0 : 1], volume, "");
      snapshot.started -= base::seconds(60);
      catalog::update(txn, snapshot);
      region.jobs.start(txn, {.region = region.name,
                              .kind = "create-snapshot",
                              .subject = volume,
                              .arguments = {{"snapshot", snapshot.id}, {"set", ids[0] + "," + ids[1]}}});
    }
    return true;
  });
  ASSERT_TRUE(world.settle());
  for (const auto& id : ids) EXPECT_EQ(row(world, id).state, "error");
  // The volumes go on.
  const auto next = create_snapshots(region, world.alice, {.instance_id = guest.instance});
  ASSERT_TRUE(world.settle());
  for (const auto& member : next) EXPECT_EQ(row(world, member.snapshot.id).state, "completed");
}

TEST(SnapshotSets, a_volume_has_five_pending_snapshots_at_most) {
  const KillOnce kill("create-snapshot/durable/before");
  Fixture world(kill);
  const auto guest = machine(world);
  auto& region = world.region();
  for (int i = 0; i < 5; ++i) create_snapshot(region, world.alice, {.volume_id = guest.data});
  EXPECT_FALSE(world.settle());
  EXPECT_EQ(refusal_of([&] { create_snapshot(region, world.alice, {.volume_id = guest.data}); }),
            "ConcurrentSnapshotLimitExceeded");
  EXPECT_EQ(refusal_of([&] { create_snapshots(region, world.alice, {.instance_id = guest.instance}); }),
            "ConcurrentSnapshotLimitExceeded");
  EXPECT_EQ(describe_snapshots(region, world.alice, {}).size(), 6U);
  world.restart();
  ASSERT_TRUE(world.settle());
  const auto set = create_snapshots(world.region(), world.alice, {.instance_id = guest.instance});
  ASSERT_TRUE(world.settle());
  for (const auto& member : set) EXPECT_EQ(row(world, member.snapshot.id).state, "completed");
}

// --- copies

TEST(SnapshotCopies, a_copy_is_the_same_disk_and_outlives_its_source) {
  Fixture world;
  const auto volume = world.volume(world.alice);
  const auto bytes = Fixture::pattern(2 << 20, 5);
  world.write(volume, 0, bytes);
  const auto source = create_snapshot(world.region(), world.alice, {.volume_id = volume}).id;
  ASSERT_TRUE(world.settle());
  auto& region = world.region();
  const auto copy = copy_snapshot(region, world.alice,
                                  {.source_region = "us-east-1", .source_snapshot_id = source, .tags = {{"a", "1"}}});
  const auto made = row(world, copy.snapshot.id);
  EXPECT_EQ(made.state, "completed");
  EXPECT_EQ(made.volume_id, "vol-ffffffff");
  EXPECT_EQ(made.description, "[Copied " + source + " from us-east-1]");
  EXPECT_EQ(made.full_bytes, 2 << 20);
  EXPECT_EQ(copy.tags.at(0).value, "1");
  EXPECT_EQ(roots_of(world, copy.snapshot.id), 1U);
  delete_snapshot(region, world.alice, source);
  collect(region, {.grace = 0, .force = true});
  EXPECT_EQ(world.read(world.volume(world.alice, copy.snapshot.id), 0, 2 << 20), bytes);
}

TEST(SnapshotCopies, what_cannot_be_copied_is_refused) {
  const KillOnce kill("create-snapshot/durable/before");
  Fixture world(kill);
  auto& region = world.region();
  const auto source = world.import_disk("base", Fixture::pattern(1 << 20, 1)).snapshot_id;
  const auto pending = create_snapshot(region, world.alice, {.volume_id = world.volume(world.alice)}).id;
  const auto refusal = [&](const Principal& caller, const std::string& from, const std::string& id) {
    return refusal_of([&] { copy_snapshot(region, caller, {.source_region = from, .source_snapshot_id = id}); });
  };
  EXPECT_EQ(refusal(world.bob, "us-east-1", source), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal(world.alice, "us-east-1", "snap-0123456789abcdef0"), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal(world.alice, "us-east-1", "vol-1"), "InvalidParameterValue");
  EXPECT_EQ(refusal(world.alice, "eu-west-1", source), "InvalidRegion");
  EXPECT_EQ(refusal(world.alice, "us-east-1", pending), "IncorrectState");
  EXPECT_EQ(describe_snapshots(region, world.alice, {}).size(), 2U);
}

}  // namespace
}  // namespace kiln::control
