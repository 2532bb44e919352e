#include "blocks/prefetcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Result;
using base::Status;
using namespace testing;
using Clock = std::chrono::steady_clock;

::testing::AssertionResult ends(Prefetcher& prefetcher) {
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  while (prefetcher.running() > 0) {
    if (Clock::now() > deadline) return ::testing::AssertionFailure() << "still at it";
    std::this_thread::yield();
  }
  return ::testing::AssertionSuccess();
}

struct PrefetcherTest : ::testing::Test {
  TestDirectory directory;
  DiskId disk;
  static constexpr std::uint64_t chunks = 40;

  PrefetcherTest() {
    const auto store = open_store(store_path());
    Chunks content;
    for (std::uint64_t i = 0; i < chunks; ++i) content.emplace_back(i, i % 10 == 9 ? 0 : i + 1);
    disk = store_disk(*store, chunks * chunk_bytes, content).disk;
  }
  base::Path store_path() const { return directory.path() / "store"; }
  std::unique_ptr<Store> reader() {
    auto store = Store::open({.files = base::posix_files(),
                              .directory = store_path(),
                              .access = Access::read,
                              .chunk_cache_bytes = 0,
                              .slots = SlotCacheOptions{.directory = directory.path() / "slots"}});
    EXPECT_TRUE(store) << why(store);
    return *std::move(store);
  }
  std::vector<std::uint64_t> in_slots(Store& store) {
    const auto slots = SlotCache::open(base::posix_files(), {.directory = directory.path() / "slots"});
    std::vector<std::uint64_t> found;
    for (std::uint64_t i = 0; i < chunks; ++i) {
      if ((*slots)->holds(*store.chunk_id(disk, i))) found.push_back(i);
    }
    return found;
  }
};

TEST_F(PrefetcherTest, what_was_brought_lies_in_slots) {
  const auto store = reader();
  Prefetcher prefetcher(*store);
  prefetcher.start(disk, {20, 3, 9, 21, 5, 1'000'000}, 0);
  ASSERT_TRUE(ends(prefetcher));
  EXPECT_EQ(in_slots(*store), (std::vector<std::uint64_t>{3, 5, 20, 21}));
  for (const std::uint64_t i : {3, 5, 20, 21}) EXPECT_TRUE(holds(*store, disk, i, i + 1));
}

TEST_F(PrefetcherTest, without_a_list_it_is_the_whole_disk) {
  const auto store = reader();
  Prefetcher prefetcher(*store);
  prefetcher.start(disk, {}, 0);
  ASSERT_TRUE(ends(prefetcher));
  EXPECT_EQ(in_slots(*store).size(), chunks * 9 / 10);
}

TEST_F(PrefetcherTest, a_damaged_neighbour_is_passed_over_and_the_others_come) {
  const auto store = reader();
  const auto damaged = *store->chunk_id(disk, 4);
  const auto place = store->locations(damaged)->at(0);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_path() / "packs")) {
    if (entry.path().stem() != place.pack.text()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(place.offset + place.length - 1));
    file.put('x');
  }
  Prefetcher prefetcher(*store);
  prefetcher.start(disk, {3, 4, 5}, 0);
  ASSERT_TRUE(ends(prefetcher));
  EXPECT_EQ(in_slots(*store), (std::vector<std::uint64_t>{3, 5}));
}

TEST_F(PrefetcherTest, neighbours_in_a_pack_are_one_batch) {
  const auto store = reader();
  std::vector<ChunkId> ids;
  for (std::uint64_t i = 0; i < chunks; ++i) {
    const auto id = store->chunk_id(disk, i);
    ASSERT_TRUE(id) << why(id);
    if (!id->is_null()) ids.push_back(*id);
  }
  const auto batches = store->together(ids);
  EXPECT_LT(batches.size(), ids.size() / 3);
  std::size_t found = 0;
  for (const auto& batch : batches) found += batch.size();
  EXPECT_EQ(found, ids.size());
  EXPECT_TRUE(std::ranges::find(batches.front(), ids.front()) != batches.front().end())
      << "the first wanted come first";
  EXPECT_TRUE(store->together(std::vector{base::sha256("unknown")}).empty());
}

// A source whose chunks come when they are let through.
class SlowSource final : public DiskSource {
 public:
  Result<ChunkId> chunk_id(const DiskId&, std::uint64_t index) override { return base::sha256(std::to_string(index)); }
  Result<ChunkBytes> chunk(const ChunkId&) override {
    std::unique_lock lock(mutex_);
    most_ = std::max(most_, ++waiting_);
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    --waiting_;
    ++brought_;
    return std::make_shared<const Bytes>(chunk_bytes);
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return waiting_ == count; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::size_t brought() {
    const std::lock_guard lock(mutex_);
    return brought_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  std::size_t waiting_ = 0, most_ = 0, brought_ = 0;
};

const DiskId large{.root = base::sha256("root"), .size_bytes = std::uint64_t{64} << 40};

TEST(Prefetcher, waits_for_many_reads_at_once) {
  SlowSource source;
  Prefetcher prefetcher(source);
  prefetcher.start(large, {}, 0);
  EXPECT_TRUE(source.wait_for(prefetch_width));
  source.open();
}

TEST(Prefetcher, begins_nothing_twice_while_it_is_at_it) {
  SlowSource source;
  Prefetcher prefetcher(source);
  for (int i = 0; i < 10; ++i) prefetcher.start(large, {1, 2, 3}, 0);
  EXPECT_EQ(prefetcher.running(), 1U);
  prefetcher.start(large, {1, 2}, 0);
  EXPECT_EQ(prefetcher.running(), 2U);
  source.open();
  ASSERT_TRUE(ends(prefetcher));
  EXPECT_EQ(source.brought(), 5U);
}

// A source that has no memory for any chunk.
class PoorSource final : public DiskSource {
 public:
  Result<ChunkId> chunk_id(const DiskId&, std::uint64_t index) override { return base::sha256(std::to_string(index)); }
  Result<ChunkBytes> chunk(const ChunkId&) override { throw std::bad_alloc(); }
};

TEST(Prefetcher, gives_up_where_there_is_no_memory_and_the_process_lives) {
  PoorSource source;
  Prefetcher prefetcher(source);
  prefetcher.start(large, {1, 2, 3, 4, 5, 6, 7, 8}, 0);
  EXPECT_TRUE(ends(prefetcher));
}

TEST(Prefetcher, stops_a_disk_of_64_tib_when_it_is_destroyed) {
  SlowSource source;
  source.open();
  {
    Prefetcher prefetcher(source);
    prefetcher.start(large, {}, 0);
    while (source.brought() == 0) std::this_thread::yield();
  }
  const auto then = source.brought();
  EXPECT_LT(then, large.size_bytes / chunk_bytes);
}

TEST(Prefetcher, keeps_to_its_rate) {
  SlowSource source;
  source.open();
  Prefetcher prefetcher(source);
  const auto start = Clock::now();
  prefetcher.start(large, {1, 2, 3, 4, 5}, 10 * chunk_bytes);
  ASSERT_TRUE(ends(prefetcher));
  EXPECT_EQ(source.brought(), 5U);
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(400)) << "four tenths of a second between five chunks";
}

}  // namespace
}  // namespace kiln::blocks
