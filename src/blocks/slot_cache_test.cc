#include "blocks/slot_cache.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "blocks/slot_pins.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Path;
using base::Result;
using testing::content;
using testing::test_seed;
using testing::TestDirectory;
using testing::why;

const base::Path golden = base::Path(KILN_SOURCE_DIR) / "tests" / "golden" / "blocks" / "slot-2.head";

// An id in the group of first; the cache does not hash, so any id goes with any content.
ChunkId id_of(std::uint64_t n, std::uint8_t group = 7) {
  auto id = base::sha256("chunk " + std::to_string(n));
  id.bytes[0] = std::byte{group};
  return id;
}

SlotHead golden_head() {
  SlotHead head{.id = base::sha256("golden")};
  head.domain.bytes.fill(std::byte{0xd0});
  for (std::uint64_t i = 0; i < units_per_chunk; ++i) head.sums[i] = i * 0x0123456789abcdef;
  return head;
}

struct SlotCacheTest : ::testing::Test {
  TestDirectory directory;
  std::atomic<int> loads = 0;

  std::unique_ptr<SlotCache> open(std::uint64_t slots_of_a_group = 4) {
    auto cache = SlotCache::open(base::posix_files(), {.directory = directory.path(),
                                                       .budget_bytes = slots_of_a_group * min_slot_budget_bytes,
                                                       .lock_limit = std::chrono::milliseconds(20'000)});
    EXPECT_TRUE(cache) << why(cache);
    return *std::move(cache);
  }
  SlotCache::Load load(std::uint64_t n) {
    return [this, n]() -> Result<Decoded> {
      ++loads;
      return Decoded{.bytes = content(n)};
    };
  }
  ::testing::AssertionResult gives(SlotCache& cache, std::uint64_t n, std::uint8_t group = 7) {
    const auto bytes = cache.chunk(id_of(n, group), load(n));
    if (!bytes) return ::testing::AssertionFailure() << why(bytes);
    if (*bytes != content(n)) return ::testing::AssertionFailure() << "other bytes than those of " << n;
    return ::testing::AssertionSuccess();
  }
  Path slot(std::uint64_t n, std::uint8_t group = 7) const {
    const auto name = id_of(n, group).hex();
    return directory.path() / "slots-2" / name.substr(0, 2) / name;
  }
  std::size_t files_of_group(std::uint8_t group = 7) const {
    const auto names = base::posix_files().list(slot(0, group).parent_path());
    return names ? names->size() - 1 : 0;  // LOCK is no slot
  }
  void overwrite(const Path& path, std::uint64_t offset, char byte) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
  }
};

TEST_F(SlotCacheTest, a_chunk_is_decoded_once_for_all_processes) {
  const auto one = open(), other = open();
  EXPECT_TRUE(gives(*one, 1));
  EXPECT_TRUE(gives(*other, 1));
  EXPECT_EQ(loads, 1);
  Bytes part(6000);
  EXPECT_EQ(other->read(id_of(1), 5000, part), SlotCache::Found::yes);
  const auto whole = content(1);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + 5000));
  EXPECT_EQ(other->read(id_of(2), 0, part), SlotCache::Found::no);
}

TEST_F(SlotCacheTest, a_pinned_slot_stays_and_leaves_half_of_its_group_to_others) {
  const auto cache = open(4);
  SlotPins pins(base::posix_files(), directory.path());
  std::set<ChunkId> pinned;
  for (std::uint64_t n = 1; n <= 5; ++n) pinned.insert(id_of(n));
  ASSERT_TRUE(pins.pin(pinned));
  EXPECT_EQ(*pins.list(), pinned);
  EXPECT_FALSE(pins.filled(id_of(1)));
  for (std::uint64_t n = 1; n <= 5; ++n) EXPECT_TRUE(gives(*cache, n));
  for (std::uint64_t n = 6; n < 40; ++n) EXPECT_TRUE(gives(*cache, n));
  EXPECT_EQ(loads, 39);
  std::uint64_t others = 0;
  for (std::uint64_t n = 6; n < 40; ++n) others += pins.filled(id_of(n)) ? 1 : 0;
  EXPECT_EQ(others, 2U) << "half of the group's four";
  for (std::uint64_t n = 1; n <= 5; ++n) EXPECT_TRUE(gives(*open(), n));
  EXPECT_EQ(loads, 39) << "every read of a pinned chunk hits";
  // One that is damaged is filled again, and still pinned.
  overwrite(slot(1), 0, 'x');
  EXPECT_TRUE(gives(*open(), 1));
  EXPECT_EQ(loads, 40);
  ASSERT_TRUE(pins.unpin(pinned));
  EXPECT_TRUE(pins.list()->empty());
  for (std::uint64_t n = 6; n < 40; ++n) EXPECT_TRUE(gives(*cache, n));
  EXPECT_EQ(files_of_group(), 4U);
}

TEST_F(SlotCacheTest, many_that_miss_one_chunk_at_once_load_it_once) {
  std::vector<std::unique_ptr<SlotCache>> processes;
  for (int i = 0; i < 4; ++i) processes.push_back(open());
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (auto& process : processes) {
    for (int i = 0; i < 3; ++i) threads.emplace_back([&] { right += gives(*process, 1) ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 12);
  EXPECT_EQ(loads, 1);
}

TEST_F(SlotCacheTest, an_error_of_the_load_is_the_callers_and_leaves_no_slot) {
  const auto cache = open();
  const auto failed = cache->chunk(id_of(1), []() -> Result<Decoded> { return Error(Fault::corrupt, "rotten"); });
  EXPECT_EQ(failed.error().fault(), Fault::corrupt);
  EXPECT_TRUE(gives(*cache, 1));
  EXPECT_EQ(loads, 1);
}

TEST_F(SlotCacheTest, no_flipped_bit_is_ever_served) {
  std::mt19937_64 random(test_seed());
  ASSERT_TRUE(gives(*open(), 1));
  for (int i = 0; i < 200; ++i) {
    // The rest of the head's page is not looked at.
    const auto at = i % 2 == 0 ? random() % 1080 : random() % slot_file_bytes;
    std::ifstream before(slot(1), std::ios::binary);
    before.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(before.get() ^ 1 << random() % 8);
    overwrite(slot(1), at, byte);
    const auto cache = open();
    Bytes unit(4096);
    const auto place = random() % units_per_chunk * unit_bytes;
    const auto whole = content(1);
    if (cache->read(id_of(1), place, unit) != SlotCache::Found::no) {
      EXPECT_TRUE(std::equal(unit.begin(), unit.end(), whole.begin() + static_cast<std::ptrdiff_t>(place))) << at;
    }
    ASSERT_TRUE(gives(*cache, 1)) << at;
    ASSERT_TRUE(gives(*open(), 1)) << at;
  }
  EXPECT_GT(loads, 100) << "what was damaged is filled again";
}

TEST_F(SlotCacheTest, a_slot_that_is_cut_short_foreign_or_swapped_is_filled_again) {
  const auto damage = [&](int how) {
    if (how == 0) std::filesystem::resize_file(slot(1), 100);
    if (how == 1) std::filesystem::resize_file(slot(1), slot_file_bytes - 1);
    if (how == 2) std::filesystem::resize_file(slot(1), 0);
    if (how == 3) overwrite(slot(1), 8, 3);  // another version
    if (how == 4) std::filesystem::copy_file(slot(2), slot(1), std::filesystem::copy_options::overwrite_existing);
  };
  for (int how = 0; how < 5; ++how) {
    ASSERT_TRUE(gives(*open(), 1));
    ASSERT_TRUE(gives(*open(), 2));
    loads = 0;
    damage(how);
    EXPECT_TRUE(gives(*open(), 1));
    EXPECT_EQ(loads, 1) << how;
    EXPECT_TRUE(gives(*open(), 1));
    EXPECT_EQ(loads, 1) << how;
  }
}

TEST_F(SlotCacheTest, a_slot_that_is_damaged_while_it_is_open_is_dropped) {
  const auto cache = open();
  ASSERT_TRUE(gives(*cache, 1));
  ASSERT_TRUE(gives(*cache, 1));
  overwrite(slot(1), slot_head_bytes + 3 * unit_bytes, 'x');
  Bytes unit(4096);
  EXPECT_EQ(cache->read(id_of(1), 2 * unit_bytes, unit), SlotCache::Found::yes) << "the other units are good";
  EXPECT_EQ(cache->read(id_of(1), 3 * unit_bytes, unit), SlotCache::Found::no);
  EXPECT_FALSE(std::filesystem::exists(slot(1)));
  EXPECT_TRUE(gives(*cache, 1));
  EXPECT_EQ(loads, 2);
}

TEST_F(SlotCacheTest, slots_stay_within_the_budget_and_those_in_use_stay_longer) {
  const auto cache = open(4);
  for (std::uint64_t n = 1; n <= 4; ++n) ASSERT_TRUE(gives(*cache, n));
  for (std::uint64_t n = 5; n <= 20; ++n) {
    ASSERT_TRUE(gives(*open(4), 1)) << "opened between any two fills";
    ASSERT_TRUE(gives(*cache, n));
    EXPECT_LE(files_of_group(), 4U);
  }
  loads = 0;
  EXPECT_TRUE(gives(*open(4), 1));
  EXPECT_EQ(loads, 0);
  EXPECT_FALSE(SlotCache::open(base::posix_files(), {.directory = directory.path(), .budget_bytes = 1 << 20}));
}

TEST_F(SlotCacheTest, a_process_killed_while_it_fills_leaves_a_usable_cache) {
  const auto seed = test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    const auto child = ::fork();
    if (child == 0) {
      const auto cache = open(2);
      for (std::uint64_t n = 0;; ++n) (void)cache->chunk(id_of(n % 6), load(n % 6));
    }
    // Somewhere in its fills: the other threads of the machine decide where.
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 30'000);
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto cache = open(2);
    for (std::uint64_t n = 0; n < 6; ++n) ASSERT_TRUE(gives(*cache, n)) << round;
    EXPECT_LE(files_of_group(), 2U) << "temporary files are gone, too";
  }
}

TEST_F(SlotCacheTest, without_a_lock_in_time_a_chunk_is_loaded_and_not_kept) {
  ASSERT_TRUE(gives(*open(), 1));
  const auto held = base::posix_files().open(slot(1).parent_path() / "LOCK", base::Open::read_write);
  ASSERT_TRUE(held && (*held)->lock());
  const auto cache =
      SlotCache::open(base::posix_files(), {.directory = directory.path(), .lock_limit = std::chrono::milliseconds(1)});
  ASSERT_TRUE(cache);
  EXPECT_TRUE(gives(**cache, 2));
  EXPECT_FALSE(std::filesystem::exists(slot(2)));
  EXPECT_TRUE(gives(**cache, 1)) << "a slot that is there needs no lock";
  EXPECT_EQ(loads, 2);
}

TEST_F(SlotCacheTest, a_directory_that_cannot_be_written_costs_only_time) {
  std::ofstream(directory.path() / "slots-2") << "in the way";
  EXPECT_TRUE(gives(*open(), 1));
  EXPECT_TRUE(gives(*open(), 1));
  EXPECT_EQ(loads, 2);
}

TEST_F(SlotCacheTest, what_is_read_as_often_as_it_is_long_is_told) {
  const auto cache = open();
  ASSERT_TRUE(gives(*cache, 1));
  const auto other = open();
  Bytes unit(unit_bytes);
  for (std::uint64_t i = 0; i + 1 < units_per_chunk; ++i) {
    ASSERT_EQ(other->read(id_of(1), i * unit_bytes, unit), SlotCache::Found::yes);
  }
  EXPECT_EQ(other->read(id_of(1), 0, unit), SlotCache::Found::often);
}

TEST_F(SlotCacheTest, a_store_reads_through_its_slots_and_survives_their_loss) {
  DiskId disk;
  {
    const auto writer = testing::open_store(directory.path() / "store");
    disk = testing::store_disk(*writer, 4 * chunk_bytes, {{0, 1}, {1, 2}, {3, 3}}).disk;
  }
  const SlotCacheOptions slots{.directory = directory.path() / "cache"};
  for (int round = 0; round < 3; ++round) {
    auto store = Store::open({.files = base::posix_files(),
                              .directory = directory.path() / "store",
                              .chunk_cache_bytes = 0,
                              .slots = slots});
    ASSERT_TRUE(store) << why(store);
    for (const auto& [index, n] : testing::Chunks{{0, 1}, {1, 2}, {2, 0}, {3, 3}}) {
      const auto id = (*store)->chunk_id(disk, index);
      ASSERT_TRUE(id);
      const auto whole = n == 0 ? Bytes(chunk_bytes) : content(n);
      for (const std::uint64_t offset : {0, 512, 4096, 70'000}) {
        Bytes part(9000);
        ASSERT_TRUE((*store)->read_chunk(*id, offset, part));
        EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset)));
      }
    }
    if (round == 1) std::filesystem::remove_all(slots.directory);
  }
}

TEST(SlotFormat, version_2_is_what_the_golden_file_says) {
  const auto bytes = encode_slot_head(golden_head());
  if (std::getenv("KILN_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(base::posix_files().replace(golden, bytes));
  }
  const auto text = base::posix_files().read_all(golden);
  ASSERT_TRUE(text);
  EXPECT_EQ(base::as_text(bytes), *text);
  const auto head = decode_slot_head(base::as_bytes(*text));
  ASSERT_TRUE(head) << why(head);
  EXPECT_EQ(head->id, golden_head().id);
  EXPECT_EQ(head->domain, golden_head().domain);
  EXPECT_EQ(head->sums, golden_head().sums);
}

}  // namespace
}  // namespace kiln::blocks
