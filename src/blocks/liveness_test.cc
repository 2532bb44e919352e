// What marking, usage and compaction make of copies, of bases and of damage.
#include <algorithm>
#include <map>
#include <set>

#include "blocks/compaction.h"
#include "blocks/mark.h"
#include "blocks/scrub.h"
#include "blocks/store_testing.h"
#include "blocks/usage.h"
#include "blocks/verify.h"

namespace kiln::blocks {
namespace {

using namespace testing;

constexpr std::uint64_t mib = 1 << 20;

void damage(Store& store, const PackId& pack, std::uint64_t offset) {
  const auto path = static_cast<DirectoryPackStore&>(store.pack_store()).path_of(pack);
  const auto file = *base::posix_files().open(path, base::Open::read_write);
  std::byte byte[1];
  ASSERT_TRUE(file->read_exactly(offset, byte));
  byte[0] ^= std::byte{0x10};
  ASSERT_TRUE(file->write_at(offset, byte));
}

std::uint32_t length_in(Store& store, const PackId& pack, std::uint64_t n) {
  const auto contents = read_pack_contents(store.pack_store(), pack);
  const auto* entry = contents ? contents->find(base::sha256(content(n))) : nullptr;
  return entry != nullptr ? entry->length : 0;
}

Marked mark_all(Store& store, std::vector<DiskId> roots, const std::set<PackId>& condemned = {}) {
  auto packs = *indexed_packs(store);
  for (auto& pack : packs) pack.condemned = condemned.contains(pack.id);
  auto marked = mark(store, MarkRequest{.roots = roots, .packs = packs});
  EXPECT_TRUE(marked) << why(marked);
  return marked ? *std::move(marked) : Marked{};
}

TEST(Liveness, a_live_record_keeps_its_bases_and_nothing_else_of_their_packs) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto bases = store_pack(*store, {{1, {}}, {2, {}}, {3, {}}});
  const auto based = store_pack(*store, {{10, {1, 2}}});
  const auto disk = store_disk(*store, mib, {{0, 10}});
  const auto marked = mark_all(*store, {disk.disk});
  EXPECT_EQ(marked.packs.at(based).live_records, 1u);
  EXPECT_EQ(marked.packs.at(bases).live_records, 2u);
  EXPECT_EQ(marked.packs.at(bases).live_bytes, length_in(*store, bases, 1) + length_in(*store, bases, 2));
  EXPECT_EQ(marked.chunks, 3u);
}

TEST(Liveness, bases_of_dead_records_live_as_long_as_their_pack_stays) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto base = store_pack(*store, {{1, {}}});
  const auto mixed = store_pack(*store, {{10, {1}}, {11, {}}});
  const auto disk = store_disk(*store, mib, {{0, 11}});
  const auto marked = mark_all(*store, {disk.disk});
  EXPECT_EQ(marked.packs.at(mixed).live_records, 1u);
  EXPECT_EQ(marked.packs.at(base).live_records, 1u) << "an upload may find the dead chunk 10 and bring it back";
  EXPECT_EQ(marked.chunks, 1u) << "no root needs it";

  const auto none = mark_all(*store, {});
  EXPECT_EQ(none.packs.at(mixed).live_records + none.packs.at(base).live_records, 0u);
  EXPECT_EQ(none.packs.at(mixed).needs, std::vector<PackId>{base}) << "if the one stays for another reason";
  EXPECT_TRUE(none.packs.at(base).needs.empty());
}

TEST(Liveness, of_several_copies_the_youngest_that_is_live_and_good_counts) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto old = store_pack(*store, {{1, {}}});
  const auto young = store_pack(*store, {{1, {}}});
  const auto disk = store_disk(*store, mib, {{0, 1}});
  const auto counts = [&](const std::set<PackId>& condemned) {
    const auto marked = mark_all(*store, {disk.disk}, condemned);
    return std::pair(marked.packs.at(old).live_records, marked.packs.at(young).live_records);
  };
  EXPECT_EQ(counts({}), std::pair(std::uint64_t{0}, std::uint64_t{1}));
  EXPECT_EQ(counts({young}), std::pair(std::uint64_t{1}, std::uint64_t{0}));
  EXPECT_EQ(counts({old, young}), std::pair(std::uint64_t{0}, std::uint64_t{1})) << "what is needed is revived";
  damage(*store, young, 1000);
  EXPECT_EQ(scrub_pack(*store, young)->bad.size(), 1u);
  EXPECT_EQ(counts({}), std::pair(std::uint64_t{1}, std::uint64_t{0}));
  EXPECT_EQ(counts({old}), std::pair(std::uint64_t{1}, std::uint64_t{0})) << "a good copy, though it is condemned";
  damage(*store, old, 1000);
  EXPECT_EQ(scrub_pack(*store, old)->bad.size(), 1u);
  const auto [old_bad, young_bad] = counts({});
  EXPECT_EQ(old_bad + young_bad, 1u) << "a bad copy is kept when there is no other";
}

TEST(Liveness, every_copy_of_a_base_counts_because_each_may_hold_other_literals) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_pack(*store, {{1, {}}, {2, {}}});
  const auto second = store_pack(*store, {{1, {}}, {3, {}}});
  const auto based = store_pack(*store, {{10, {1}}});
  const auto disk = store_disk(*store, mib, {{0, 10}});
  auto marked = mark_all(*store, {disk.disk});
  EXPECT_EQ(marked.packs.at(first).live_records, 1u);
  EXPECT_EQ(marked.packs.at(second).live_records, 1u);
  EXPECT_EQ(marked.packs.at(based).live_records, 1u);
  EXPECT_EQ(mark_all(*store, {disk.disk}, {first}).packs.at(first).live_records, 0u) << "the other one is live";
  // Both copies survive compaction, in packs of their own: a pack holds an id once.
  const PackId sources[] = {first, second};
  const auto done = compact(*store, marked, sources, {});
  ASSERT_TRUE(done) << why(done);
  EXPECT_EQ(done->written.size(), 2u);
  EXPECT_EQ(done->emptied.size(), 2u);
  marked = mark_all(*store, {disk.disk}, {first, second});
  for (const auto& pack : done->written) EXPECT_EQ(marked.packs.at(pack.id).live_records, 1u);
}

TEST(Liveness, a_condemned_copy_of_a_base_does_not_count_wherever_the_live_one_lies) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto condemned = store_pack(*store, {{1, {}}});
  // The youngest pack is looked at first, when nobody has asked for the base yet.
  const auto based = store_pack(*store, {{10, {1}}});
  const auto live = store_pack(*store, {{1, {}}});
  const auto disk = store_disk(*store, mib, {{0, 10}});
  const auto marked = mark_all(*store, {disk.disk}, {condemned});
  EXPECT_EQ(marked.packs.at(condemned).live_records, 0u) << "it would be made live again for no reason";
  EXPECT_EQ(marked.packs.at(live).live_records, 1u);
  EXPECT_EQ(marked.pack_of(base::sha256(content(1))), live);
  EXPECT_EQ(marked.packs.at(based).required_records, 1u);
}

TEST(Liveness, what_is_needed_for_its_literals_only_does_not_need_its_bases) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto oldest = store_pack(*store, {{1, {}}});
  const auto base = store_pack(*store, {{2, {1}}});
  const auto based = store_pack(*store, {{10, {2}}});
  const auto disk = store_disk(*store, mib, {{0, 10}});
  const auto marked = mark_all(*store, {disk.disk});
  EXPECT_EQ(marked.packs.at(based).live_records, 1u);
  EXPECT_EQ(marked.packs.at(base).live_records, 1u);
  EXPECT_EQ(marked.chunks, 2u);
  EXPECT_EQ(marked.packs.at(oldest).live_records, 1u) << "an upload may find chunk 2 and read it whole";
  ASSERT_TRUE(store->forget_pack(oldest));
  EXPECT_TRUE(mark(*store, std::vector{disk.disk})) << "which is no reason to fail when it is gone";
}

TEST(Liveness, a_chunk_that_was_found_bad_is_stored_again_and_the_good_copy_is_the_one_that_is_read) {
  const TestDirectory directory;
  const auto store = open_store(directory.path(), Access::write, 0);
  const auto disk = store_disk(*store, mib, {{0, 1}, {1, 2}});
  const auto place = store->locations(base::sha256(content(1)))->front();
  damage(*store, place.pack, place.offset + 500);
  EXPECT_FALSE(holds(*store, disk.disk, 0, 1));
  EXPECT_EQ(store_disk(*store, mib, {{0, 1}}).stats.new_bytes, 0u) << "nobody has read the damage yet";
  const auto scrubbed = scrub_pack(*store, place.pack);
  ASSERT_TRUE(scrubbed);
  ASSERT_EQ(scrubbed->bad.size(), 1u);
  EXPECT_EQ(scrubbed->bad[0].location, place);
  EXPECT_NE(scrubbed->bad[0].why.find(place.pack.text()), std::string::npos);
  EXPECT_EQ(store_disk(*store, mib, {{0, 1}, {1, 2}}).stats.new_bytes, chunk_bytes) << "chunk 2 is good";
  EXPECT_TRUE(holds(*store, disk.disk, 0, 1));
  const auto marked = mark_all(*store, {disk.disk});
  EXPECT_EQ(marked.packs.at(place.pack).live_records, 1u);
  // The list survives the process, and goes with the pack.
  EXPECT_EQ(BadRecords(base::posix_files(), directory.path() / "BAD").list().size(), 1u);
  ASSERT_TRUE(store->forget_pack(place.pack));
  EXPECT_TRUE(store->bad_records().list().empty());
}

TEST(Liveness, what_is_good_again_goes_from_the_list) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto pack = store_pack(*store, {{1, {}}, {2, {}}});
  damage(*store, pack, 2000);
  EXPECT_EQ(scrub_pack(*store, pack)->bad.size(), 1u);
  damage(*store, pack, 2000);
  EXPECT_TRUE(scrub_pack(*store, pack)->bad.empty());
  EXPECT_TRUE(store->bad_records().list().empty());
}

TEST(Liveness, compaction_copies_records_as_they_are_and_leaves_what_is_dead) {
  const TestDirectory directory;
  const auto store = open_store(directory.path(), Access::write, 0);
  const auto bases = store_pack(*store, {{1, {}}, {2, {}}});
  const auto mixed = store_pack(*store, {{10, {1}}, {11, {}}, {12, {2}}, {13, {}}});
  const auto disk = store_disk(*store, mib, {{0, 10}, {1, 11}});
  const auto marked = mark_all(*store, {disk.disk});
  const PackId sources[] = {mixed};
  const auto before = read_pack_contents(store->pack_store(), mixed);
  const auto done = compact(*store, marked, sources, {});
  ASSERT_TRUE(done) << why(done);
  EXPECT_EQ(done->emptied, std::vector<PackId>{mixed});
  EXPECT_EQ(done->bases, std::vector<PackId>{bases});
  ASSERT_EQ(done->written.size(), 1u);
  const auto copy = read_pack_contents(store->pack_store(), done->written[0].id);
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->entries.size(), 2u);
  for (const auto& entry : copy->entries) {
    const auto* original = before->find(entry.id);
    ASSERT_NE(original, nullptr);
    EXPECT_EQ(entry.bases, original->bases);
    base::Bytes was(original->length), is(entry.length);
    ASSERT_TRUE(store->pack_store().read(mixed, original->offset, was));
    ASSERT_TRUE(store->pack_store().read(copy->header.id, entry.offset, is));
    EXPECT_EQ(was, is);
  }
  // The copies count from here on, and what was left is not missed.
  const auto after = mark_all(*store, {disk.disk}, {mixed});
  EXPECT_EQ(after.packs.at(mixed).live_records, 0u);
  ASSERT_TRUE(store->forget_pack(mixed));
  EXPECT_TRUE(holds(*store, disk.disk, 1, 11));
  EXPECT_EQ(mark_all(*store, {disk.disk}).packs.at(bases).live_records, 1u) << "base 2 died with record 12";
}

TEST(Liveness, compaction_leaves_a_pack_with_a_bad_live_record_alone_and_says_so) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto mixed = store_pack(*store, {{10, {}}, {11, {}}, {12, {}}});
  const auto disk = store_disk(*store, mib, {{0, 10}});
  const auto place = store->locations(base::sha256(content(10)))->front();
  damage(*store, mixed, place.offset + 300);
  const auto marked = mark_all(*store, {disk.disk});
  const PackId sources[] = {mixed};
  const auto done = compact(*store, marked, sources, {});
  ASSERT_TRUE(done) << why(done);
  EXPECT_TRUE(done->emptied.empty());
  EXPECT_TRUE(done->written.empty());
  ASSERT_EQ(done->bad.size(), 1u);
  EXPECT_EQ(done->bad[0].location, place);
}

TEST(Liveness, a_pack_whose_footer_rotted_is_marked_by_the_index_and_healed_by_a_copy) {
  const TestDirectory directory;
  const auto store = open_store(directory.path(), Access::write, 0);
  const auto base = store_pack(*store, {{1, {}}});
  const auto mixed = store_pack(*store, {{10, {1}}, {11, {}}});
  const auto disk = store_disk(*store, mib, {{0, 10}, {1, 11}});
  const auto size = *store->pack_store().size(mixed);
  damage(*store, mixed, size - 20);
  const auto scrubbed = scrub_pack(*store, mixed);
  ASSERT_TRUE(scrubbed);
  EXPECT_TRUE(std::ranges::any_of(scrubbed->bad, is_pack_damage));
  const auto marked = mark_all(*store, {disk.disk});
  EXPECT_EQ(marked.packs.at(mixed).live_records, 2u);
  EXPECT_EQ(marked.packs.at(base).live_records, 1u) << "bases are in the records too";
  const PackId sources[] = {mixed};
  const auto done = compact(*store, marked, sources, {});
  ASSERT_TRUE(done) << why(done);
  EXPECT_EQ(done->emptied.size(), 1u);
  ASSERT_TRUE(store->forget_pack(mixed));
  EXPECT_TRUE(holds(*store, disk.disk, 1, 11));
}

TEST(Liveness, a_reader_prefers_a_copy_that_is_not_condemned_and_says_when_there_is_none) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto old = store_pack(*store, {{1, {}}, {2, {}}});
  const auto young = store_pack(*store, {{1, {}}});
  const auto disk = store_disk(*store, mib, {{0, 1}, {1, 2}});
  ASSERT_TRUE(store->condemned().set({old}));
  const auto reader = open_store(directory.path(), Access::read, 0);
  EXPECT_TRUE(holds(*reader, disk.disk, 0, 1));
  EXPECT_EQ(reader->condemned().reads(), 0u);
  EXPECT_TRUE(holds(*reader, disk.disk, 1, 2)) << "condemned is still readable";
  EXPECT_EQ(reader->condemned().reads(), 1u);
  EXPECT_EQ(*store->condemned().read_ones(), std::set<PackId>{old});
  ASSERT_TRUE(store->condemned().set({young}));
  EXPECT_TRUE(store->condemned().read_ones()->empty());
}

// Marking and usage again, from every root, by the plainest code there is.
struct Oracle {
  std::map<base::Digest, PackEntry> records;  // the copy that counts
  Store& store;

  explicit Oracle(Store& s) : store(s) {
    auto packs = *s.packs();
    std::ranges::sort(packs, {}, &IndexedPack::id);
    for (const auto& pack : packs) {
      const auto contents = read_pack_contents(s.pack_store(), pack.id);
      for (const auto& entry : contents->entries) records[entry.id] = entry;
    }
  }
  std::set<base::Digest> reach(const DiskId& disk) const {
    std::set<base::Digest> found;
    const auto add = [&](const base::Digest& id) {
      found.insert(id);
      for (const auto& base : records.at(id).bases) found.insert(base);
    };
    EXPECT_TRUE(walk_tree(store, disk.root,
                          {.node = [&](const NodeId& id, unsigned, std::uint64_t) -> base::Result<bool> {
                             add(id);
                             return true;
                           },
                           .chunk = [&](const ChunkId& id, std::uint64_t) -> base::Status {
                             add(id);
                             return {};
                           }}));
    return found;
  }
  std::uint64_t bytes(const std::set<base::Digest>& ids) const {
    std::uint64_t sum = 0;
    for (const auto& id : ids) sum += records.at(id).length;
    return sum;
  }
};

TEST(Usage, agrees_with_counting_each_disk_by_itself) {
  const auto seed = test_seed();
  std::mt19937_64 random(seed);
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  for (std::uint64_t n = 1; n <= 12; ++n) {
    BasedChunks based;
    for (const auto based_on = random() % 3; based.size() < based_on;) {
      based.push_back({100 + n * 3 + based.size(), {1 + random() % n, 1 + random() % n}});
    }
    based.push_back({n, {}});
    store_pack(*store, based);
  }
  std::vector<DiskId> disks;
  for (int i = 0; i < 10; ++i) {
    Chunks chunks;
    for (std::uint64_t c = 0; c < 6; ++c) {
      chunks.emplace_back(random() % 1500, random() % 2 == 0 ? random() % 16 : 103 + random() % 36);
    }
    std::map<std::uint64_t, std::uint64_t> once(chunks.begin(), chunks.end());
    std::optional<DiskId> parent;
    if (!disks.empty() && random() % 3 != 0) parent = disks[random() % disks.size()];
    disks.push_back(store_disk(*store, 1024 * mib, Chunks(once.begin(), once.end()), parent).disk);
  }
  disks.push_back({.root = {}, .size_bytes = mib});
  disks.push_back(disks.front());
  const std::vector<std::vector<std::size_t>> groups = {{0, 1, 2}, {0, 11}, {}, {3}, {2, 4, 6, 8}};
  const auto packs = *indexed_packs(*store);
  const auto used = usage(*store, {.roots = disks, .groups = groups, .packs = packs});
  ASSERT_TRUE(used) << why(used);

  const Oracle oracle(*store);
  std::vector<std::set<base::Digest>> reached;
  for (const auto& disk : disks) reached.push_back(oracle.reach(disk));
  const auto check = [&](const RootUsage& got, const std::vector<std::size_t>& group) {
    std::set<base::Digest> mine, others;
    for (std::size_t i = 0; i < disks.size(); ++i) {
      const bool in = std::ranges::find(group, i) != group.end();
      (in ? mine : others).insert(reached[i].begin(), reached[i].end());
    }
    EXPECT_EQ(got.stored_bytes, oracle.bytes(mine));
    std::erase_if(mine, [&](const auto& id) { return others.contains(id); });
    EXPECT_EQ(got.exclusive_bytes, oracle.bytes(mine));
  };
  std::set<base::Digest> all;
  for (std::size_t i = 0; i < disks.size(); ++i) {
    check(used->roots[i], {i});
    EXPECT_EQ(used->roots[i].data_bytes, *data_bytes(*store, disks[i]));
    all.insert(reached[i].begin(), reached[i].end());
  }
  for (std::size_t g = 0; g < groups.size(); ++g) check(used->groups[g], groups[g]);
  EXPECT_EQ(used->live_bytes, oracle.bytes(all));
  // And marking, which also keeps the bases of what is dead.
  const auto marked = mark_all(*store, disks);
  EXPECT_GE(marked.live_bytes, used->live_bytes);
  for (const auto& id : all) EXPECT_TRUE(marked.pack_of(id)) << id.hex();
}

}  // namespace
}  // namespace kiln::blocks
