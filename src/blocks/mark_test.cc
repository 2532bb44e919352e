#include "blocks/mark.h"

#include "blocks/store_testing.h"
#include "blocks/usage.h"
#include "blocks/verify.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using namespace testing;

constexpr std::uint64_t mib = 1 << 20;

// The pack of kind that an ingest wrote.
PackId pack_of(const Ingested& made, PackKind kind) {
  for (const auto& pack : made.packs_written) {
    if (pack.kind == kind) return pack.id;
  }
  ADD_FAILURE() << "no such pack";
  return {};
}

void flip_byte(Store& store, const PackId& pack, std::uint64_t offset) {
  const auto path = static_cast<DirectoryPackStore&>(store.pack_store()).path_of(pack);
  const auto file = *base::posix_files().open(path, base::Open::read_write);
  std::byte byte[1];
  ASSERT_TRUE(file->read_exactly(offset, byte));
  byte[0] ^= std::byte{0x10};
  ASSERT_TRUE(file->write_at(offset, byte));
}

TEST(Mark, counts_what_roots_reach_and_lists_what_they_do_not) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_disk(*store, 4 * mib, {{0, 1}, {1, 2}});
  const auto second = store_disk(*store, 4 * mib, {{0, 3}}, first.disk);
  const auto gone = store_disk(*store, 4 * mib, {{0, 4}});
  const DiskId roots[] = {first.disk, second.disk, {.root = {}, .size_bytes = mib}};
  const auto marked = mark(*store, roots);
  ASSERT_TRUE(marked) << why(marked);
  EXPECT_EQ(marked->chunks, 3u);
  EXPECT_EQ(marked->nodes, 6u);
  EXPECT_EQ(marked->packs.size(), 6u);
  std::uint64_t total = 0;
  const auto packs = *store->packs();
  for (const auto& pack : packs) total += pack.size_bytes;
  EXPECT_EQ(marked->total_bytes, total);
  const auto& data = marked->packs.at(pack_of(first, PackKind::data));
  EXPECT_EQ(data.live_records, 2u);
  EXPECT_EQ(data.records, 2u);
  EXPECT_LT(data.live_bytes, data.total_bytes);
  for (const auto kind : {PackKind::data, PackKind::nodes}) {
    const auto& dead = marked->packs.at(pack_of(gone, kind));
    EXPECT_EQ(dead.live_records, 0u);
    EXPECT_EQ(dead.live_bytes, 0u);
  }
}

TEST(Mark, half_a_pack_may_be_live) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto parent = store_disk(*store, mib, {{0, 1}, {1, 2}});
  const auto child = store_disk(*store, mib, {{0, 3}}, parent.disk);
  const auto marked = mark(*store, std::span(&child.disk, 1));
  ASSERT_TRUE(marked);
  const auto& data = marked->packs.at(pack_of(parent, PackKind::data));
  EXPECT_EQ(data.records, 2u);
  EXPECT_EQ(data.live_records, 1u);
}

TEST(Mark, what_cannot_be_read_or_found_is_an_error_and_never_nothing) {
  const TestDirectory directory;
  const auto store = open_store(directory.path(), Access::write, 0);
  const auto made = store_disk(*store, mib, {{0, 1}});
  const auto roots = std::span(&made.disk, 1);
  ASSERT_TRUE(mark(*store, roots));
  ASSERT_TRUE(store->index().forget(pack_of(made, PackKind::data), nullptr));
  const auto lost_chunk = mark(*store, roots);
  ASSERT_FALSE(lost_chunk);
  EXPECT_EQ(lost_chunk.error().fault(), Fault::corrupt);
  EXPECT_NE(lost_chunk.error().message().find(base::sha256(content(1)).hex()), std::string::npos);
  flip_byte(*store, pack_of(made, PackKind::nodes), 100);
  const auto reader = open_store(directory.path(), Access::read);
  EXPECT_EQ(mark(*reader, roots).error().fault(), Fault::corrupt);
  EXPECT_FALSE(usage(*reader, roots));
  const DiskId unknown{.root = base::sha256("unknown"), .size_bytes = mib};
  EXPECT_FALSE(mark(*reader, std::span(&unknown, 1)));
}

TEST(Usage, tells_shared_from_exclusive) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto parent = store_disk(*store, 8 * mib, {{0, 1}, {1, 2}, {2, 2}});
  const auto child = store_disk(*store, 8 * mib, {{0, 3}}, parent.disk);
  const DiskId roots[] = {parent.disk, child.disk, {.root = {}, .size_bytes = 5 * mib}};
  const auto used = usage(*store, roots);
  ASSERT_TRUE(used) << why(used);
  const auto record = [&](const base::Digest& id) { return store->locations(id)->front().length; };
  const auto one = record(base::sha256(content(1))), two = record(base::sha256(content(2)));
  EXPECT_EQ((*used)[0].logical_bytes, 8 * mib);
  EXPECT_EQ((*used)[0].data_bytes, 3 * chunk_bytes);
  EXPECT_EQ((*used)[2].logical_bytes, 5 * mib);
  EXPECT_EQ((*used)[2].stored_bytes, 0u);
  const auto nodes = (*used)[0].stored_bytes - one - two;
  EXPECT_GT(nodes, 3 * record_header_bytes);
  EXPECT_EQ((*used)[0].exclusive_bytes, one + nodes);
  EXPECT_EQ((*used)[1].stored_bytes - (*used)[1].exclusive_bytes, two);
  const DiskId twice[] = {parent.disk, parent.disk};
  EXPECT_EQ((*usage(*store, twice))[0].exclusive_bytes, 0u);
}

TEST(Verify, reads_everything_once_and_reports_progress) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto parent = store_disk(*store, mib, {{0, 1}, {1, 2}});
  const auto child = store_disk(*store, mib, {{0, 3}}, parent.disk);
  const DiskId roots[] = {parent.disk, child.disk};
  std::uint64_t calls = 0;
  const auto verified = verify(*store, roots, [&](const VerifyProgress& progress) {
    EXPECT_EQ(progress.chunks + progress.nodes, ++calls);
    return true;
  });
  ASSERT_TRUE(verified) << why(verified);
  EXPECT_TRUE(verified->bad.empty());
  EXPECT_EQ(verified->done.chunks, 3u);
  EXPECT_EQ(verified->done.nodes, 6u);
  EXPECT_EQ(verified->done.plain_bytes, 3 * chunk_bytes + 6 * node_bytes);
  EXPECT_EQ(verify(*store, roots, [](const auto&) { return false; }).error().fault(), Fault::busy);
}

TEST(Verify, names_every_bad_record_and_where_it_lies) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto made = store_disk(*store, mib, {{0, 1}, {1, 2}});
  EXPECT_TRUE(holds(*store, made.disk, 1, 2)) << "a cached chunk must not hide the damage";
  const auto place = store->locations(base::sha256(content(2)))->front();
  flip_byte(*store, place.pack, place.offset + 1000);
  const auto verified = verify(*store, std::span(&made.disk, 1));
  ASSERT_TRUE(verified) << why(verified);
  ASSERT_EQ(verified->bad.size(), 1u);
  const auto& bad = verified->bad[0];
  EXPECT_EQ(bad.id, base::sha256(content(2)));
  EXPECT_EQ(bad.location, place);
  EXPECT_TRUE(bad.lost);
  EXPECT_EQ(bad.chunk_index, 1u);
  EXPECT_NE(bad.why.find(place.pack.text()), std::string::npos);
  const auto scrubbed = verify_pack(*store, place.pack);
  ASSERT_TRUE(scrubbed);
  ASSERT_EQ(scrubbed->size(), 1u);
  EXPECT_EQ((*scrubbed)[0].location, place);
}

TEST(Verify, a_bad_node_is_reported_and_the_rest_is_still_verified) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto broken = store_disk(*store, mib, {{0, 1}});
  const auto sound = store_disk(*store, mib, {{0, 2}});
  const auto place = store->locations(broken.disk.root)->front();
  flip_byte(*store, place.pack, place.offset + 80);
  const DiskId roots[] = {broken.disk, sound.disk};
  const auto verified = verify(*store, roots);
  ASSERT_TRUE(verified);
  ASSERT_EQ(verified->bad.size(), 1u);
  EXPECT_EQ(verified->bad[0].kind, RecordKind::node);
  EXPECT_EQ(verified->bad[0].root, 0u);
  EXPECT_EQ(verified->done.chunks, 1u);
}

}  // namespace
}  // namespace kiln::blocks
