#include "control/garbage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "catalog/blocks.h"
#include "control/region_fixture.h"
#include "control/usage.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

std::vector<catalog::Pack> packs(Fixture& world, const std::string& state) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::packs_in_state(txn, "us-east-1", state); });
}

// What the session stored becomes the bytes of a snapshot.
void commit(Region& region, UploadSession& session, const blocks::DiskId& stored) {
  session.commit([&](const auto& body) { region.catalog.run_in_txn(body); },
                 [&](catalog::Txn& txn) {
                   catalog::insert(txn, catalog::Root{.region = region.name,
                                                      .kind = "snapshot",
                                                      .owner = "snap-1",
                                                      .digest = stored.root.hex(),
                                                      .size_bytes = static_cast<std::int64_t>(stored.size_bytes)});
                 });
}

TEST(Garbage, what_no_root_reaches_is_condemned_first_and_deleted_after_the_grace) {
  Fixture world;
  auto& region = world.region();
  const auto kept = world.import_disk("kept", Fixture::pattern(2 << 20, 1));
  const auto gone = world.import_disk("gone", Fixture::pattern(2 << 20, 2));
  const auto before = usage(region).store_bytes;
  deregister_image(region, world.alice, gone.image_id, WithSnapshots::yes);

  const auto first = collect(region, {.grace = base::seconds(3600)});
  EXPECT_EQ(first.condemned_packs, 2U);  // one of data, one of nodes
  EXPECT_EQ(first.deleted_packs, 0U);
  const auto second = collect(region, {.grace = base::seconds(3600)});
  EXPECT_EQ(second.condemned_packs + second.deleted_packs, 0U);
  const auto third = collect(region, {.grace = 0});
  EXPECT_EQ(third.deleted_packs, 2U);
  EXPECT_EQ(third.deleted_bytes, first.condemned_bytes);
  EXPECT_EQ(usage(region).store_bytes, before - third.deleted_bytes);
  EXPECT_TRUE(verify(region).bad.empty());
  EXPECT_EQ(describe_images(region, world.alice, {.ids = {kept.image_id}}).size(), 1U);
}

TEST(Garbage, without_a_grace_one_call_frees_the_space) {
  Fixture world;
  auto& region = world.region();
  const auto gone = world.import_disk("gone", Fixture::pattern(2 << 20, 2));
  deregister_image(region, world.alice, gone.image_id, WithSnapshots::yes);
  EXPECT_GT(collect(region, {.grace = 0}).deleted_bytes, 2U << 20);
  EXPECT_EQ(usage(region).store_bytes, 0U);
  EXPECT_EQ(packs(world, "deleted").size(), 2U);
}

TEST(Garbage, chunks_of_a_condemned_pack_are_stored_anew) {
  Fixture world;
  auto& region = world.region();
  const auto bytes = Fixture::pattern(2 << 20, 2);
  const auto gone = world.import_disk("gone", bytes);
  deregister_image(region, world.alice, gone.image_id, WithSnapshots::yes);
  collect(region, {.grace = base::seconds(3600)});
  ASSERT_EQ(packs(world, "condemned").size(), 2U);
  const auto again = world.import_disk("again", bytes);
  EXPECT_EQ(again.total.new_bytes, 2U << 20);
  collect(region, {.grace = 0});
  EXPECT_TRUE(packs(world, "condemned").empty());
  EXPECT_TRUE(verify(region).bad.empty());
  EXPECT_EQ(world.read(world.volume(world.alice, again.snapshot_id), 0, 2 << 20), bytes);
}

TEST(Garbage, an_upload_keeps_what_it_has_stored_and_what_it_builds_on) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto disk = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return snapshot_disk(txn, region, snapshot_of(txn, region, world.alice.account, base.snapshot_id));
  });
  UploadSession session(region, {.parent = disk});
  deregister_image(region, world.alice, base.image_id, WithSnapshots::yes);
  const auto chunk = Fixture::pattern(blocks::chunk_bytes, 7);
  ASSERT_TRUE(session.ingest().put(8, chunk));
  const auto stored = session.store(8 << 20);
  EXPECT_EQ(collect(region, {.grace = 0}).deleted_packs, 0U);
  commit(region, session, stored);
  collect(region, {.grace = 0});
  EXPECT_TRUE(verify(region).bad.empty());
  base::Bytes out(blocks::chunk_bytes);
  ASSERT_TRUE(region.store.read(stored, 8 * blocks::chunk_bytes, out));
  EXPECT_EQ(out, chunk);
}

TEST(Garbage, what_a_dead_upload_left_is_removed) {
  Fixture world;
  {
    UploadSession session(world.region(), {});
    ASSERT_TRUE(session.ingest().put(0, Fixture::pattern(blocks::chunk_bytes, 7)));
    session.store(1 << 20);
    EXPECT_EQ(packs(world, "uploading").size(), 2U);
  }
  const auto report = collect(world.region(), {});
  EXPECT_EQ(report.deleted_packs, 2U);
  EXPECT_TRUE(packs(world, "uploading").empty());
  EXPECT_EQ(usage(world.region()).store_bytes, 0U);
}

TEST(Garbage, a_commit_whose_chunks_were_condemned_meanwhile_stores_them_again) {
  Fixture world;
  auto& region = world.region();
  const auto bytes = Fixture::pattern(1 << 20, 2);
  const auto gone = world.import_disk("gone", bytes);
  UploadSession session(region, {});
  ASSERT_TRUE(session.ingest().put(0, std::span(bytes).first(blocks::chunk_bytes)));
  const auto stored = session.store(1 << 20);
  EXPECT_EQ(session.ingest().progress().new_bytes, 0U);
  deregister_image(region, world.alice, gone.image_id, WithSnapshots::yes);
  EXPECT_EQ(collect(region, {.grace = 0}).condemned_packs, 2U);
  // Condemned, and kept for the session that found it.
  EXPECT_EQ(collect(region, {.grace = 0}).deleted_packs, 0U);
  commit(region, session, stored);
  collect(region, {.grace = 0});
  EXPECT_TRUE(packs(world, "condemned").empty());
  base::Bytes out(blocks::chunk_bytes);
  ASSERT_TRUE(region.store.read(stored, 0, out));
  EXPECT_TRUE(std::equal(out.begin(), out.end(), bytes.begin()));
}

TEST(Garbage, collecting_beside_uploads_deletes_nothing_that_is_reachable) {
  const char* const given = std::getenv("KILN_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  Fixture world;
  auto& region = world.region();
  std::atomic<bool> stop = false;
  auto collector = std::async(std::launch::async, [&] {
    while (!stop) collect(region, {.grace = 0, .force = true});
  });
  struct Stop {
    std::atomic<bool>& flag;
    ~Stop() { flag = true; }
  } at_end{stop};  // before the collector is waited for, however this ends
  std::mt19937_64 random(seed);
  // Few distinct chunks, so that images share packs, and packs that were condemned are wanted again.
  std::map<std::string, std::pair<std::string, base::Bytes>> live;  // image: snapshot, bytes
  for (int i = 0; i < 12; ++i) {
    base::Bytes bytes;
    for (int chunk = 0; chunk < 3; ++chunk) base::append(bytes, Fixture::pattern(blocks::chunk_bytes, random() % 6));
    const auto made = world.import_disk("image-" + std::to_string(i), bytes);
    live[made.image_id] = {made.snapshot_id, bytes};
    if (random() % 2 == 0) {
      const auto victim = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
      deregister_image(region, world.alice, victim->first, WithSnapshots::yes);
      live.erase(victim);
    }
  }
  stop = true;
  collector.get();
  EXPECT_TRUE(verify(region).bad.empty());
  for (const auto& [image, made] : live) {
    EXPECT_EQ(world.read(world.volume(world.alice, made.first), 0, made.second.size()), made.second);
  }
}

TEST(Garbage, usage_says_what_goes_with_an_image) {
  Fixture world;
  auto& region = world.region();
  const auto shared = Fixture::pattern(2 << 20, 1);
  auto both = shared;
  base::append(both, Fixture::pattern(1 << 20, 2));
  const auto a = world.import_disk("one", shared);
  const auto b = world.import_disk("two", both);
  const auto used = usage(region);
  ASSERT_EQ(used.images.size(), 2U);
  EXPECT_EQ(used.images[0].image.id, a.image_id);
  EXPECT_EQ(used.images[0].bytes.data_bytes, 2U << 20);
  EXPECT_EQ(used.images[1].bytes.data_bytes, 3U << 20);
  EXPECT_LT(used.images[0].bytes.exclusive_bytes, 1U << 20);
  EXPECT_GT(used.images[1].bytes.exclusive_bytes, 1U << 20);
  EXPECT_LT(used.images[1].bytes.exclusive_bytes, 2U << 20);
  EXPECT_GT(used.free_bytes, 0U);
  EXPECT_EQ(b.total.known_bytes, 2U << 20);
}

}  // namespace
}  // namespace kiln::control
