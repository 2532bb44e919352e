#include "control/snapshot_sharing.h"

#include <gtest/gtest.h>

#include "catalog/lifecycle.h"
#include "control/region_fixture.h"
#include "control/snapshot_copies.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

const ShareChanges with_all{.add = {{"group", "all"}}};

bool sees(Fixture& world, const Principal& who, const std::string& id, const SnapshotQuery& query = {}) {
  for (const auto& found : describe_snapshots(world.region(), who, query)) {
    if (found.snapshot.id == id) return true;
  }
  return false;
}

void block(Fixture& world, const std::string& account, const std::string& state) {
  world.region().catalog.run_in_txn([&](catalog::Txn& txn) {
    auto settings = catalog::sharing_settings_of(txn, "us-east-1", account);
    settings.snapshot_block = state;
    catalog::upsert(txn, settings);
  });
}

TEST(SnapshotSharing, whom_it_is_shared_with_owns_what_it_makes_of_it) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto copy = [&] {
    return copy_snapshot(region, world.bob, {.source_region = "us-east-1", .source_snapshot_id = base.snapshot_id});
  };
  EXPECT_EQ(refusal_of(copy), "InvalidSnapshot.NotFound");
  share_snapshot(region, world.alice, base.snapshot_id, {.add = {{"account", world.bob.account}}});
  const auto made = copy();
  EXPECT_EQ(made.snapshot.account, world.bob.account);
  EXPECT_EQ(refusal_of([&] { delete_snapshot(region, world.bob, base.snapshot_id); }), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal_of([&] { snapshot_permissions(region, world.bob, base.snapshot_id); }), "InvalidSnapshot.NotFound");
  reset_snapshot_permissions(region, world.alice, base.snapshot_id);
  EXPECT_EQ(refusal_of(copy), "InvalidSnapshot.NotFound");
  EXPECT_TRUE(sees(world, world.bob, made.snapshot.id));
}

TEST(SnapshotSharing, what_is_public_is_hidden_while_all_sharing_is_blocked) {
  Fixture world;
  auto& region = world.region();
  const auto id = world.import_disk("base", Fixture::pattern(1 << 20, 1)).snapshot_id;
  share_snapshot(region, world.alice, id, with_all);
  EXPECT_TRUE(sees(world, world.bob, id));
  EXPECT_TRUE(sees(world, world.bob, id, {.restorable_by = {"all"}}));
  EXPECT_FALSE(sees(world, world.bob, id, {.restorable_by = {"self"}}));
  block(world, world.alice.account, "block-new-sharing");
  EXPECT_TRUE(sees(world, world.bob, id));
  EXPECT_EQ(refusal_of([&] { share_snapshot(region, world.alice, id, with_all); }), "OperationNotPermitted");
  block(world, world.alice.account, "block-all-sharing");
  EXPECT_FALSE(sees(world, world.bob, id));
  EXPECT_EQ(refusal_of([&] { describe_snapshots(region, world.bob, {.ids = {id}}); }), "InvalidSnapshot.NotFound");
  EXPECT_EQ(snapshot_permissions(region, world.alice, id).size(), 1U);
  // Sharing with accounts goes on.
  share_snapshot(region, world.alice, id, {.add = {{"account", world.bob.account}}});
  EXPECT_TRUE(sees(world, world.bob, id));
}

TEST(SnapshotSharing, an_image_and_its_storage_are_shared_in_one_step) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto storage = share_image_with_storage(region, base.image_id, world.bob.account);
  EXPECT_EQ(storage.shared, std::vector<std::string>{base.snapshot_id});
  EXPECT_TRUE(storage.of_others.empty());
  EXPECT_EQ(describe_images(region, world.bob, {}).size(), 1U);
  EXPECT_TRUE(sees(world, world.bob, base.snapshot_id));
  EXPECT_EQ(refusal_of([&] { share_image_with_storage(region, base.image_id, "bob"); }),
            "InvalidAMIAttributeItemValue");
  EXPECT_EQ(refusal_of([&] { share_image_with_storage(region, "ami-0123456789abcdef0", world.bob.account); }),
            "InvalidAMIID.NotFound");
}

}  // namespace
}  // namespace kiln::control
