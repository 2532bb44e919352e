#include "blocks/ingest.h"
#include "blocks/store_testing.h"
#include "blocks/verify.h"

namespace kiln::blocks {
namespace {

using namespace testing;

constexpr std::uint64_t mib = 1 << 20;

base::Result<bool> put_stored(Ingest& ingest, std::uint64_t index, std::uint64_t n) {
  return ingest.put_stored(index, base::sha256(content(n)));
}

TEST(IngestStored, a_chunk_that_is_there_is_taken_by_its_id) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_disk(*store, 2 * mib, {{0, 1}, {1, 2}});
  Ingest ingest(*store, {.session = "by id"});
  EXPECT_TRUE(*put_stored(ingest, 0, 1));
  EXPECT_TRUE(*put_stored(ingest, 1, 2));
  const auto again = ingest.finish(2 * mib);
  ASSERT_TRUE(again) << why(again);
  EXPECT_EQ(again->disk, first.disk);
  EXPECT_TRUE(again->packs_written.empty());
  EXPECT_EQ(again->packs_referenced.size(), 2u);
}

TEST(IngestStored, a_chunk_that_may_not_be_shared_has_to_be_put) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  store_disk(*store, 2 * mib, {{0, 1}});
  Ingest ingest(*store, {.session = "by id", .usable = [](const PackId&) { return false; }});
  EXPECT_FALSE(*put_stored(ingest, 0, 1));
  EXPECT_FALSE(*put_stored(ingest, 0, 7));
  EXPECT_EQ(ingest.put_stored(max_disk_chunks, {}).error().fault(), base::Fault::invalid);
}

TEST(IngestStored, what_this_session_has_put_is_known_to_it) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  Ingest ingest(*store, {.session = "by id"});
  ASSERT_TRUE(ingest.put(0, content(1)));
  ASSERT_TRUE(ingest.write_out());
  EXPECT_TRUE(*put_stored(ingest, 3, 1));
  const auto made = ingest.finish(2 * mib);
  ASSERT_TRUE(made) << why(made);
  EXPECT_TRUE(holds(*store, made->disk, 0, 1));
  EXPECT_TRUE(holds(*store, made->disk, 3, 1));
}

TEST(IngestStored, the_last_word_on_an_index_counts) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  store_disk(*store, 2 * mib, {{0, 1}});
  Ingest ingest(*store, {.session = "by id"});
  ASSERT_TRUE(ingest.put(0, content(2)));
  EXPECT_TRUE(*put_stored(ingest, 0, 1));
  EXPECT_TRUE(*put_stored(ingest, 1, 1));
  ASSERT_TRUE(ingest.put(1, content(3)));
  const auto made = ingest.finish(2 * mib);
  ASSERT_TRUE(made) << why(made);
  EXPECT_TRUE(holds(*store, made->disk, 0, 1));
  EXPECT_TRUE(holds(*store, made->disk, 1, 3));
}

TEST(IngestStored, a_chunk_that_its_caller_has_hashed_is_stored_as_any_other) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto shared = std::make_shared<const base::Bytes>(content(1));
  Ingest ingest(*store, {.session = "hashed"});
  ASSERT_TRUE(ingest.put(0, shared, base::sha256(*shared)));
  ASSERT_TRUE(ingest.put(2, std::make_shared<const base::Bytes>(chunk_bytes), {})) << "zeros";
  EXPECT_EQ(ingest.put(1, std::make_shared<const base::Bytes>(7), {}).error().fault(), base::Fault::invalid);
  const auto made = ingest.finish(2 * mib);
  ASSERT_TRUE(made) << why(made);
  EXPECT_EQ(made->disk, store_disk(*store, 2 * mib, {{0, 1}}).disk);
}

TEST(IngestStored, a_wrong_hash_of_a_caller_is_found_when_what_was_stored_is_read_back) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  Ingest ingest(*store, {.session = "hashed"});
  ASSERT_TRUE(ingest.put(0, std::make_shared<const base::Bytes>(content(1)), base::sha256("something else")));
  const auto made = ingest.finish(2 * mib);
  ASSERT_TRUE(made) << why(made);
  std::size_t bad = 0;
  for (const auto& pack : made->packs_written) bad += verify_pack(*store, pack.id)->size();
  EXPECT_EQ(bad, 1u);
}

TEST(IngestStored, what_was_written_out_is_found_by_another_session) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  {
    Ingest interrupted(*store, {.session = "first"});
    ASSERT_TRUE(interrupted.put(0, content(1)));
    ASSERT_TRUE(interrupted.put(1, content(2)));
    ASSERT_TRUE(interrupted.write_out());
    ASSERT_TRUE(interrupted.write_out()) << "nothing is left to write";
    EXPECT_EQ(interrupted.packs_begun().size(), 1u);
  }
  Ingest ingest(*store, {.session = "second"});
  EXPECT_TRUE(*put_stored(ingest, 0, 1));
  EXPECT_TRUE(*put_stored(ingest, 1, 2));
  const auto made = ingest.finish(mib);
  ASSERT_TRUE(made) << why(made);
  EXPECT_TRUE(holds(*store, made->disk, 1, 2));
}

}  // namespace
}  // namespace kiln::blocks
