#include "control/encryption.h"

#include <gtest/gtest.h>

#include <thread>

#include "blocks/restore.h"
#include "catalog/blocks.h"
#include "control/ebs_defaults.h"
#include "control/garbage.h"
#include "control/key_domains.h"
#include "control/region_fixture.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_recoding.h"

namespace kiln::control {
namespace {

constexpr std::size_t mib = 1 << 20;

struct Encryption : testing::Test {
  RegionFixture world;
  Region& region() { return world.region(); }
  const base::Bytes content = RegionFixture::pattern(3 * mib, 7);

  std::string new_key() { return create_key(region(), world.alice, {}).arn(); }
  std::string volume(const EncryptionWish& wish, const std::string& snapshot_id = {}) {
    const auto made = create_volume(region(), world.alice,
                                    {.volume = {.zone = region().zones.front(),
                                                .snapshot_id = snapshot_id,
                                                .size_gib = snapshot_id.empty() ? 1 : 0,
                                                .encryption = wish}});
    EXPECT_TRUE(world.settle());
    return made.id;
  }
  catalog::Snapshot row(const std::string& id) {
    return *catalog::in_read(region().catalog,
                             [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, region().name, id); });
  }
  catalog::Snapshot snapshot(const std::string& volume_id) {
    const auto made = create_snapshot(region(), world.alice, {.volume_id = volume_id});
    EXPECT_TRUE(world.settle());
    return row(made.id);
  }
  std::string copy(const std::string& snapshot_id, const EncryptionWish& wish) {
    return copy_snapshot(region(), world.alice,
                         {.source_region = region().name, .source_snapshot_id = snapshot_id, .encryption = wish})
        .snapshot.id;
  }
  std::int64_t stored_bytes() {
    return catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      std::int64_t bytes = 0;
      for (const auto& pack : catalog::packs(txn, region().name)) bytes += pack.kind == "data" ? pack.bytes : 0;
      return bytes;
    });
  }
  base::Bytes first_bytes(const std::string& snapshot_id) {
    return world.read(volume({}, snapshot_id), 0, content.size());
  }
};

TEST_F(Encryption, what_is_written_to_an_encrypted_volume_is_read_from_its_snapshot_after_a_restart) {
  const auto key = new_key();
  const auto id = volume({.encrypted = true, .key = key});
  world.write(id, 0, content);
  const auto made = snapshot(id);
  EXPECT_EQ(made.state, "completed") << made.state_message;
  EXPECT_EQ(made.kms_key_arn, key);
  world.restart();
  EXPECT_EQ(first_bytes(made.id), content);
}

TEST_F(Encryption, snapshots_of_one_key_share_what_they_have_in_common_and_those_of_two_keys_nothing) {
  const auto key = new_key();
  const auto id = volume({.encrypted = true, .key = key});
  world.write(id, 0, content);
  const auto first = snapshot(id);
  const auto once = stored_bytes();
  const auto second = volume({.encrypted = true, .key = key});
  world.write(second, 0, content);
  snapshot(second);
  EXPECT_EQ(stored_bytes(), once) << "the same content under the same key";
  const auto third = volume({.encrypted = true, .key = new_key()});
  world.write(third, 0, content);
  snapshot(third);
  EXPECT_GE(stored_bytes(), 2 * once - 4096) << "the same content under another key";
}

TEST_F(Encryption, a_copy_for_the_same_key_takes_no_space_and_outlives_its_source) {
  const auto key = new_key();
  const auto id = volume({.encrypted = true, .key = key});
  world.write(id, 0, content);
  const auto source = snapshot(id);
  const auto before = stored_bytes();
  const auto made = copy(source.id, {.encrypted = true, .key = key});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(stored_bytes(), before);
  delete_snapshot(region(), world.alice, source.id);
  EXPECT_EQ(first_bytes(made), content);
}

TEST_F(Encryption, a_copy_is_made_wherever_the_daemon_was_killed_and_though_its_source_is_deleted_meanwhile) {
  for (const auto* point : {"recode-snapshot/recode/before", "recode-snapshot/recode/after"}) {
    SCOPED_TRACE(point);
    const auto id = volume({});
    world.write(id, 0, content);
    const auto source = snapshot(id);
    const KillOnce kill(point);
    world.restart(kill);
    const auto made = copy(source.id, {.encrypted = true});
    delete_snapshot(region(), world.alice, source.id);
    world.settle();
    EXPECT_TRUE(kill.killed());
    world.restart();
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(row(made).state, "completed") << row(made).state_message;
    EXPECT_EQ(first_bytes(made), content);
  }
}

TEST_F(Encryption, a_pending_copy_that_is_deleted_leaves_nothing) {
  const auto id = volume({});
  world.write(id, 0, content);
  const auto source = snapshot(id);
  const KillOnce kill("recode-snapshot/recode/before");
  world.restart(kill);
  const auto made = copy(source.id, {.encrypted = true});
  world.settle();
  delete_snapshot(region(), world.alice, made);
  world.restart();
  ASSERT_TRUE(world.settle());
  const auto roots = catalog::in_read(region().catalog,
                                      [&](catalog::Txn& txn) { return catalog::roots_of(txn, region().name, made); });
  EXPECT_TRUE(roots.empty());
}

TEST_F(Encryption, eight_first_uses_of_a_key_make_one_domain) {
  const auto key = new_key();
  std::vector<blocks::DomainId> ids(8);
  {
    std::vector<std::jthread> threads;
    for (auto& id : ids) threads.emplace_back([&] { id = domain_for_new(region(), world.alice.account, key); });
  }
  for (const auto& id : ids) EXPECT_EQ(id, ids.front());
  EXPECT_FALSE(ids.front().is_plain());
}

TEST_F(Encryption, a_disabled_key_takes_its_domain_away_and_an_enabled_one_gives_it_back) {
  const auto key = new_key();
  const auto id = domain_for_new(region(), world.alice.account, key);
  ASSERT_TRUE(region().store.keys()->find(id));
  enable_key(region(), world.alice, key, false);
  EXPECT_EQ(region().store.keys()->find(id).error().fault(), base::Fault::no_key);
  EXPECT_THROW(domain_of(region(), key), KeyNotAccessible);
  enable_key(region(), world.alice, key, true);
  EXPECT_EQ(domain_of(region(), key), id);
  schedule_key_deletion(region(), world.alice, key, 7);
  EXPECT_FALSE(region().store.keys()->find(id));
}

TEST_F(Encryption, collection_works_on_what_no_key_opens_any_more) {
  const auto key = new_key();
  const auto id = volume({.encrypted = true, .key = key});
  world.write(id, 0, content);
  const auto made = snapshot(id);
  destroy_key_now(region(), key);
  collect(region(), {.grace = 0, .force = true, .go_on = {}});
  EXPECT_EQ(row(made.id).state, "completed");
  delete_snapshot(region(), world.alice, made.id);
  delete_volume(region(), world.alice, id);
  ASSERT_TRUE(world.settle());
  for (int round = 0; round < 3; ++round) collect(region(), {.grace = 0, .force = true, .go_on = {}});
  EXPECT_EQ(stored_bytes(), 0);
}

TEST_F(Encryption, a_secret_opens_for_its_own_domain_alone) {
  const auto first = new_key();
  const auto id = domain_for_new(region(), world.alice.account, first);
  region().store.forget_domain(id);
  region().catalog.run_in_txn([&](catalog::Txn& txn) {
    auto row = *catalog::find_key_domain(txn, region().name, first);
    catalog::remove(txn, row);
    row.id = std::string(32, 'a');  // somebody renames it
    catalog::insert(txn, row);
  });
  EXPECT_THROW(domain_of(region(), first), KeyNotAccessible);
}

}  // namespace
}  // namespace kiln::control
