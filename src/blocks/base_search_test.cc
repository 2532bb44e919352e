// Chunks that are stored as references to similar ones: what they cost, that they are read back, and what becomes of
// them when packs with their bases go.

#include "blocks/base_search.h"

#include <algorithm>
#include <fstream>
#include <set>

#include "blocks/ingest.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using namespace testing;

// Noise, so that nothing but references saves space: chunk n is units n * 1000 + 0 to 127.
Bytes unit(std::uint64_t n) {
  Bytes bytes(unit_bytes);
  std::mt19937_64 random(n + 1);
  for (std::size_t i = 0; i < unit_bytes; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

Bytes chunk_of(const std::vector<std::uint64_t>& units) {
  Bytes bytes;
  for (const auto n : units) base::append(bytes, unit(n));
  bytes.resize(chunk_bytes);
  return bytes;
}

std::vector<std::uint64_t> series(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> units;
  for (std::size_t i = 0; i < count; ++i) units.push_back(first + i);
  return units;
}

Ingested store_chunks(Store& store, const std::vector<Bytes>& chunks, IngestOptions options = {}) {
  options.session = "test";
  options.threads = 1;
  Ingest ingest(store, std::move(options));
  for (std::size_t i = 0; i < chunks.size(); ++i) EXPECT_TRUE(ingest.put(i, chunks[i]));
  auto made = ingest.finish(std::max<std::size_t>(chunks.size(), 1) * chunk_bytes);
  EXPECT_TRUE(made) << why(made);
  return made ? *made : Ingested{};
}

// Reads the chunks with another opening of the store, past every cache.
void expect_chunks(const base::Path& directory, const DiskId& disk, const std::vector<Bytes>& chunks) {
  const auto store = open_store(directory, Access::read, 0);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    Bytes got(chunk_bytes);
    const auto read = store->read(disk, i * chunk_bytes, got);
    ASSERT_TRUE(read) << "chunk " << i << ": " << why(read);
    ASSERT_TRUE(got == chunks[i]) << "chunk " << i;
  }
}

PackId pack_of(Store& store, const Bytes& chunk) { return store.locations(base::sha256(chunk))->at(0).pack; }

std::vector<base::Digest> bases_of(Store& store, const Bytes& chunk) {
  const auto id = base::sha256(chunk);
  const auto stored = store.record_at(store.locations(id)->at(0), id);
  EXPECT_TRUE(stored) << why(stored);
  return parse_record(*stored)->header.bases;
}

TEST(BaseSearch, a_moved_chunk_costs_what_is_new_in_it) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const std::vector<Bytes> old{chunk_of(series(0, 128)), chunk_of(series(128, 128))};
  store_chunks(*store, old);
  // The same units 40 further on, with one new one between.
  auto units = series(40, 60);
  units.push_back(5000);
  for (const auto n : series(100, 67)) units.push_back(n);
  const std::vector<Bytes> moved{chunk_of(units)};
  const auto made = store_chunks(*store, moved);
  EXPECT_EQ(made.stats.new_bytes, chunk_bytes);
  EXPECT_EQ(made.stats.referenced_bytes, 127 * unit_bytes);
  EXPECT_LT(made.stats.stored_bytes, 64u << 10) << "a unit, two nodes and three packs' ends";
  EXPECT_EQ(made.packs_referenced, (std::set{pack_of(*store, old[0])})) << "the pack of the bases";
  EXPECT_EQ(bases_of(*store, moved[0]).size(), 2u);
  expect_chunks(directory.path(), made.disk, moved);
}

TEST(BaseSearch, a_reference_leads_to_a_literal_and_no_further) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  std::vector<Bytes> chunks;
  auto units = series(0, 128);
  for (std::uint64_t round = 0; round < 20; ++round) {
    chunks.push_back(chunk_of(units));
    store_chunks(*store, chunks);
    for (std::size_t i = 0; i < 4; ++i) units[(round * 37 + i) % 128] = 10'000 + round * 4 + i;
  }
  for (const auto& chunk : chunks) {
    const auto id = base::sha256(chunk);
    const auto stored = store->record_at(store->locations(id)->at(0), id);
    const auto record = parse_record(*stored);
    const auto map = parse_chunk_payload(record->payload, record->header.frame_log2, record->header.bases.size())->map;
    for (const auto& source : map) {
      if (source.kind != UnitSource::Kind::base) continue;
      const auto& base_id = record->header.bases[source.base];
      const auto held = store->literals_at(store->locations(base_id)->at(0), base_id);
      EXPECT_TRUE(std::ranges::binary_search(held->units, source.unit));
    }
  }
}

TEST(BaseSearch, chunks_of_one_session_are_bases_of_each_other) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const std::vector<Bytes> chunks{chunk_of(series(0, 128)), chunk_of(series(1, 128))};
  const auto made = store_chunks(*store, chunks);
  EXPECT_EQ(made.stats.referenced_bytes, 127 * unit_bytes);
  EXPECT_TRUE(made.packs_referenced.empty());
  expect_chunks(directory.path(), made.disk, chunks);
}

TEST(BaseSearch, without_memory_for_bases_chunks_are_stored_whole) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const std::vector<Bytes> chunks{chunk_of(series(0, 128)), chunk_of(series(1, 128))};
  const auto made = store_chunks(*store, chunks, {.base_cache_bytes = 0});
  EXPECT_EQ(made.stats.referenced_bytes, 0u);
  expect_chunks(directory.path(), made.disk, chunks);
}

TEST(BaseSearch, a_base_whose_pack_is_condemned_before_the_commit_is_kept_by_a_copy) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const std::vector<Bytes> old{chunk_of(series(0, 128))};
  const auto first = store_chunks(*store, old);
  const auto pack = pack_of(*store, old[0]);
  bool condemned = false;
  Ingest ingest(*store, {.session = "late", .parent = {}, .threads = 1, .usable = [&](const PackId& id) {
                           return !condemned || id != pack;
                         }});
  const std::vector<Bytes> moved{chunk_of(series(3, 128))};
  ASSERT_TRUE(ingest.put(0, moved[0]));
  auto made = ingest.finish(chunk_bytes);
  ASSERT_TRUE(made) << why(made);
  EXPECT_TRUE(made->packs_referenced.contains(pack));
  condemned = true;
  made = ingest.again();
  ASSERT_TRUE(made) << why(made);
  EXPECT_FALSE(made->packs_referenced.contains(pack));
  for (const auto& written : first.packs_written) ASSERT_TRUE(store->forget_pack(written.id));
  expect_chunks(directory.path(), made->disk, moved);
}

TEST(BaseSearch, a_base_in_an_earlier_pack_of_the_session_is_no_pack_of_others) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  // More than a pack, and much more than is kept of bases.
  std::vector<Bytes> chunks;
  for (std::uint64_t n = 0; n < 40; ++n) chunks.push_back(chunk_of(series(n * 1000, 128)));
  chunks.push_back(chunk_of(series(5, 128)));
  const auto made = store_chunks(*store, chunks, {.base_cache_bytes = 2 * chunk_bytes});
  EXPECT_GT(made.stats.referenced_bytes, 0u);
  EXPECT_GT(made.packs_written.size(), 2u);
  EXPECT_TRUE(made.packs_referenced.empty());
  expect_chunks(directory.path(), made.disk, chunks);
}

TEST(BaseSearch, a_condemned_base_that_is_a_chunk_of_the_disk_too_is_kept_twice_in_two_packs) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const std::vector<Bytes> old{chunk_of(series(0, 128))};
  const auto first = store_chunks(*store, old);
  const auto pack = pack_of(*store, old[0]);
  bool condemned = false;
  Ingest ingest(
      *store, {.session = "test", .threads = 1, .usable = [&](const PackId& id) { return !condemned || id != pack; }});
  const std::vector<Bytes> both{old[0], chunk_of(series(5, 128))};
  for (std::size_t i = 0; i < both.size(); ++i) ASSERT_TRUE(ingest.put(i, both[i]));
  ASSERT_TRUE(ingest.finish(2 * chunk_bytes));
  condemned = true;
  const auto made = ingest.again();
  ASSERT_TRUE(made) << why(made);
  for (const auto& written : made->packs_written) {
    const auto contents = read_pack_contents(store->pack_store(), written.id);
    EXPECT_TRUE(contents) << why(contents);
  }
  for (const auto& written : first.packs_written) ASSERT_TRUE(store->forget_pack(written.id));
  expect_chunks(directory.path(), made->disk, both);
}

TEST(BaseSearch, a_chunk_whose_bases_may_go_is_not_shared_but_stored_whole) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const std::vector<Bytes> old{chunk_of(series(0, 128))}, moved{chunk_of(series(3, 128))};
  store_chunks(*store, old);
  const auto pack = pack_of(*store, old[0]);
  store_chunks(*store, moved);
  ASSERT_EQ(bases_of(*store, moved[0]).size(), 1u);
  const auto made = store_chunks(*store, moved, {.usable = [&](const PackId& id) { return id != pack; }});
  EXPECT_EQ(made.stats.new_bytes, chunk_bytes);
  EXPECT_EQ(made.stats.referenced_bytes, 0u);
  ASSERT_TRUE(store->forget_pack(pack));
  expect_chunks(directory.path(), made.disk, moved);
  // What is shared from here on must be the copy that needs nobody.
  const auto again = store_chunks(*store, moved);
  EXPECT_EQ(again.stats.deduplicated_bytes, chunk_bytes);
}

TEST(BaseSearch, a_rotten_base_is_named_and_never_served) {
  const TestDirectory directory;
  Bytes old = chunk_of(series(0, 128));
  const std::vector<Bytes> moved{chunk_of(series(3, 128))};
  DiskId disk;
  Location place;
  {
    const auto store = open_store(directory.path());
    store_chunks(*store, {old});
    disk = store_chunks(*store, moved).disk;
    place = store->locations(base::sha256(old))->at(0);
  }
  for (const auto& path : pack_files(directory.path())) {
    if (path.stem() != place.pack.text()) continue;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(place.offset + 100'000));
    file.put('x').put('y');
  }
  const auto store = open_store(directory.path());
  Bytes got(chunk_bytes);
  const auto read = store->read(disk, 0, got);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().fault(), Fault::corrupt);
  EXPECT_NE(read.error().message().find(base::sha256(old).hex()), std::string::npos) << why(read);
  EXPECT_NE(read.error().message().find(place.pack.text()), std::string::npos) << why(read);
  // Storing the base again heals whoever refers to it.
  const PackId bad = place.pack;
  store_chunks(*store, {old}, {.usable = [&](const PackId& id) { return id != bad; }});
  EXPECT_TRUE(store->read(disk, 0, got));
  EXPECT_EQ(got, moved[0]);
}

TEST(BaseSearch, random_histories_of_disks_are_read_back) {
  std::mt19937_64 random(test_seed());
  const TestDirectory directory;
  std::vector<std::vector<Bytes>> disks;
  std::vector<DiskId> ids;
  {
    const auto store = open_store(directory.path());
    std::vector<std::uint64_t> units = series(0, 128 * 6);
    for (int version = 0; version < 12; ++version) {
      for (int change = 0; change < 6; ++change) {
        const auto at = static_cast<std::ptrdiff_t>(random() % units.size());
        const auto count = static_cast<std::ptrdiff_t>(random() % 50);
        switch (random() % 3) {
          case 0: units.insert(units.begin() + at, static_cast<std::size_t>(count), random() % 3000); break;
          case 1:
            units.erase(units.begin() + at, units.begin() + std::min<std::ptrdiff_t>(at + count, std::ssize(units)));
            break;
          default: std::rotate(units.begin(), units.begin() + at, units.end()); break;
        }
      }
      units.resize(128 * 6, random() % 3000);
      std::vector<Bytes> chunks;
      for (std::size_t i = 0; i < 6; ++i)
        chunks.push_back(chunk_of({units.begin() + i * 128, units.begin() + (i + 1) * 128}));
      ids.push_back(store_chunks(*store, chunks).disk);
      disks.push_back(std::move(chunks));
    }
  }
  for (std::size_t i = 0; i < disks.size(); ++i) expect_chunks(directory.path(), ids[i], disks[i]);
}

}  // namespace
}  // namespace kiln::blocks
