#include "control/snapshot_tiers.h"

#include <gtest/gtest.h>

#include <fstream>

#include "control/garbage.h"
#include "control/image_lifecycle.h"
#include "control/kms_keys.h"
#include "control/recycle_bin.h"
#include "control/recycle_rules.h"
#include "control/region_fixture.h"
#include "control/scrub.h"
#include "control/snapshot_locks.h"
#include "control/snapshot_sharing.h"
#include "control/usage.h"
#include "control/volumes.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;
using catalog::SnapshotTier;

constexpr base::Micros day = base::seconds(86'400);
constexpr std::size_t disk_bytes = 3 << 20;

class Tiers : public testing::Test {
 protected:
  Tiers() : Tiers({}) {}
  explicit Tiers(Fixture::KillPoint kill_point) : world_(std::move(kill_point)) {
    snapshot_ = world_.import_disk("base", bytes_).snapshot_id;
    deregister_image(region(), world_.alice,
                     describe_images(region(), world_.alice, {.owners = {"self"}}).at(0).image.id, WithSnapshots::no);
  }

  Region& region() { return world_.region(); }
  SnapshotTier tier() {
    return catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      return catalog::find_snapshot_tier(txn, region().name, snapshot_).value_or(SnapshotTier{});
    });
  }
  std::string archive() {
    return refusal_of([&] { archive_snapshot(region(), world_.alice, snapshot_); });
  }
  std::string restore(const TierRestore& what) {
    return refusal_of([&] { restore_archived(region(), world_.alice, snapshot_, what); });
  }
  void archived() {
    ASSERT_EQ(archive(), "no error");
    ASSERT_TRUE(world_.settle());
    ASSERT_EQ(tier().operation, "archival-completed") << tier().detail;
  }
  bool has_file() { return *region().files.exists(archive_path(region(), snapshot_)); }
  std::size_t files() {
    const auto names = region().files.list(region().directory / "archive");
    return names ? names->size() : 0;
  }
  std::string volume_from() {
    return refusal_of(
        [&] { create_volume(region(), world_.alice, {.volume = {.zone = "us-east-1a", .snapshot_id = snapshot_}}); });
  }
  blocks::DiskId disk() {
    return catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      return snapshot_disk(txn, region(), snapshot_of(txn, region(), world_.alice.account, snapshot_));
    });
  }
  void collect_all() { collect(region(), {.grace = 0, .force = true}); }

  const base::Bytes bytes_ = Fixture::pattern(disk_bytes, 11);
  Fixture world_;
  std::string snapshot_;
};

TEST_F(Tiers, an_archived_snapshot_is_in_its_archive_alone_and_comes_back_as_the_same_disk) {
  const auto before = disk();
  archived();
  EXPECT_EQ(tier().tier, "archive");
  EXPECT_EQ(tier().progress, 100);
  EXPECT_EQ(static_cast<std::uint64_t>(tier().archive_bytes),
            std::filesystem::file_size(archive_path(region(), snapshot_)));
  collect_all();
  const auto used = usage(region());
  EXPECT_EQ(used.store_bytes, 0U) << "what only it used is freed";
  EXPECT_EQ(used.archive_bytes, static_cast<std::uint64_t>(tier().archive_bytes));
  ASSERT_EQ(used.snapshots.size(), 1U);
  EXPECT_EQ(used.snapshots[0].bytes.exclusive_bytes, used.archive_bytes);
  EXPECT_EQ(used.snapshots[0].bytes.data_bytes, disk_bytes);
  EXPECT_EQ(volume_from(), "IncorrectState");

  ASSERT_EQ(restore({.permanent = true}), "no error");
  EXPECT_EQ(tier().operation, "permanent-restore-in-progress");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(tier().operation, "permanent-restore-completed") << tier().detail;
  EXPECT_EQ(tier().tier, "standard");
  EXPECT_EQ(disk(), before);
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(world_.read(world_.volume(world_.alice, snapshot_), 0, disk_bytes), bytes_);
  archived();  // and again
}

TEST_F(Tiers, a_temporary_restore_ends_and_can_be_moved_or_made_permanent) {
  archived();
  ASSERT_EQ(restore({.days = 2}), "no error");
  EXPECT_EQ(restore({.days = 2}), "IncorrectState") << "it is under way";
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(tier().operation, "temporary-restore-completed");
  EXPECT_EQ(tier().tier, "standard");
  EXPECT_TRUE(has_file());
  EXPECT_EQ(volume_from(), "no error");
  EXPECT_EQ(archive(), "IncorrectState");
  ASSERT_EQ(restore({.days = 5}), "no error");
  world_.clock().advance(4 * day);
  end_temporary_restores(region());
  EXPECT_EQ(tier().tier, "standard");
  world_.clock().advance(day + 1);
  world_.restart();
  end_temporary_restores(region());
  EXPECT_EQ(tier().tier, "archive");
  EXPECT_EQ(tier().operation, "archival-completed");
  EXPECT_FALSE(tier().restore_expires);
  EXPECT_EQ(volume_from(), "IncorrectState");

  ASSERT_EQ(restore({.days = 1}), "no error");
  ASSERT_TRUE(world_.settle());
  ASSERT_EQ(restore({.permanent = true}), "no error");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(tier().operation, "permanent-restore-completed");
  EXPECT_EQ(files(), 0U);
  world_.clock().advance(2 * day);
  end_temporary_restores(region());
  EXPECT_EQ(tier().tier, "standard");
}

TEST_F(Tiers, what_cannot_be_archived_or_restored_is_refused) {
  EXPECT_EQ(refusal_of([&] { archive_snapshot(region(), world_.bob, snapshot_); }), "InvalidSnapshot.NotFound");
  EXPECT_EQ(restore({.permanent = true}), "IncorrectState");
  EXPECT_EQ(restore({}), "MissingParameter");
  EXPECT_EQ(restore({.days = 1, .permanent = true}), "InvalidParameterCombination");
  EXPECT_EQ(restore({.days = 0}), "InvalidParameterValue");
  EXPECT_EQ(restore({.days = 181}), "InvalidParameterValue");
  const auto image = register_image(region(), world_.alice,
                                    {.name = "uses it",
                                     .architecture = "x86_64",
                                     .root_device_name = "/dev/sda1",
                                     .devices = {{.device_name = "/dev/sda1", .snapshot_id = snapshot_}}})
                         .id;
  EXPECT_EQ(archive(), "InvalidSnapshot.InUse");
  disable_image(region(), world_.alice, image);
  archived();
  EXPECT_EQ(archive(), "IncorrectState");
  EXPECT_EQ(refusal_of([&] { enable_image(region(), world_.alice, image); }), "IncorrectState");
  EXPECT_EQ(refusal_of([&] {
              share_snapshot(region(), world_.alice, snapshot_, {.add = {{"account", "333333333333"}}});
            }),
            "IncorrectState");
  EXPECT_EQ(refusal_of([&] {
              copy_snapshot(region(), world_.alice, {.source_region = "us-east-1", .source_snapshot_id = snapshot_});
            }),
            "IncorrectState");
  ASSERT_EQ(restore({.days = 1}), "no error");
  ASSERT_TRUE(world_.settle());
  enable_image(region(), world_.alice, image);
  world_.clock().advance(2 * day);
  end_temporary_restores(region());
  EXPECT_EQ(tier().tier, "standard") << "an image that can be launched needs it";
  disable_image(region(), world_.alice, image);
  end_temporary_restores(region());
  EXPECT_EQ(tier().tier, "archive");
}

TEST_F(Tiers, whom_it_is_shared_with_loses_it_while_it_is_archived) {
  share_snapshot(region(), world_.alice, snapshot_, {.add = {{"account", world_.bob.account}}});
  EXPECT_EQ(describe_snapshots(region(), world_.bob, {.ids = {snapshot_}}).size(), 1U);
  archived();
  EXPECT_EQ(refusal_of([&] { describe_snapshots(region(), world_.bob, {.ids = {snapshot_}}); }),
            "InvalidSnapshot.NotFound");
  ASSERT_EQ(restore({.permanent = true}), "no error");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(describe_snapshots(region(), world_.bob, {.ids = {snapshot_}}).size(), 1U);
}

TEST_F(Tiers, a_deleted_one_takes_its_archive_along_unless_the_recycle_bin_keeps_it) {
  create_rule(region(), world_.alice.account, {.resource_type = "EBS_SNAPSHOT", .retention_days = 1});
  archived();
  delete_snapshot(region(), world_.alice, snapshot_);
  ASSERT_TRUE(world_.settle());
  EXPECT_TRUE(has_file());
  collect_all();
  EXPECT_TRUE(has_file());
  restore_snapshot(region(), world_.alice, snapshot_);
  ASSERT_EQ(restore({.days = 1}), "no error");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(tier().operation, "temporary-restore-completed");
  delete_snapshot(region(), world_.alice, snapshot_);
  world_.clock().advance(2 * day);
  empty_recycle_bin(region());
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(files(), 0U);
}

TEST_F(Tiers, an_encrypted_snapshot_is_archived_with_its_key_and_restored_with_it_alone) {
  const auto key = create_key(region(), world_.alice, {}).arn();
  const auto copy = copy_snapshot(region(), world_.alice,
                                  {.source_region = "us-east-1",
                                   .source_snapshot_id = snapshot_,
                                   .encryption = {.encrypted = true, .key = key}})
                        .snapshot.id;
  ASSERT_TRUE(world_.settle());
  snapshot_ = copy;
  const auto before = disk();
  archived();
  const auto stored = region().files.read_all(archive_path(region(), snapshot_), 64 << 20);
  ASSERT_TRUE(stored);
  const auto plain = base::as_text(std::span(bytes_).first(64));
  EXPECT_EQ(stored->find(plain), std::string::npos);
  EXPECT_TRUE(verify(region()).bad.empty());
  enable_key(region(), world_.alice, key, false);
  EXPECT_TRUE(verify(region()).bad.empty()) << "checksums need no key";
  ASSERT_EQ(restore({.permanent = true}), "no error");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(tier().operation, "permanent-restore-failed");
  EXPECT_EQ(tier().detail, "Given key ID is not accessible");
  EXPECT_TRUE(has_file());
  enable_key(region(), world_.alice, key, true);
  ASSERT_EQ(restore({.permanent = true}), "no error");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(disk(), before);
}

TEST_F(Tiers, a_damaged_archive_is_found_by_verify_and_scrub_and_is_not_restored) {
  archived();
  EXPECT_TRUE(verify(region()).bad.empty());
  EXPECT_TRUE(scrub_now(region()).bad_archives.empty());
  {
    std::fstream file(archive_path(region(), snapshot_), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5000);
    file.put('\x7f');
    file.put('\x11');
  }
  const auto verified = verify(region());
  ASSERT_EQ(verified.bad.size(), 1U);
  EXPECT_EQ(verified.bad[0].root.owner, snapshot_);
  EXPECT_EQ(usage(region()).damaged_archives.size(), 1U);
  EXPECT_EQ(scrub_now(region()).bad_archives.size(), 1U);
  Scrubber scrubber(world_.regions(), {.period = 1});
  while (scrubber.step(region()).read) {
  }
  EXPECT_NE(scrub_state(region()).finished, 0);
  ASSERT_EQ(restore({.permanent = true}), "no error");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(tier().operation, "permanent-restore-failed");
  EXPECT_NE(tier().detail.find("frame 0 at byte 152"), std::string::npos) << tier().detail;
}

TEST_F(Tiers, archives_that_no_row_names_go_with_the_garbage) {
  archived();
  const auto stray = archive_path(region(), "snap-0123456789abcdef0");
  std::filesystem::copy_file(archive_path(region(), snapshot_), stray);
  const auto collected = collect(region(), {.grace = 0, .force = true});
  EXPECT_EQ(collected.deleted_archives, 1U);
  EXPECT_EQ(collected.deleted_archive_bytes, static_cast<std::uint64_t>(tier().archive_bytes));
  EXPECT_FALSE(std::filesystem::exists(stray));
  EXPECT_TRUE(has_file());
}

// At every point the snapshot is whole: it is standard, or archived with its file, and nothing else is left.
class KilledTiers : public testing::TestWithParam<std::string> {};

TEST_P(KilledTiers, a_daemon_killed_at_any_step_ends_with_the_snapshot_in_one_tier_or_the_other) {
  const auto point = GetParam();
  const KillOnce kill(point);
  Fixture world(kill);
  auto region = [&]() -> Region& { return world.region(); };
  const auto bytes = Fixture::pattern(disk_bytes, 11);
  const auto made = world.import_disk("base", bytes);
  disable_image(region(), world.alice, made.image_id);
  const auto settle = [&] {
    if (!world.settle()) world.restart();
    ASSERT_TRUE(world.settle());
  };
  const auto tier = [&] {
    return catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      return catalog::find_snapshot_tier(txn, region().name, made.snapshot_id).value_or(SnapshotTier{});
    });
  };
  archive_snapshot(region(), world.alice, made.snapshot_id);
  settle();
  ASSERT_EQ(tier().operation, "archival-completed") << tier().detail;
  collect(region(), {.grace = 0, .force = true});
  EXPECT_EQ(usage(region()).store_bytes, 0U);
  restore_archived(region(), world.alice, made.snapshot_id, {.permanent = true});
  settle();
  ASSERT_EQ(tier().operation, "permanent-restore-completed") << tier().detail;
  EXPECT_TRUE(region().files.list(region().directory / "archive")->empty());
  EXPECT_TRUE(verify(region()).bad.empty());
  EXPECT_EQ(world.read(world.volume(world.alice, made.snapshot_id), 0, disk_bytes), bytes);
}
INSTANTIATE_TEST_SUITE_P(AtEachStep, KilledTiers,
                         testing::Values("archive-snapshot/write/before", "archive-snapshot/write/after",
                                         "archive-snapshot/let go/before", "archive-snapshot/let go/after",
                                         "restore-snapshot/bring/before", "restore-snapshot/bring/after",
                                         "remove-archive/remove/before", "remove-archive/remove/after"));

}  // namespace
}  // namespace kiln::control
