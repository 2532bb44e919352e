#include "control/scrub.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "blocks/pack.h"
#include "catalog/blocks.h"
#include "control/garbage.h"
#include "control/region_fixture.h"
#include "control/usage.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

blocks::PackId pack_of(Fixture& world, const std::string& kind) {
  const auto rows = catalog::in_read(
      world.region().catalog, [&](catalog::Txn& txn) { return catalog::packs_in_state(txn, "us-east-1", "live"); });
  for (const auto& row : rows) {
    if (row.kind == kind) return *blocks::PackId::from_text(row.id);
  }
  ADD_FAILURE() << "no such pack";
  return {};
}

void damage(Fixture& world, const blocks::PackId& pack, std::uint64_t offset) {
  const auto path = static_cast<blocks::DirectoryPackStore&>(world.region().store.pack_store()).path_of(pack);
  const auto file = *base::posix_files().open(path, base::Open::read_write);
  std::byte byte[1];
  ASSERT_TRUE(file->read_exactly(offset, byte));
  byte[0] ^= std::byte{0x40};
  ASSERT_TRUE(file->write_at(offset, byte));
}

// Steps until every pack that is due has been read.
int read_all_that_is_due(Scrubber& scrubber, Region& region) {
  int read = 0;
  while (scrubber.step(region).read) ++read;
  return read;
}

TEST(Scrub, every_pack_is_read_within_the_period_and_not_all_at_once) {
  Fixture world;
  auto& region = world.region();
  for (std::uint64_t n = 1; n <= 4; ++n) {
    world.import_disk("image-" + std::to_string(n), Fixture::pattern(1 << 20, n));
  }
  Scrubber slow(world.regions(), {});
  EXPECT_EQ(read_all_that_is_due(slow, region), 1) << "the first pack is due at once, the second in days";
  EXPECT_EQ(slow.step(region).wait, base::seconds(5));
  EXPECT_EQ(scrub_state(region).packs, 1U);
  // Another process goes on where this one was; time that has passed makes packs due.
  world.restart();
  Scrubber fast(world.regions(), {.period = 1});
  EXPECT_EQ(read_all_that_is_due(fast, world.region()), 7);
  const auto state = scrub_state(world.region());
  EXPECT_NE(state.finished, 0);
  EXPECT_FALSE(state.after);
  EXPECT_EQ(state.packs, 0U);
}

TEST(Scrub, it_rests_for_much_longer_than_it_reads) {
  Fixture world;
  world.import_disk("image", Fixture::pattern(8 << 20, 1));
  Scrubber scrubber(world.regions(), {.period = 1});
  const auto begun = world.region().clock.monotonic();
  const auto step = scrubber.step(world.region());
  ASSERT_TRUE(step.read);
  EXPECT_LE(step.wait, 19 * (world.region().clock.monotonic() - begun));
  EXPECT_GE(step.wait, base::seconds(19) / 1000);
}

TEST(Scrub, what_a_reader_found_damaged_is_read_at_once_and_listed) {
  Fixture world;
  auto& region = world.region();
  const auto image = world.import_disk("image", Fixture::pattern(2 << 20, 1));
  Scrubber scrubber(world.regions(), {});
  read_all_that_is_due(scrubber, region);
  const auto pack = pack_of(world, "data");
  const auto contents = blocks::read_pack_contents(region.store.pack_store(), pack);
  ASSERT_TRUE(contents);
  const auto entry = contents->entries[1];
  damage(world, pack, entry.offset + 4000);
  // As a disk server does: another process that only reads.
  auto reader = blocks::Store::open({.files = base::posix_files(), .directory = region.directory / "store"});
  ASSERT_TRUE(reader) << reader.error().message();
  ASSERT_FALSE((*reader)->chunk(entry.id));
  EXPECT_TRUE(region.store.bad_records().list().empty());
  EXPECT_TRUE(scrubber.step(region).read);
  const auto bad = region.store.bad_records().list();
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_EQ(bad[0].id, entry.id);
  EXPECT_EQ(usage(region).damaged.size(), 1U);
  EXPECT_FALSE(scrubber.step(region).read) << "it is read once for a report";
}

TEST(Scrub, damage_is_told_and_healed_by_the_next_store_of_the_content) {
  Fixture world;
  auto& region = world.region();
  const auto bytes = Fixture::pattern(2 << 20, 1);
  const auto image = world.import_disk("image", bytes);
  const auto pack = pack_of(world, "data");
  const auto contents = blocks::read_pack_contents(region.store.pack_store(), pack);
  ASSERT_TRUE(contents);
  const auto entry = contents->entries[1];
  damage(world, pack, entry.offset + 4000);
  const auto bad = scrub_now(region).bad;
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_EQ(bad[0].id, entry.id);
  EXPECT_EQ(bad[0].location.pack, pack);
  EXPECT_EQ(bad[0].location.offset, entry.offset);
  auto damaged = usage(region).damaged;
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_FALSE(damaged[0].healed);
  EXPECT_EQ(verify(region).bad.size(), 1U);
  // Collecting neither deletes the pack with the only copy nor ends with an error.
  collect(region, {.grace = 0});
  EXPECT_EQ(pack_of(world, "data"), pack);

  EXPECT_EQ(world.import_disk("again", bytes).total.new_bytes, blocks::chunk_bytes);
  damaged = usage(region).damaged;
  ASSERT_EQ(damaged.size(), 1U);
  EXPECT_TRUE(damaged[0].healed);
  collect(region, {.grace = 0});
  world.restart();
  EXPECT_EQ(world.read(world.volume(world.alice, image.snapshot_id), 0, bytes.size()), bytes);
}

TEST(Scrub, a_damaged_footer_is_healed_by_the_next_collection) {
  Fixture world;
  auto& region = world.region();
  const auto bytes = Fixture::pattern(2 << 20, 1);
  const auto image = world.import_disk("image", bytes);
  const auto pack = pack_of(world, "data");
  damage(world, pack, *region.store.pack_store().size(pack) - 100);
  EXPECT_EQ(scrub_now(region).bad.size(), 1U);
  EXPECT_EQ(collect(region, {.grace = 0}).compacted_packs, 1U);
  EXPECT_NE(pack_of(world, "data"), pack);
  EXPECT_TRUE(usage(region).damaged.empty());
  ASSERT_TRUE(region.store.rebuild_index());
  EXPECT_TRUE(verify(region).bad.empty());
  EXPECT_EQ(world.read(world.volume(world.alice, image.snapshot_id), 0, bytes.size()), bytes);
}

TEST(Scrub, a_damaged_position_begins_anew) {
  Fixture world;
  auto& region = world.region();
  world.import_disk("image", Fixture::pattern(1 << 20, 1));
  ASSERT_TRUE(region.files.replace(region.directory / "scrub", base::as_bytes("kiln-scrub 1\nafter nowhere\n")));
  EXPECT_EQ(scrub_state(region).began, 0);
  Scrubber scrubber(world.regions(), {.period = 1});
  EXPECT_EQ(read_all_that_is_due(scrubber, region), 2);
}

TEST(Scrub, its_thread_ends_when_it_is_told_to) {
  Fixture world;
  world.import_disk("image", Fixture::pattern(1 << 20, 1));
  Scrubber scrubber(world.regions(), {});
  scrubber.start();
  scrubber.stop();
}

}  // namespace
}  // namespace kiln::control
