#include "control/snapshot_writes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "blocks/restore.h"
#include "catalog/blocks.h"
#include "control/garbage.h"
#include "control/region_fixture.h"
#include "control/snapshot_blocks.h"
#include "control/usage.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;
constexpr std::size_t block_bytes = blocks::chunk_bytes;

base::Bytes block(std::uint64_t seed) { return Fixture::pattern(block_bytes, seed); }

std::string start(Fixture& world, SnapshotToWrite what = {.size_gib = 1}) {
  return start_snapshot(world.region(), world.alice, std::move(what)).id;
}
void put(Fixture& world, const std::string& id, std::uint64_t index, const base::Bytes& bytes) {
  put_block(world.region(), world.alice,
            {.snapshot_id = id, .index = index, .bytes = bytes, .digest = base::sha256(bytes)});
}
void complete(Fixture& world, const std::string& id, std::uint64_t count, std::optional<base::Digest> checksum = {}) {
  complete_snapshot(world.region(), world.alice, {.snapshot_id = id, .count = count, .linear_checksum = checksum});
}
base::Digest linear(const std::vector<base::Bytes>& blocks) {
  base::Sha256 all;
  for (const auto& each : blocks) all.add(base::sha256(each).bytes);
  return all.finish();
}

std::optional<catalog::Snapshot> row(Fixture& world, const std::string& id) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, "us-east-1", id); });
}
std::string state(Fixture& world, const std::string& id) {
  const auto found = row(world, id);
  return found ? found->state : "gone";
}
// Rows and files that a snapshot being written has besides its own row.
std::size_t leftovers(Fixture& world, const std::string& id) {
  const auto rows = catalog::in_read(world.region().catalog, [&](catalog::Txn& txn) {
    std::size_t count = catalog::find_started_snapshot(txn, "us-east-1", id) ? 1 : 0;
    for (const auto& root : catalog::roots_of(txn, "us-east-1", id)) count += root.kind == "started" ? 1 : 0;
    return count;
  });
  return rows + (std::filesystem::exists(world.region().snapshot_heads.directory_of(id)) ? 1 : 0);
}
base::Bytes read(Fixture& world, const std::string& snapshot, std::uint64_t index) {
  return world.read(world.volume(world.alice, snapshot), index * block_bytes, block_bytes);
}

TEST(SnapshotWrites, a_snapshot_holds_the_last_content_of_each_block_over_that_of_its_parent) {
  Fixture world;
  const auto parent = start(world);
  for (const std::uint64_t index : {5, 0, 2047}) put(world, parent, index, block(index));
  EXPECT_EQ(state(world, parent), "pending");
  complete(world, parent, 3, linear({block(0), block(5), block(2047)}));
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(state(world, parent), "completed") << row(world, parent)->state_message;
  EXPECT_EQ(row(world, parent)->full_bytes, 3 * block_bytes);
  EXPECT_EQ(leftovers(world, parent), 0U);

  const auto child = start(world, {.size_gib = 2, .parent_snapshot_id = parent});
  put(world, child, 5, block(105));
  put(world, child, 4000, block(4000));
  put(world, child, 5, block(205));
  put(world, child, 0, base::Bytes(block_bytes));
  complete(world, child, 3, linear({base::Bytes(block_bytes), block(205), block(4000)}));
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(state(world, child), "completed");
  EXPECT_EQ(row(world, child)->size_gib, 2);
  EXPECT_EQ(read(world, child, 0), base::Bytes(block_bytes));
  EXPECT_EQ(read(world, child, 5), block(205));
  EXPECT_EQ(read(world, child, 2047), block(2047));
  EXPECT_EQ(read(world, child, 4000), block(4000));
  EXPECT_EQ(read(world, parent, 5), block(5));
  const auto changed = list_blocks(world.region(), world.alice, {.snapshot_id = child, .since_snapshot_id = parent});
  ASSERT_EQ(changed.blocks.size(), 3U);
  EXPECT_EQ(changed.blocks[1].digest, base::sha256(block(205)));
}

TEST(SnapshotWrites, block_by_block_through_a_volume_and_restored_to_a_file_it_is_the_same_to_the_byte) {
  Fixture world;
  auto& region = world.region();
  const auto id = start(world);
  auto content = Fixture::pattern(24 << 20, 3);
  std::fill_n(content.begin() + (4 << 20), 4 << 20, std::byte{0});
  const auto blocks_of_it = content.size() / block_bytes;
  for (std::uint64_t index = blocks_of_it; index-- > 0;) {
    const auto at = content.begin() + static_cast<std::ptrdiff_t>(index * block_bytes);
    put(world, id, index, base::Bytes(at, at + block_bytes));
  }
  complete(world, id, blocks_of_it);
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(world.read(world.volume(world.alice, id), 0, content.size()) == content);
  base::Bytes listed(content.size());
  for (const auto& each : list_blocks(region, world.alice, {.snapshot_id = id}).blocks) {
    const auto got = read_block(region, world.alice, id, each.index, each.token);
    EXPECT_EQ(got.digest, each.digest);
    std::ranges::copy(*got.bytes, listed.begin() + static_cast<std::ptrdiff_t>(each.index * block_bytes));
  }
  EXPECT_TRUE(listed == content);
  const auto file = region.files.open(world.directory() / "restored", base::Open::create_new);
  ASSERT_TRUE(file);
  const auto disk = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return snapshot_disk(txn, region, snapshot_of(txn, region, world.alice.account, id));
  });
  ASSERT_TRUE(blocks::restore(region.store, disk, **file));
  EXPECT_EQ(*(*file)->size(), std::uint64_t{1} << 30);
  base::Bytes restored(content.size() + block_bytes);
  ASSERT_TRUE((*file)->read_exactly(0, restored));
  content.resize(restored.size());
  EXPECT_TRUE(restored == content);
}

TEST(SnapshotWrites, one_that_nothing_was_written_to_is_its_parent) {
  Fixture world;
  const auto parent = start(world);
  put(world, parent, 7, block(7));
  complete(world, parent, 1);
  ASSERT_TRUE(world.settle());
  const auto same = start(world, {.size_gib = 1, .parent_snapshot_id = parent}), empty = start(world);
  for (const auto& id : {same, empty}) complete(world, id, 0);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(read(world, same, 7), block(7));
  EXPECT_EQ(read(world, empty, 7), base::Bytes(block_bytes));
}

TEST(SnapshotWrites, acknowledged_blocks_outlive_the_daemon) {
  Fixture world;
  const auto id = start(world);
  put(world, id, 1, block(1));
  put(world, id, 3, block(3));
  world.restart();
  EXPECT_EQ(state(world, id), "pending");
  put(world, id, 3, block(33));
  world.restart();
  // It neither remembers the checksums nor believes what was noted of them.
  EXPECT_EQ(refusal_of([&] { complete(world, id, 2, linear({block(1), block(3)})); }), "ValidationException");
  complete(world, id, 2, linear({block(1), block(33)}));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(read(world, id, 1), block(1));
  EXPECT_EQ(read(world, id, 3), block(33));
}

TEST(SnapshotWrites, a_cut_that_no_row_speaks_of_is_undone_and_the_writing_goes_on) {
  Fixture world;
  const auto id = start(world);
  put(world, id, 1, block(1));
  // The daemon dies after the cut and before the transaction that says so.
  ASSERT_TRUE(world.region().snapshot_heads.of(id)->seal({.blocks = 1, .linear_checksum = {}}));
  world.restart();
  put(world, id, 2, block(2));
  complete(world, id, 2);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(read(world, id, 1), block(1));
  EXPECT_EQ(read(world, id, 2), block(2));
}

TEST(SnapshotWrites, a_daemon_killed_at_any_step_goes_on_after_its_restart) {
  for (const std::string step : {"store", "clean"}) {
    for (const std::string when : {"before", "after"}) {
      SCOPED_TRACE(step + "/" + when);
      const KillOnce kill("store-snapshot/" + step + "/" + when);
      Fixture world(kill);
      const auto id = start(world);
      put(world, id, 9, block(9));
      complete(world, id, 1);
      EXPECT_FALSE(world.settle());
      EXPECT_TRUE(kill.killed());
      EXPECT_EQ(refusal_of([&] { put(world, id, 1, block(1)); }), "ValidationException");
      world.restart();
      ASSERT_TRUE(world.settle());
      ASSERT_EQ(state(world, id), "completed") << row(world, id)->state_message;
      EXPECT_EQ(row(world, id)->full_bytes, block_bytes);
      EXPECT_EQ(leftovers(world, id), 0U);
      collect(world.region(), {.grace = 0});
      EXPECT_TRUE(verify(world.region()).bad.empty());
      EXPECT_EQ(read(world, id, 9), block(9));
    }
  }
}

TEST(SnapshotWrites, a_daemon_killed_while_it_removes_blocks_removes_them_after_its_restart) {
  for (const std::string when : {"before", "after"}) {
    SCOPED_TRACE(when);
    const KillOnce kill("end-started-snapshot/clean/" + when);
    Fixture world(kill);
    const auto id = start(world);
    put(world, id, 9, block(9));
    delete_snapshot(world.region(), world.alice, id);
    EXPECT_FALSE(world.settle());
    EXPECT_TRUE(kill.killed());
    world.restart();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(leftovers(world, id), 0U);
  }
}

TEST(SnapshotWrites, what_is_refused_changes_nothing) {
  Fixture world;
  const auto id = start(world), other = start(world);
  put(world, id, 1, block(1));
  auto& region = world.region();
  const auto refused = [](const std::function<void()>& body) {
    try {
      body();
    } catch (const base::ApiError& error) {
      return error.code() + " " + error.reason();
    }
    return std::string("no error");
  };
  EXPECT_EQ(refused([&] { put(world, id, 2048, block(2)); }), "ValidationException INVALID_BLOCK");
  EXPECT_EQ(refused([&] { complete(world, id, 2); }), "ValidationException INVALID_PARAMETER_VALUE");
  EXPECT_EQ(refused([&] { complete(world, id, 1, linear({block(2)})); }),
            "ValidationException INVALID_PARAMETER_VALUE");
  const auto bytes = block(2);
  const BlockToWrite two{.snapshot_id = id, .index = 2, .bytes = bytes, .digest = base::sha256(bytes)};
  const std::string unknown = "ResourceNotFoundException SNAPSHOT_NOT_FOUND";
  EXPECT_EQ(refused([&] { put_block(region, world.bob, two); }), unknown);
  EXPECT_EQ(refused([&] { complete_snapshot(region, world.bob, {.snapshot_id = id, .count = 1}); }), unknown);
  EXPECT_EQ(refused([&] { start_snapshot(region, world.bob, {.size_gib = 1, .parent_snapshot_id = id}); }), unknown);
  EXPECT_EQ(refused([&] { put(world, "snap-0123456789abcdef0", 0, block(1)); }), unknown);
  EXPECT_EQ(refused([&] { put(world, "vol-1", 0, block(1)); }), "ValidationException INVALID_SNAPSHOT_ID");
  EXPECT_EQ(refused([&] { start(world, {.size_gib = 1, .parent_snapshot_id = id}); }),
            "ValidationException INVALID_SNAPSHOT_ID");
  complete(world, id, 1);
  for (const bool settled : {false, true}) {
    if (settled) {
      ASSERT_TRUE(world.settle());
    }
    EXPECT_EQ(refused([&] { complete(world, id, 1); }), "ValidationException INVALID_SNAPSHOT_ID");
    EXPECT_EQ(refused([&] { put(world, id, 2, block(2)); }), "ValidationException INVALID_SNAPSHOT_ID");
  }
  EXPECT_EQ(read(world, id, 1), block(1));
  EXPECT_EQ(list_blocks(region, world.alice, {.snapshot_id = id}).blocks.size(), 1U);
  EXPECT_EQ(refused([&] { start(world, {.size_gib = 0}); }), "ValidationException INVALID_VOLUME_SIZE");
  EXPECT_EQ(refused([&] { start(world, {.size_gib = 65'537}); }), "ValidationException INVALID_VOLUME_SIZE");
  EXPECT_EQ(refused([&] { start(world, {.size_gib = 1, .timeout_minutes = 9}); }),
            "ValidationException INVALID_PARAMETER_VALUE");
  EXPECT_EQ(refused([&] {
              start(world, {.size_gib = 1, .tags = {{"aws:x", "y"}}});
            }),
            "ValidationException INVALID_TAG");
  // A snapshot of a volume is pending too, and takes no blocks.
  const auto cut = create_snapshot(region, world.alice, {.volume_id = world.volume(world.alice)}).id;
  EXPECT_EQ(refused([&] { put(world, cut, 0, block(1)); }), "ValidationException INVALID_SNAPSHOT_ID");
  EXPECT_EQ(state(world, other), "pending");
}

TEST(SnapshotWrites, a_head_that_somebody_holds_is_asked_for_again) {
  Fixture world;
  const auto id = start(world);
  put(world, id, 1, block(1));
  world.restart();
  {
    const auto held = blocks::Volume::open(world.region().files, world.region().snapshot_heads.directory_of(id),
                                           world.region().store, {});
    ASSERT_TRUE(held);
    EXPECT_EQ(refusal_of([&] { put(world, id, 2, block(2)); }), "RequestThrottledException");
    EXPECT_EQ(refusal_of([&] { complete(world, id, 1); }), "RequestThrottledException");
  }
  put(world, id, 2, block(2));
  complete(world, id, 2);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(read(world, id, 2), block(2));
}

TEST(SnapshotWrites, one_that_is_not_completed_in_time_is_an_error_and_its_space_is_free) {
  Fixture world;
  const auto slow = start(world), patient = start(world, {.size_gib = 1, .timeout_minutes = 120});
  put(world, slow, 1, block(1));
  auto& region = world.region();
  const auto held = usage(region).volume_bytes;
  EXPECT_GE(held, block_bytes);
  const auto now = region.clock.monotonic();
  end_overdue_snapshots(region, now + base::seconds(59 * 60));
  EXPECT_EQ(state(world, slow), "pending");
  end_overdue_snapshots(region, now + base::seconds(61 * 60));
  EXPECT_EQ(state(world, slow), "error");
  EXPECT_NE(row(world, slow)->state_message.find("60 minutes"), std::string::npos);
  EXPECT_EQ(state(world, patient), "pending");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(leftovers(world, slow), 0U);
  EXPECT_LE(usage(region).volume_bytes, held - block_bytes);
  EXPECT_EQ(refusal_of([&] { put(world, slow, 2, block(2)); }), "ValidationException");
  EXPECT_EQ(refusal_of([&] { complete(world, slow, 1); }), "ValidationException");
  delete_snapshot(region, world.alice, slow);
  // A daemon that starts gives all of them their time again.
  world.restart();
  end_overdue_snapshots(world.region(), world.region().clock.monotonic() + base::seconds(119 * 60));
  EXPECT_EQ(state(world, patient), "pending");
  end_overdue_snapshots(world.region(), world.region().clock.monotonic() + base::seconds(121 * 60));
  EXPECT_EQ(state(world, patient), "error");
}

TEST(SnapshotWrites, deleting_one_ends_its_writing) {
  Fixture world;
  const auto id = start(world);
  put(world, id, 1, block(1));
  delete_snapshot(world.region(), world.alice, id);
  EXPECT_EQ(refusal_of([&] { put(world, id, 2, block(2)); }), "ResourceNotFoundException");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(leftovers(world, id), 0U);
}

TEST(SnapshotWrites, the_parent_may_be_deleted_and_collected_while_its_child_is_written) {
  Fixture world;
  const auto parent = start(world);
  for (std::uint64_t i = 0; i < 8; ++i) put(world, parent, i, block(i));
  complete(world, parent, 8);
  ASSERT_TRUE(world.settle());
  const auto child = start(world, {.size_gib = 1, .parent_snapshot_id = parent});
  put(world, child, 2, block(102));
  delete_snapshot(world.region(), world.alice, parent);
  collect(world.region(), {.grace = 0, .force = true});
  world.restart();
  collect(world.region(), {.grace = 0, .force = true});
  complete(world, child, 1);
  ASSERT_TRUE(world.settle());
  collect(world.region(), {.grace = 0, .force = true});
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(read(world, child, i), block(i == 2 ? 102 : i));
}

TEST(SnapshotWrites, a_client_token_starts_one_snapshot) {
  Fixture world;
  const auto token = [](const std::string& parameters) {
    return catalog::ClientToken{.region = "us-east-1",
                                .account = "123456789012",
                                .operation = "StartSnapshot",
                                .token = "t",
                                .parameters = parameters,
                                .result = {},
                                .created = 0};
  };
  const auto first = start(world, {.size_gib = 1, .client_token = token("a")});
  EXPECT_EQ(start(world, {.size_gib = 1, .client_token = token("a")}), first);
  EXPECT_EQ(refusal_of([&] { start(world, {.size_gib = 1, .client_token = token("b")}); }), "ConflictException");
  delete_snapshot(world.region(), world.alice, first);
  EXPECT_EQ(start(world, {.size_gib = 1, .client_token = token("a")}), first);
}

TEST(SnapshotWrites, an_account_has_so_many_at_a_time) {
  Fixture world;
  for (int i = 0; i < 100; ++i) start(world);
  EXPECT_EQ(refusal_of([&] { start(world); }), "ServiceQuotaExceededException");
  EXPECT_NO_THROW(start_snapshot(world.region(), world.bob, {.size_gib = 1}));
}

// Writers of one block meet, and a completion comes between: each block is one of the contents that were put, and a
// put that was acknowledged before the completion began is there.
TEST(SnapshotWrites, many_writers_at_once_lose_nothing) {
  Fixture world;
  const auto id = start(world);
  constexpr std::uint64_t writers = 16, blocks_each = 8;
  std::vector<std::thread> threads;
  for (std::uint64_t writer = 0; writer < writers; ++writer) {
    threads.emplace_back([&, writer] {
      for (std::uint64_t i = 0; i < blocks_each; ++i) {
        put(world, id, 100 + writer * blocks_each + i, block(writer * blocks_each + i));
        put(world, id, i, block(1000 + writer));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::atomic<int> completed = 0;
  threads.clear();
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      completed += refusal_of([&] { complete(world, id, (writers + 1) * blocks_each); }) == "no error" ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(completed, 1);
  ASSERT_TRUE(world.settle());
  const auto volume = world.volume(world.alice, id);
  for (std::uint64_t i = 0; i < writers * blocks_each; ++i) {
    EXPECT_EQ(world.read(volume, (100 + i) * block_bytes, block_bytes), block(i));
  }
  for (std::uint64_t i = 0; i < blocks_each; ++i) {
    const auto found = base::sha256(world.read(volume, i * block_bytes, block_bytes));
    bool known = false;
    for (std::uint64_t writer = 0; writer < writers; ++writer) known |= found == base::sha256(block(1000 + writer));
    EXPECT_TRUE(known) << i;
  }
}

}  // namespace
}  // namespace kiln::control
