#include "control/fast_restores.h"

#include <gtest/gtest.h>

#include "blocks/slot_cache.h"
#include "blocks/slot_pins.h"
#include "catalog/blocks.h"
#include "control/region_fixture.h"
#include "control/snapshot_tiers.h"
#include "control/volumes.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

constexpr std::size_t disk_bytes = 4 << 20;
constexpr std::uint64_t budget = 8 * blocks::min_slot_budget_bytes;
const std::vector<std::string> zones{"us-east-1a", "us-east-1b"};

class FastRestores : public testing::Test {
 protected:
  FastRestores() : FastRestores({}) {}
  explicit FastRestores(Fixture::KillPoint kill_point)
      : world_(std::move(kill_point), {.slot_cache_bytes = budget}), made_(world_.import_disk("base", bytes_)) {}

  Region& region() { return world_.region(); }
  FastRestoreOutcome enable() {
    return enable_fast_restores(region(), world_.alice, {.snapshot_ids = {made_.snapshot_id}, .zones = zones});
  }
  std::vector<std::string> states() {
    std::vector<std::string> found;
    for (const auto& row : describe_fast_restores(region(), world_.alice)) found.push_back(row.zone + " " + row.state);
    return found;
  }
  std::size_t pins() { return blocks::SlotPins(region().files, region().directory / "cache").list()->size(); }
  // Takes the bytes of the store away: what is read then comes from nowhere else than the cache.
  void hide_data_packs() {
    const auto rows = catalog::in_read(
        region().catalog, [&](catalog::Txn& txn) { return catalog::packs_in_state(txn, region().name, "live"); });
    for (const auto& row : rows) {
      if (row.kind != "data") continue;
      const auto path = static_cast<blocks::DirectoryPackStore&>(region().store.pack_store())
                            .path_of(*blocks::PackId::from_text(row.id));
      std::filesystem::rename(path, path.string() + ".hidden");
    }
  }

  const base::Bytes bytes_ = Fixture::pattern(disk_bytes, 21);
  Fixture world_;
  Imported made_;
};

TEST_F(FastRestores, a_volume_of_an_enabled_snapshot_reads_nothing_from_the_store) {
  const auto before = world_.volume(world_.alice, made_.snapshot_id);
  const auto outcome = enable();
  ASSERT_EQ(outcome.successful.size(), 2U);
  EXPECT_EQ(outcome.successful[0].state, "enabling");
  EXPECT_TRUE(outcome.unsuccessful.empty());
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(states(), (std::vector<std::string>{"us-east-1a enabled", "us-east-1b enabled"}));
  const auto row = describe_fast_restores(region(), world_.alice).at(0);
  EXPECT_TRUE(row.enabling <= *row.optimizing && *row.optimizing <= *row.enabled);
  EXPECT_EQ(pins(), disk_bytes / blocks::chunk_bytes);
  EXPECT_TRUE(describe_fast_restores(region(), world_.bob).empty());

  const auto volume = world_.volume(world_.alice, made_.snapshot_id);
  EXPECT_TRUE(describe_volumes(region(), world_.alice, {volume}).at(0).volume.fast_restored);
  EXPECT_FALSE(describe_volumes(region(), world_.alice, {before}).at(0).volume.fast_restored);
  hide_data_packs();
  world_.restart();  // what memory held has gone
  EXPECT_EQ(world_.read(volume, 0, disk_bytes), bytes_);
}

TEST_F(FastRestores, disabling_lets_the_slots_go_but_those_that_others_want) {
  const auto copy =
      copy_snapshot(region(), world_.alice, {.source_region = "us-east-1", .source_snapshot_id = made_.snapshot_id})
          .snapshot.id;
  enable();
  enable_fast_restores(region(), world_.alice, {.snapshot_ids = {copy}, .zones = {"us-east-1a"}});
  ASSERT_TRUE(world_.settle());
  const auto disable = [&](const std::string& id, const std::vector<std::string>& where) {
    return disable_fast_restores(region(), world_.alice, {.snapshot_ids = {id}, .zones = where});
  };
  EXPECT_EQ(disable(made_.snapshot_id, {"us-east-1a"}).successful.at(0).state, "disabling");
  ASSERT_TRUE(world_.settle());
  EXPECT_GT(pins(), 0U);
  const auto again = disable(made_.snapshot_id, zones);
  EXPECT_EQ(again.unsuccessful.at(0).code, "IncorrectState");
  EXPECT_EQ(again.successful.at(0).zone, "us-east-1b");
  ASSERT_TRUE(world_.settle());
  EXPECT_GT(pins(), 0U);
  delete_snapshot(region(), world_.alice, copy);
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(pins(), 0U);
  EXPECT_EQ(states(), (std::vector<std::string>{"us-east-1a disabled", "us-east-1b disabled"}));
}

TEST_F(FastRestores, what_would_not_fit_or_cannot_be_used_is_refused) {
  region().catalog.run_in_txn([&](catalog::Txn& txn) {
    auto row = *catalog::find_snapshot(txn, region().name, made_.snapshot_id);
    row.full_bytes = static_cast<std::int64_t>(budget / 2);
    catalog::update(txn, row);
  });
  const auto full = enable();
  ASSERT_EQ(full.unsuccessful.size(), 2U);
  EXPECT_EQ(full.unsuccessful[0].code, "ResourceLimitExceeded");
  EXPECT_TRUE(full.successful.empty());
  EXPECT_TRUE(states().empty());
  const auto refused = [&](const Principal& caller, const FastRestoreWish& wish) {
    return refusal_of([&] { enable_fast_restores(region(), caller, wish); });
  };
  const auto& id = made_.snapshot_id;
  EXPECT_EQ(refused(world_.bob, {.snapshot_ids = {id}, .zones = zones}), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refused(world_.alice, {.snapshot_ids = {id}, .zones = {"eu-west-1a"}}), "InvalidZone.NotFound");
  EXPECT_EQ(refused(world_.alice, {.snapshot_ids = {id}, .zones = {}}), "MissingParameter");
  EXPECT_EQ(refused(world_.alice, {.snapshot_ids = {}, .zones = zones}), "MissingParameter");
  deregister_image(region(), world_.alice, made_.image_id, WithSnapshots::no);
  archive_snapshot(region(), world_.alice, id);
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(enable().unsuccessful.at(0).code, "IncorrectState");
}

TEST_F(FastRestores, archiving_a_snapshot_ends_it_and_a_cache_that_was_emptied_is_filled_again) {
  enable();
  ASSERT_TRUE(world_.settle());
  std::filesystem::remove_all(region().directory / "cache");
  world_.restart();
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(pins(), disk_bytes / blocks::chunk_bytes);
  deregister_image(region(), world_.alice, made_.image_id, WithSnapshots::no);
  archive_snapshot(region(), world_.alice, made_.snapshot_id);
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(states(), (std::vector<std::string>{"us-east-1a disabled", "us-east-1b disabled"}));
  EXPECT_EQ(pins(), 0U);
}

class KilledFastRestores : public testing::TestWithParam<std::string> {};

TEST_P(KilledFastRestores, a_daemon_killed_at_any_step_goes_on) {
  const KillOnce kill(GetParam());
  Fixture world(kill, {.slot_cache_bytes = budget});
  const auto id = world.import_disk("base", Fixture::pattern(disk_bytes, 3)).snapshot_id;
  const FastRestoreWish wish{.snapshot_ids = {id}, .zones = {"us-east-1a"}};
  enable_fast_restores(world.region(), world.alice, wish);
  EXPECT_FALSE(world.settle());
  world.restart();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(describe_fast_restores(world.region(), world.alice).at(0).state, "enabled");
  disable_fast_restores(world.region(), world.alice, wish);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(describe_fast_restores(world.region(), world.alice).at(0).state, "disabled");
}
INSTANTIATE_TEST_SUITE_P(AtEachStep, KilledFastRestores,
                         testing::Values("fast-restores/pin/before", "fast-restores/pin/after",
                                         "fast-restores/warm/before", "fast-restores/warm/after",
                                         "fast-restores/show/before", "fast-restores/show/after"));

}  // namespace
}  // namespace kiln::control
