#include "control/garbage.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <optional>

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

TEST(Garbage, a_file_that_neither_the_index_nor_a_row_knows_is_removed) {
  Fixture world;
  auto& region = world.region();
  world.import_disk("kept", Fixture::pattern(2 << 20, 1));
  {
    UploadSession session(region, {});
    ASSERT_TRUE(session.ingest().put(0, Fixture::pattern(blocks::chunk_bytes, 7)));
    session.store(1 << 20);
  }
  // The daemon died, or the power went, while it deleted them.
  const auto unfinished = packs(world, "uploading");
  ASSERT_EQ(unfinished.size(), 2U);
  for (const auto& pack : unfinished)
    ASSERT_TRUE(region.store.index().forget(*blocks::PackId::from_text(pack.id), nullptr));
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    txn.execute("DELETE FROM pack WHERE region = $1 AND state = 'uploading'", {region.name});
  });
  EXPECT_EQ(region.store.pack_store().list()->size(), 4U);
  EXPECT_EQ(collect(region, {}).deleted_packs, 2U);
  EXPECT_EQ(region.store.pack_store().list()->size(), 2U);
  EXPECT_TRUE(verify(region).bad.empty());
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

// An image of which chunks 1..count differ, and one that shares only the first of them; the first is deregistered.
std::pair<Imported, base::Bytes> leave_one_chunk_of(Fixture& world, std::uint64_t count) {
  base::Bytes all;
  for (std::uint64_t n = 1; n <= count; ++n) base::append(all, Fixture::pattern(blocks::chunk_bytes, n));
  const auto gone = world.import_disk("gone", all);
  all.resize(blocks::chunk_bytes);
  const auto kept = world.import_disk("kept", all);
  deregister_image(world.region(), world.alice, gone.image_id, WithSnapshots::yes);
  return {kept, all};
}

TEST(Garbage, packs_that_are_mostly_dead_are_copied_together_and_go) {
  Fixture world;
  auto& region = world.region();
  const auto [kept, bytes] = leave_one_chunk_of(world, 8);
  const auto before = usage(region);
  EXPECT_GT(before.store_bytes, 8 * blocks::chunk_bytes);
  const auto first = collect(region, {.grace = base::seconds(3600)});
  EXPECT_GE(first.compacted_packs, 1U);
  EXPECT_GE(first.copied_bytes, blocks::chunk_bytes);
  EXPECT_EQ(first.deleted_packs, 0U) << "copied, and still readable where it was";
  EXPECT_TRUE(verify(region).bad.empty());
  const auto second = collect(region, {.grace = 0});
  EXPECT_EQ(second.revived_packs, 0U);
  const auto after = usage(region);
  EXPECT_LT(after.store_bytes, 2 * blocks::chunk_bytes);
  EXPECT_EQ(after.live_bytes, before.live_bytes);
  EXPECT_EQ(collect(region, {.grace = 0}).compacted_packs, 0U) << "there is nothing more to win";
  EXPECT_TRUE(verify(region).bad.empty());
  EXPECT_EQ(world.read(world.volume(world.alice, kept.snapshot_id), 0, bytes.size()), bytes);
}

TEST(Garbage, a_pack_that_an_upload_refers_to_since_the_mark_is_not_compacted_away) {
  Fixture world;
  auto& region = world.region();
  const auto kept = leave_one_chunk_of(world, 8).first;
  std::optional<UploadSession> session;
  session.emplace(region, UploadSession::Options{});
  const auto dead = Fixture::pattern(blocks::chunk_bytes, 5);
  ASSERT_TRUE(session->ingest().put(0, dead));
  const auto stored = session->store(1 << 20);
  EXPECT_EQ(session->ingest().progress().new_bytes, 0U) << "a dead chunk of a live pack is found";
  // Its commit comes between the mark and the compaction of a collection.
  bool committed = false;
  int asked = 0;
  const auto report =
      collect(region, {.grace = 0, .go_on = [&] {
                         if (++asked < 3 || committed) return true;
                         committed = true;
                         session->commit([&](const auto& body) { region.catalog.run_in_txn(body); },
                                         [&](catalog::Txn& txn) {
                                           catalog::insert(txn, catalog::Root{.region = region.name,
                                                                              .kind = "snapshot",
                                                                              .owner = "snap-1",
                                                                              .digest = stored.root.hex(),
                                                                              .size_bytes = 1 << 20});
                                         });
                         return true;
                       }});
  EXPECT_TRUE(committed);
  EXPECT_EQ(report.revived_packs, 0U);
  collect(region, {.grace = 0});
  base::Bytes out(blocks::chunk_bytes);
  ASSERT_TRUE(region.store.read(stored, 0, out));
  EXPECT_EQ(out, dead);
  EXPECT_TRUE(verify(region).bad.empty());
}

TEST(Garbage, a_condemned_pack_that_somebody_read_is_not_deleted) {
  Fixture world;
  auto& region = world.region();
  const auto gone = world.import_disk("gone", Fixture::pattern(1 << 20, 2));
  const auto disk = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return snapshot_disk(txn, region, snapshot_of(txn, region, world.alice.account, gone.snapshot_id));
  });
  deregister_image(region, world.alice, gone.image_id, WithSnapshots::yes);
  EXPECT_EQ(collect(region, {.grace = base::seconds(3600)}).condemned_packs, 2U);
  const auto reader = blocks::Store::open({.files = base::posix_files(), .directory = region.directory / "store"});
  ASSERT_TRUE(reader);
  base::Bytes out(4096);
  ASSERT_TRUE((*reader)->read(disk, 0, out)) << "condemned is readable";
  EXPECT_EQ((*reader)->condemned().reads(), 4U) << "three nodes and a chunk";
  const auto after = collect(region, {.grace = 0});
  EXPECT_EQ(after.revived_packs, 2U);
  EXPECT_EQ(after.deleted_packs, 0U);
  // Nobody reads it any more.
  collect(region, {.grace = 0});
  EXPECT_EQ(usage(region).store_bytes, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(region.directory / "store" / "condemned"));
}

TEST(Garbage, a_catalog_that_knows_nothing_of_a_large_store_deletes_nothing_of_it) {
  Fixture world;
  auto& region = world.region();
  world.import_disk("kept", Fixture::pattern(2 << 20, 1));
  // As if the catalog had been lost: the packs are in no row. The limit is about bytes, so one pack says it is large.
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    txn.execute("DELETE FROM root WHERE region = $1", {region.name});
    txn.execute(
        "UPDATE pack SET bytes = 4000000000, state = 'condemned', condemned_epoch = 0, condemned = 0 "
        "WHERE region = $1",
        {region.name});
  });
  const auto report = collect(region, {.grace = 0});
  EXPECT_FALSE(report.refused.empty());
  EXPECT_EQ(report.deleted_packs, 0U);
  EXPECT_GT(collect(region, {.grace = 0, .force = true}).deleted_packs, 0U);
}

TEST(Garbage, usage_of_an_image_with_two_snapshots_counts_what_they_share_once) {
  Fixture world;
  auto& region = world.region();
  const auto image = world.import_disk("one", Fixture::pattern(1 << 20, 1));
  const auto other = world.import_disk("two", Fixture::pattern(1 << 20, 1));
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    catalog::insert(txn, catalog::ImageDevice{.region = region.name,
                                              .image_id = image.image_id,
                                              .position = 1,
                                              .device_name = "/dev/sdf",
                                              .snapshot_id = other.snapshot_id,
                                              .size_gib = 1});
    txn.execute("DELETE FROM image_device WHERE region = $1 AND image_id = $2", {region.name, other.image_id});
  });
  for (const auto& used : usage(region).images) {
    if (used.image.id != image.image_id) continue;
    EXPECT_EQ(used.bytes.data_bytes, 4U << 20 >> 1);
    EXPECT_EQ(used.bytes.exclusive_bytes, used.bytes.stored_bytes);
    EXPECT_LT(used.bytes.stored_bytes, 2U << 20);
    EXPECT_GT(used.bytes.exclusive_bytes, 1U << 20);
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
