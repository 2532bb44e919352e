#include "control/recycle_bin.h"

#include <gtest/gtest.h>

#include "blocks/usage.h"
#include "control/garbage.h"
#include "control/image_lifecycle.h"
#include "control/recycle_rules.h"
#include "control/region_fixture.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_locks.h"
#include "control/tags.h"
#include "control/usage.h"
#include "control/volumes.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

constexpr base::Micros day = base::seconds(86'400);

class RecycleBin : public testing::Test {
 protected:
  RecycleBin() { base_ = world_.import_disk("base", Fixture::pattern(1 << 20, 1)); }

  std::string rule(const std::string& type, std::int64_t days, const std::vector<ResourceTag>& include = {},
                   const std::vector<ResourceTag>& exclude = {}) {
    return create_rule(region(), account(),
                       {.resource_type = type, .retention_days = days, .include = include, .exclude = exclude})
        .rule.id;
  }
  // A copy of the snapshot, with tags, deleted again: how many days it is kept; 0: not at all.
  std::int64_t kept(const std::map<std::string, std::string>& tags = {}) {
    const auto id = copy(tags);
    delete_snapshot(region(), world_.alice, id);
    for (const auto& each : snapshots_in_bin(region(), world_.alice, {})) {
      if (each.row.id == id) return (each.exits - each.entered) / day;
    }
    return 0;
  }
  std::string copy(const std::map<std::string, std::string>& tags = {}) {
    return copy_snapshot(region(), world_.alice,
                         {.source_region = "us-east-1", .source_snapshot_id = base_.snapshot_id, .tags = tags})
        .snapshot.id;
  }
  void delete_snapshot_of_base() { deregister_image(region(), world_.alice, base_.image_id, WithSnapshots::yes); }
  const std::string& account() { return world_.alice.account; }
  Region& region() { return world_.region(); }

  Fixture world_;
  Imported base_;
};

TEST_F(RecycleBin, a_snapshot_is_kept_by_the_longest_rule_that_fits) {
  EXPECT_EQ(kept(), 0);
  rule("EC2_IMAGE", 5);
  EXPECT_EQ(kept(), 0);
  rule("EBS_SNAPSHOT", 3, {}, {{"temporary", ""}});
  rule("EBS_SNAPSHOT", 7, {{"keep", "long"}, {"legal", ""}});
  EXPECT_EQ(kept(), 3);
  EXPECT_EQ(kept({{"temporary", "yes"}}), 0);
  EXPECT_EQ(kept({{"keep", "short"}}), 3);
  EXPECT_EQ(kept({{"keep", "long"}}), 7);
  EXPECT_EQ(kept({{"temporary", "yes"}, {"legal", "hold"}}), 7);
}

TEST_F(RecycleBin, a_restored_image_is_what_it_was_and_needs_its_snapshots_and_its_name) {
  rule("EC2_IMAGE", 1);
  rule("EBS_SNAPSHOT", 1);
  region().catalog.run_in_txn([&](catalog::Txn& txn) {
    add_tags(txn, region(), account(), base_.image_id, {{"a", "1"}});
  });
  change_image(region(), world_.alice, base_.image_id, {.shares = {.add = {{"account", world_.bob.account}}}});
  const auto deleted = deregister_image(region(), world_.alice, base_.image_id, WithSnapshots::yes);
  EXPECT_EQ(deleted.at(0).code, "success");
  EXPECT_TRUE(describe_images(region(), world_.alice, {}).empty());
  EXPECT_TRUE(describe_images(region(), world_.bob, {}).empty());
  EXPECT_TRUE(describe_snapshots(region(), world_.alice, {}).empty());
  EXPECT_TRUE(describe_images(region(), world_.alice, {.ids = {base_.image_id}}).empty());
  EXPECT_EQ(refusal_of([&] { delete_snapshot(region(), world_.alice, base_.snapshot_id); }),
            "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal_of([&] {
              create_tags(region(), account(), {base_.image_id}, {{"b", "2"}});
            }),
            "InvalidAMIID.NotFound");
  EXPECT_EQ(refusal_of([&] { delete_tags(region(), account(), {base_.snapshot_id}, {}); }), "InvalidSnapshot.NotFound");
  EXPECT_EQ(images_in_bin(region(), world_.alice, {}).at(0).row.id, base_.image_id);
  EXPECT_TRUE(images_in_bin(region(), world_.bob, {}).empty());
  EXPECT_EQ(refusal_of([&] { restore_image(region(), world_.bob, base_.image_id); }), "InvalidAMIID.NotFound");
  EXPECT_EQ(refusal_of([&] { restore_image(region(), world_.alice, base_.image_id); }), "InvalidSnapshot.NotFound");
  collect(region(), {.grace = 0});
  EXPECT_EQ(restore_snapshot(region(), world_.alice, base_.snapshot_id).state, "completed");
  const auto other = world_.import_disk("base", Fixture::pattern(1 << 20, 2));
  EXPECT_EQ(refusal_of([&] { restore_image(region(), world_.alice, base_.image_id); }), "InvalidAMIName.Duplicate");
  deregister_image(region(), world_.alice, other.image_id, WithSnapshots::no);
  restore_image(region(), world_.alice, base_.image_id);
  const auto image = describe_images(region(), world_.bob, {.ids = {base_.image_id}}).at(0);
  EXPECT_EQ(image.image.state, "available");
  const auto own = describe_images(region(), world_.alice, {.ids = {base_.image_id}}).at(0);
  ASSERT_EQ(own.tags.size(), 1U);
  EXPECT_EQ(own.tags[0].key, "a");
  EXPECT_EQ(refusal_of([&] { restore_image(region(), world_.alice, base_.image_id); }), "InvalidAMIID.NotFound");
}

TEST_F(RecycleBin, what_has_been_there_for_its_time_goes_for_good) {
  rule("EC2_IMAGE", 2);
  rule("EBS_SNAPSHOT", 1);
  deregister_image(region(), world_.alice, base_.image_id, WithSnapshots::yes);
  empty_recycle_bin(region());
  collect(region(), {.grace = 0});
  EXPECT_EQ(snapshots_in_bin(region(), world_.alice, {}).size(), 1U);
  EXPECT_GT(usage(region()).store_bytes, 0U);
  world_.clock().advance(day + base::seconds(1));
  empty_recycle_bin(region());
  EXPECT_TRUE(snapshots_in_bin(region(), world_.alice, {}).empty());
  EXPECT_EQ(images_in_bin(region(), world_.alice, {}).size(), 1U);
  EXPECT_EQ(refusal_of([&] { restore_snapshot(region(), world_.alice, base_.snapshot_id); }),
            "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal_of([&] { restore_image(region(), world_.alice, base_.image_id); }), "InvalidSnapshot.NotFound");
  collect(region(), {.grace = 0});
  EXPECT_EQ(usage(region()).store_bytes, 0U);
  world_.clock().advance(day);
  world_.restart();
  empty_recycle_bin(region());
  EXPECT_TRUE(images_in_bin(region(), world_.alice, {}).empty());
}

TEST_F(RecycleBin, a_deleted_volume_comes_back_with_its_bytes_and_goes_for_good_when_its_time_is_over) {
  rule("EBS_VOLUME", 7, {{"keep", ""}});
  const auto bytes = Fixture::pattern(1 << 20, 5);
  const auto make = [&](const std::map<std::string, std::string>& tags) {
    const auto id = world_.volume(world_.alice, base_.snapshot_id);
    region().catalog.run_in_txn([&](catalog::Txn& txn) { add_tags(txn, region(), account(), id, tags); });
    return id;
  };
  const auto other = make({});
  delete_volume(region(), world_.alice, other);
  EXPECT_TRUE(volumes_in_bin(region(), world_.alice, {}).empty());
  const auto id = make({{"keep", "me"}});
  world_.write(id, 0, bytes);
  delete_volume(region(), world_.alice, id);
  delete_snapshot_of_base();
  collect(region(), {.grace = 0});
  EXPECT_TRUE(describe_volumes(region(), world_.alice, {}).empty());
  const auto unknown = "InvalidVolume.NotFound";
  EXPECT_EQ(refusal_of([&] { describe_volumes(region(), world_.alice, {id}); }), unknown);
  EXPECT_EQ(refusal_of([&] { delete_volume(region(), world_.alice, id); }), unknown);
  EXPECT_EQ(refusal_of([&] { create_snapshot(region(), world_.alice, {.volume_id = id}); }), unknown);
  EXPECT_EQ(refusal_of([&] { create_tags(region(), account(), {id}, {{"b", "2"}}); }), unknown);
  EXPECT_EQ(refusal_of([&] { restore_volume(region(), world_.bob, id); }), unknown);
  EXPECT_EQ(refusal_of([&] { volumes_in_bin(region(), world_.bob, {id}); }), unknown);
  EXPECT_EQ(refusal_of([&] { restore_volume(region(), world_.alice, "x"); }), "InvalidParameterValue");
  const auto kept = volumes_in_bin(region(), world_.alice, {id}).at(0);
  EXPECT_EQ(kept.exits - kept.entered, 7 * day);

  world_.restart();
  restore_volume(region(), world_.alice, id);
  const auto details = describe_volumes(region(), world_.alice, {id}).at(0);
  EXPECT_EQ(details.volume.state, "available");
  ASSERT_EQ(details.tags.size(), 1U);
  EXPECT_EQ(world_.read(id, 0, 1 << 20), bytes);
  EXPECT_EQ(refusal_of([&] { restore_volume(region(), world_.alice, id); }), unknown);

  delete_volume(region(), world_.alice, id);
  world_.clock().advance(7 * day - base::seconds(60));
  empty_recycle_bin(region());
  EXPECT_EQ(volumes_in_bin(region(), world_.alice, {}).size(), 1U);
  world_.clock().advance(base::seconds(60));
  empty_recycle_bin(region());
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(refusal_of([&] { restore_volume(region(), world_.alice, id); }), unknown);
  EXPECT_FALSE(*region().files.exists(region().volume_directory(id)));
  collect(region(), {.grace = 0});
  EXPECT_EQ(usage(region()).store_bytes, 0U);
}

TEST_F(RecycleBin, a_locked_rule_stays_until_its_delay_is_over) {
  const auto id = rule("EBS_SNAPSHOT", 1);
  const auto refused = [&](const RuleChanges& changes) {
    return refusal_of([&] { change_rule(region(), account(), id, changes); });
  };
  EXPECT_EQ(rule_of(region(), account(), id).lock_state(region().clock.now()), "unlocked");
  EXPECT_EQ(refusal_of([&] { lock_rule(region(), account(), id, 6); }), "ValidationException");
  EXPECT_EQ(refusal_of([&] { unlock_rule(region(), account(), id); }), "ConflictException");
  lock_rule(region(), account(), id, 7);
  EXPECT_EQ(refused({.retention_days = 2}), "ConflictException");
  EXPECT_EQ(refusal_of([&] { delete_rule(region(), account(), id); }), "ConflictException");
  unlock_rule(region(), account(), id);
  world_.clock().advance(6 * day);
  EXPECT_EQ(rule_of(region(), account(), id).lock_state(region().clock.now()), "pending_unlock");
  EXPECT_EQ(refused({.retention_days = 2}), "ConflictException");
  world_.clock().advance(day + 1);
  EXPECT_EQ(refused({.retention_days = 2}), "no error");
  EXPECT_EQ(refusal_of([&] { rule_of(region(), world_.bob.account, id); }), "ResourceNotFoundException");
  delete_rule(region(), account(), id);
  EXPECT_EQ(refusal_of([&] { rule_of(region(), account(), id); }), "ResourceNotFoundException");
  EXPECT_EQ(refusal_of([&] { rule("EBS_SNAPSHOT", 0); }), "ValidationException");
  EXPECT_EQ(refusal_of([&] { rule("EBS_VOLUME", 8); }), "ValidationException");
  EXPECT_EQ(refusal_of([&] { rule("EBS_LEMON", 1); }), "ValidationException");
  EXPECT_EQ(refusal_of([&] { rule("EC2_IMAGE", 1, {{"a", "b"}}, {{"c", "d"}}); }), "ValidationException");
}

TEST_F(RecycleBin, a_locked_snapshot_is_not_deleted_by_anybody) {
  const auto locked = [&](const NewLock& what) {
    return refusal_of([&] { lock_snapshot(region(), world_.alice, base_.snapshot_id, what); });
  };
  const auto state = [&] { return describe_locks(region(), world_.alice, {}).at(0).state; };
  const auto unlock = [&] { return refusal_of([&] { unlock_snapshot(region(), world_.alice, base_.snapshot_id); }); };
  EXPECT_EQ(locked({.mode = "governance", .duration_days = 1}), "no error");
  const auto deleted = deregister_image(region(), world_.alice, base_.image_id, WithSnapshots::yes);
  EXPECT_EQ(deleted.at(0).code, "client-error");
  const auto remove = [&] { return refusal_of([&] { delete_snapshot(region(), world_.alice, base_.snapshot_id); }); };
  EXPECT_EQ(remove(), "OperationNotPermitted");
  EXPECT_EQ(unlock(), "no error");
  EXPECT_EQ(unlock(), "IncorrectState");

  EXPECT_EQ(locked({.mode = "compliance", .cool_off_hours = 1, .duration_days = 2}), "no error");
  EXPECT_EQ(state(), "compliance-cooloff");
  EXPECT_EQ(locked({.mode = "compliance", .duration_days = 1}), "no error");
  world_.clock().advance(base::seconds(3601));
  EXPECT_EQ(state(), "compliance");
  EXPECT_EQ(unlock(), "OperationNotPermitted");
  EXPECT_EQ(locked({.mode = "governance", .duration_days = 9}), "OperationNotPermitted");
  EXPECT_EQ(locked({.mode = "compliance", .cool_off_hours = 1, .duration_days = 9}), "OperationNotPermitted");
  EXPECT_EQ(locked({.mode = "compliance", .duration_days = 9}), "no error");
  EXPECT_EQ(locked({.mode = "compliance", .duration_days = 8}), "OperationNotPermitted");
  world_.clock().advance(8 * day);
  EXPECT_EQ(remove(), "OperationNotPermitted");
  world_.clock().advance(day);
  EXPECT_EQ(state(), "expired");
  EXPECT_EQ(remove(), "no error");
  EXPECT_EQ(locked({.mode = "governance", .duration_days = 1}), "InvalidSnapshot.NotFound");
  EXPECT_EQ(locked({.mode = "other", .duration_days = 1}), "InvalidParameterValue");
  EXPECT_EQ(locked({.mode = "governance"}), "MissingParameter");
  EXPECT_EQ(locked({.mode = "governance", .cool_off_hours = 1, .duration_days = 1}), "InvalidParameterCombination");
  EXPECT_EQ(locked({.mode = "governance", .duration_days = 36'501}), "InvalidParameterValue");
}

}  // namespace
}  // namespace kiln::control
