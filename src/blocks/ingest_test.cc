#include "blocks/ingest.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "blocks/mark.h"
#include "blocks/store_testing.h"
#include "blocks/verify.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Status;
using namespace testing;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t gib = 1 << 30;

TEST(Ingest, zeros_are_never_stored_however_they_come) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  Ingest ingest(*store, {.session = "zeros"});
  ASSERT_TRUE(ingest.put(0, base::Bytes(chunk_bytes)));
  ASSERT_TRUE(ingest.put(1, base::Bytes(17)));
  ASSERT_TRUE(ingest.put(2, {}));
  ASSERT_TRUE(ingest.put_zero(3));
  const auto made = ingest.finish(2 * mib);
  ASSERT_TRUE(made) << why(made);
  EXPECT_TRUE(made->disk.root.is_null());
  EXPECT_TRUE(made->packs_written.empty());
  EXPECT_EQ(made->stats.zero_bytes, 2 * mib);
}

TEST(Ingest, what_is_there_already_is_not_stored_again) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_disk(*store, gib, {{0, 1}, {1, 1}, {2, 2}});
  EXPECT_EQ(first.stats.new_bytes, 2 * chunk_bytes);
  EXPECT_EQ(first.stats.deduplicated_bytes, chunk_bytes);
  EXPECT_EQ(first.packs_written.size(), 2u);
  EXPECT_TRUE(first.packs_referenced.empty());

  const auto second = store_disk(*store, gib, {{0, 1}, {1, 1}, {2, 2}});
  EXPECT_EQ(second.disk, first.disk);
  EXPECT_TRUE(second.packs_written.empty());
  EXPECT_EQ(second.stats.stored_bytes, 0u);
  EXPECT_EQ(second.packs_referenced.size(), 2u) << "the data pack and the node pack of the first";

  const auto third = store_disk(*store, gib, {{7, 2}});
  EXPECT_EQ(third.stats.nodes_written, 3u);
  EXPECT_EQ(third.packs_written.size(), 1u);
  EXPECT_EQ(third.packs_referenced.size(), 1u);
}

TEST(Ingest, a_child_is_its_parent_but_for_what_was_put) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto parent = store_disk(*store, 4 * mib, {{0, 1}, {1, 2}, {2, 3}}).disk;
  const auto child = store_disk(*store, gib, {{1, 9}, {2, 0}, {1000, 4}}, parent);
  EXPECT_EQ(child.stats.new_bytes, 2 * chunk_bytes);
  EXPECT_TRUE(holds(*store, child.disk, 0, 1));
  EXPECT_TRUE(holds(*store, child.disk, 1, 9));
  EXPECT_TRUE(holds(*store, child.disk, 2, 0));
  EXPECT_TRUE(holds(*store, child.disk, 1000, 4));
  EXPECT_TRUE(holds(*store, parent, 1, 2));
  const auto same = store_disk(*store, gib, {}, child.disk);
  EXPECT_EQ(same.disk, child.disk);
  EXPECT_TRUE(same.packs_written.empty());
}

TEST(Ingest, a_sparse_disk_of_100_gib_costs_what_its_data_costs) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto made = store_disk(*store, 100 * gib, {{0, 1}, {100'000, 2}, {204'799, 3}});
  EXPECT_EQ(made.stats.nodes_written, 3u + 1 + 1);
  EXPECT_LT(made.stats.stored_bytes, 3 * chunk_bytes);
  EXPECT_TRUE(holds(*store, made.disk, 204'799, 3));
  EXPECT_TRUE(holds(*store, made.disk, 150'000, 0));
}

TEST(Ingest, the_last_put_of_a_chunk_counts) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  for (const unsigned threads : {0u, 1u, 4u}) {
    Ingest ingest(*store, {.session = "again and again", .threads = threads});
    for (std::uint64_t n = 1; n <= 20; ++n) {
      ASSERT_TRUE(ingest.put(0, content(n)));
      ASSERT_TRUE(ingest.put(1, content(n)));
    }
    ASSERT_TRUE(ingest.put_zero(1));
    const auto made = ingest.finish(mib);
    ASSERT_TRUE(made) << why(made);
    EXPECT_TRUE(holds(*store, made->disk, 0, 20)) << threads;
    EXPECT_TRUE(holds(*store, made->disk, 1, 0)) << threads;
  }
}

TEST(Ingest, fills_several_packs_and_announces_each_before_it_is_there) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  std::map<PackId, PackKind> announced;
  base::Mutex mutex;
  Ingest ingest(*store,
                {.session = "large", .threads = 3, .before_pack = [&](const PackId& id, PackKind kind) -> Status {
                   EXPECT_FALSE(store->pack_store().size(id));
                   base::Lock lock(mutex);
                   announced[id] = kind;
                   return {};
                 }});
  constexpr std::uint64_t count = 130;  // of which each takes half its size
  for (std::uint64_t i = 0; i < count; ++i) ASSERT_TRUE(ingest.put(i, content(i + 1)));
  const auto made = ingest.finish(count * chunk_bytes);
  ASSERT_TRUE(made) << why(made);
  EXPECT_EQ(made->packs_written.size(), announced.size());
  EXPECT_GE(announced.size(), 4u);
  std::uint64_t stored = 0, records = 0;
  for (const auto& pack : made->packs_written) {
    EXPECT_EQ(announced.at(pack.id), pack.kind);
    EXPECT_EQ(*store->pack_store().size(pack.id), pack.bytes);
    EXPECT_LE(pack.bytes, pack_target_bytes);
    stored += pack.bytes;
    records += pack.records;
  }
  EXPECT_EQ(stored, made->stats.stored_bytes);
  EXPECT_EQ(records, count + made->stats.nodes_written);
  EXPECT_EQ(ingest.packs_begun().size(), announced.size());
  for (std::uint64_t i = 0; i < count; i += 13) EXPECT_TRUE(holds(*store, made->disk, i, i + 1));
}

TEST(Ingest, packs_that_may_not_be_used_are_not_shared_with) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_disk(*store, mib, {{0, 1}});
  Ingest ingest(*store, {.session = "alone", .usable = [](const PackId&) { return false; }});
  ASSERT_TRUE(ingest.put(0, content(1)));
  const auto made = ingest.finish(mib);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->disk, first.disk);
  EXPECT_EQ(made->packs_written.size(), 2u);
  EXPECT_TRUE(made->packs_referenced.empty());
}

TEST(Ingest, stores_again_what_was_condemned_between_look_up_and_commit) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_disk(*store, mib, {{0, 1}});
  std::atomic<bool> condemned = false;
  Ingest ingest(*store, {.session = "unlucky", .usable = [&](const PackId& pack) {
                           const auto& old = first.packs_written;
                           return !condemned || std::ranges::none_of(old, [&](const auto& p) { return p.id == pack; });
                         }});
  ASSERT_TRUE(ingest.put(0, content(1)));
  ASSERT_TRUE(ingest.put(1, content(2)));
  const auto made = ingest.finish(mib);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->packs_referenced.size(), 1u);
  condemned = true;
  const auto again = ingest.again();
  ASSERT_TRUE(again) << why(again);
  EXPECT_EQ(again->disk, made->disk);
  EXPECT_TRUE(again->packs_referenced.empty());
  EXPECT_EQ(again->packs_written.size(), made->packs_written.size() + 1);
  for (const auto& pack : first.packs_written) ASSERT_TRUE(store->forget_pack(pack.id));
  const auto reader = open_store(directory.path(), Access::read, 0);
  EXPECT_TRUE(holds(*reader, again->disk, 0, 1));
  EXPECT_TRUE(holds(*reader, again->disk, 1, 2));
}

TEST(Ingest, refuses_sizes_that_cannot_be) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto parent = store_disk(*store, 2 * mib, {{0, 1}}).disk;
  const auto fault_of = [&](std::uint64_t size) {
    Ingest ingest(*store, {.session = "sizes", .parent = parent});
    EXPECT_TRUE(ingest.put(6, content(2)));
    const auto made = ingest.finish(size);
    return made ? "ok" : std::string(to_string(made.error().fault()));
  };
  EXPECT_EQ(fault_of(0), "invalid");
  EXPECT_EQ(fault_of(mib), "invalid") << "shorter than the parent";
  EXPECT_EQ(fault_of(3 * mib), "invalid") << "data past the end";
  EXPECT_EQ(fault_of(4 * mib + 1), "invalid");
  EXPECT_EQ(fault_of(max_disk_bytes + 512), "invalid");
  EXPECT_EQ(fault_of(4 * mib), "ok");
  Ingest ingest(*store, {.session = "indexes"});
  EXPECT_EQ(ingest.put(max_disk_chunks, content(1)).error().fault(), Fault::invalid);
  EXPECT_EQ(ingest.put_zero(max_disk_chunks).error().fault(), Fault::invalid);
  EXPECT_EQ(ingest.put(0, base::Bytes(chunk_bytes + 1)).error().fault(), Fault::invalid);
}

TEST(Ingest, a_disk_may_end_inside_its_last_chunk) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  Ingest ingest(*store, {.session = "ragged"});
  auto tail = content(5);
  tail.resize(1536);
  ASSERT_TRUE(ingest.put(1, tail));
  const auto made = ingest.finish(chunk_bytes + 1536);
  ASSERT_TRUE(made) << why(made);
  base::Bytes bytes(1536);
  ASSERT_TRUE(store->read(made->disk, chunk_bytes, bytes));
  EXPECT_EQ(bytes, tail);
}

TEST(Ingest, the_first_error_ends_the_session_and_is_told_to_every_later_call) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  Ingest ingest(*store, {.session = "s-1", .before_pack = [](const PackId&, PackKind) -> Status {
                           return Error(Fault::fenced, "another daemon took over");
                         }});
  ASSERT_TRUE(ingest.put(0, content(1)));
  const auto made = ingest.finish(mib);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().fault(), Fault::fenced);
  EXPECT_EQ(ingest.put(1, content(2)).error().fault(), Fault::fenced);
  EXPECT_EQ(ingest.finish(mib).error().fault(), Fault::fenced);
  EXPECT_EQ(ingest.again().error().fault(), Fault::fenced);
  EXPECT_TRUE(pack_files(directory.path()).empty());
}

TEST(Ingest, an_abandoned_session_leaves_only_packs_that_it_named) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  std::vector<PackId> begun;
  {
    Ingest ingest(*store, {.session = "cut short"});
    for (std::uint64_t i = 0; i < 80; ++i) ASSERT_TRUE(ingest.put(i, content(i + 1)));
    ingest.abandon();
    EXPECT_EQ(ingest.put(0, content(1)).error().fault(), Fault::failed);
    begun = ingest.packs_begun();
  }
  EXPECT_EQ(store->packs()->size(), pack_files(directory.path()).size());
  for (const auto& id : begun) ASSERT_TRUE(store->forget_pack(id));
  EXPECT_TRUE(pack_files(directory.path()).empty());
  EXPECT_TRUE(store->packs()->empty());
}

TEST(Ingest, several_threads_may_put) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  Ingest ingest(*store, {.session = "wide"});
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(ingest.put(t * 10 + i, content(i + 1)));
    });
  }
  for (auto& thread : threads) thread.join();
  const auto made = ingest.finish(20 * mib);
  ASSERT_TRUE(made) << why(made);
  EXPECT_EQ(made->stats.new_bytes, 10 * chunk_bytes);
  EXPECT_EQ(made->stats.deduplicated_bytes, 30 * chunk_bytes);
  for (std::uint64_t i = 0; i < 40; ++i) EXPECT_TRUE(holds(*store, made->disk, i, i % 10 + 1));
}

// Disks made of random changes of each other, forgotten packs and reopened stores, against maps in memory.
TEST(StoreModel, random_disks_hold_what_their_maps_hold) {
  const auto seed = test_seed();
  std::mt19937_64 random(seed);
  struct Disk {
    DiskId id;
    std::map<std::uint64_t, std::uint64_t> chunks;
  };
  const TestDirectory directory;
  auto store = open_store(directory.path());
  std::vector<Disk> disks;
  for (int step = 0; step < 40; ++step) {
    const auto what = random() % 8;
    if (what < 5) {
      const Disk* parent = disks.empty() || what == 0 ? nullptr : &disks[random() % disks.size()];
      Disk disk = parent != nullptr ? *parent : Disk{};
      Chunks puts;
      for (auto count = random() % 12; count > 0; --count) {
        const auto index = random() % 3 == 0 ? random() % 20'000 : random() % 8;
        const auto n = random() % 10;
        puts.emplace_back(index, n);
        disk.chunks[index] = n;
      }
      disk.id = store_disk(*store, 10 * gib, puts, parent != nullptr ? std::optional(parent->id) : std::nullopt).disk;
      disks.push_back(disk);
    } else if (what == 5 && disks.size() > 1) {
      disks.erase(disks.begin() + static_cast<std::ptrdiff_t>(random() % disks.size()));
      std::vector<DiskId> roots;
      for (const auto& disk : disks) roots.push_back(disk.id);
      const auto marked = mark(*store, roots);
      ASSERT_TRUE(marked) << why(marked);
      for (const auto& [pack, use] : marked->packs) {
        if (use.live_records == 0) {
          ASSERT_TRUE(store->forget_pack(pack));
        }
      }
    } else if (what == 6) {
      store.reset();
      if (random() % 2 == 0) std::filesystem::remove_all(directory.path() / "index");
      store = open_store(directory.path());
    } else {
      ASSERT_TRUE(store->rebuild_index());
    }
    std::vector<DiskId> roots;
    for (const auto& disk : disks) {
      roots.push_back(disk.id);
      for (const auto& [index, n] : disk.chunks) ASSERT_TRUE(holds(*store, disk.id, index, n)) << "step " << step;
    }
    const auto verified = verify(*store, roots);
    ASSERT_TRUE(verified && verified->bad.empty()) << "step " << step;
  }
}

}  // namespace
}  // namespace kiln::blocks
