#include "blocks/pack.h"

#include <algorithm>
#include <cerrno>

#include "base/faulty_files.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using namespace testing;

const PackHeader test_header{.id = PackId::make(), .kind = PackKind::data, .epoch = 7};

WrittenPack small_pack(const PackHeader& header = test_header, std::size_t records = 3) {
  PackWriter writer(header);
  for (std::size_t i = 0; i < records; ++i) {
    writer.add(base::sha256(std::to_string(i)), Bytes(100 + i, static_cast<std::byte>(i)));
  }
  return std::move(writer).finish();
}

TEST(PackId, is_text_and_back) {
  const auto id = PackId::make();
  EXPECT_EQ(PackId::from_text(id.text()), id);
  EXPECT_EQ(id.text()[14], '7');
  EXPECT_NE(PackId::make(), id);
  for (const auto* bad : {"", "x", "01890a5d-ac96-774b-bcce-b302099a805", "01890a5dac96774bbcceb302099a80570000",
                          "01890A5D-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a80-7"}) {
    EXPECT_FALSE(PackId::from_text(bad)) << bad;
  }
}

TEST(Pack, lists_what_was_added_in_order_of_ids) {
  const auto pack = small_pack();
  const auto read = parse_pack(pack.bytes);
  ASSERT_TRUE(read) << why(read);
  EXPECT_EQ(read->header, test_header);
  EXPECT_EQ(read->entries, pack.contents.entries);
  EXPECT_EQ(read->size_bytes, pack.bytes.size());
  EXPECT_TRUE(std::ranges::is_sorted(read->entries, {}, &PackEntry::id));
  const auto* second = read->find(base::sha256("1"));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->offset, pack_header_bytes + 100);
  EXPECT_EQ(second->length, 101u);
  EXPECT_EQ(read->find(base::sha256("9")), nullptr);
}

TEST(Pack, is_closed_before_it_is_longer_than_the_target) {
  PackWriter writer(test_header);
  const Bytes record(max_record_bytes);
  std::size_t count = 0;
  for (; writer.fits(record, 0); ++count) writer.add(base::sha256(std::to_string(count)), record);
  EXPECT_EQ(count, 31u);
  EXPECT_LE(std::move(writer).finish().bytes.size(), pack_target_bytes);
}

TEST(Pack, any_flipped_bit_of_header_and_footer_is_found) {
  const auto pack = small_pack();
  const std::size_t footer_at = pack_header_bytes + 303;
  for (std::size_t bit = 0; bit < pack.bytes.size() * 8; ++bit) {
    if (bit == pack_header_bytes * 8) bit = footer_at * 8;
    auto bad = pack.bytes;
    bad[bit / 8] ^= std::byte{1} << bit % 8;
    ASSERT_FALSE(parse_pack(bad)) << "bit " << bit;
  }
}

TEST(Pack, a_truncated_pack_is_corrupt_at_any_length) {
  const auto pack = small_pack();
  for (std::size_t length = 0; length < pack.bytes.size(); ++length) {
    const auto read = parse_pack(std::span(pack.bytes).first(length));
    ASSERT_FALSE(read) << length;
    ASSERT_EQ(read.error().fault(), Fault::corrupt) << length;
  }
}

TEST(Pack, another_version_and_unknown_features_are_refused_by_name) {
  auto bytes = small_pack().bytes;
  bytes[8] = std::byte{9};
  bytes.resize(70);  // whatever follows: the version is looked at first
  auto read = parse_pack(bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().fault(), Fault::unsupported);
  EXPECT_EQ(read.error().message(), "pack format 9; this program reads format 2");

  bytes = small_pack().bytes;
  bytes[16] = std::byte{4};
  read = parse_pack(bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().fault(), Fault::unsupported);
  EXPECT_EQ(read.error().message(), "a pack with incompatible features 4, of which this program knows 1");
}

TEST(Pack, an_empty_pack_is_a_pack) { EXPECT_TRUE(parse_pack(small_pack(test_header, 0).bytes)); }

TEST(DirectoryPackStore, keeps_packs_under_their_names) {
  const TestDirectory directory;
  const auto store = *DirectoryPackStore::open(base::posix_files(), directory.path() / "packs", Access::write);
  const auto pack = small_pack();
  const auto id = test_header.id;
  ASSERT_TRUE(store->put(id, pack.bytes));
  EXPECT_EQ(store->put(id, pack.bytes).error().fault(), Fault::exists);
  EXPECT_EQ(*store->list(), std::vector{id});
  EXPECT_EQ(*store->size(id), pack.bytes.size());
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "packs" / id.text().substr(34) / (id.text() + ".pack")));
  const auto contents = read_pack_contents(*store, id);
  ASSERT_TRUE(contents) << why(contents);
  EXPECT_EQ(contents->entries, pack.contents.entries);
  Bytes beyond(pack.bytes.size() + 1);
  EXPECT_EQ(store->read(id, 0, beyond).error().fault(), Fault::corrupt);
  ASSERT_TRUE(store->remove(id));
  EXPECT_EQ(store->remove(id).error().fault(), Fault::not_found);
  EXPECT_EQ(store->read(id, 0, beyond).error().fault(), Fault::not_found);
  EXPECT_TRUE(store->list()->empty());
}

TEST(DirectoryPackStore, a_pack_under_the_name_of_another_is_corrupt) {
  const TestDirectory directory;
  const auto store = *DirectoryPackStore::open(base::posix_files(), directory.path(), Access::write);
  const auto other = PackId::make();
  ASSERT_TRUE(store->put(other, small_pack().bytes));
  const auto contents = read_pack_contents(*store, other);
  ASSERT_FALSE(contents);
  EXPECT_EQ(contents.error().fault(), Fault::corrupt);
  EXPECT_NE(contents.error().message().find(test_header.id.text()), std::string::npos);
}

TEST(DirectoryPackStore, serves_more_packs_than_it_keeps_open) {
  const TestDirectory directory;
  const auto store = *DirectoryPackStore::open(base::posix_files(), directory.path(), Access::write);
  std::vector<PackId> ids;
  for (int i = 0; i < 100; ++i) {
    const PackHeader header{.id = PackId::make()};
    ids.push_back(header.id);
    ASSERT_TRUE(store->put(header.id, small_pack(header, 1).bytes));
  }
  for (int round = 0; round < 2; ++round) {
    for (const auto& id : ids) ASSERT_TRUE(read_pack_contents(*store, id));
  }
}

// Every call that changes the disk is a place to die at; whatever put() returned well is there, and what is there is
// whole.
TEST(DirectoryPackStore, every_crash_leaves_whole_packs_and_all_that_were_put) {
  const auto seed = test_seed();
  for (const auto crash : {base::FaultyFiles::Crash::process, base::FaultyFiles::Crash::power}) {
    for (std::uint64_t nth = 1;; ++nth) {
      base::FaultyFiles files(seed + nth);
      ASSERT_TRUE(files.make_directories("/store"));
      ASSERT_TRUE(files.sync_directory("/"));
      files.die_before(nth);
      std::vector<PackId> put;
      const auto put_some = [&](int count) {
        const auto store = DirectoryPackStore::open(files, "/store/packs", Access::write);
        for (int i = 0; store && i < count; ++i) {
          const PackHeader header{.id = PackId::make()};
          if ((*store)->put(header.id, small_pack(header, 40).bytes)) put.push_back(header.id);
        }
      };
      put_some(3);
      const bool done = !files.died();
      files.restart(crash);
      const auto store = DirectoryPackStore::open(files, "/store/packs", Access::write);
      ASSERT_TRUE(store) << why(store);
      const auto listed = (*store)->list();
      ASSERT_TRUE(listed) << why(listed);
      for (const auto& id : *listed) {
        const auto contents = read_pack_contents(**store, id);
        ASSERT_TRUE(contents) << "died before call " << nth << ": " << why(contents);
      }
      for (const auto& id : put) {
        ASSERT_TRUE((*store)->size(id)) << "lost after call " << nth << ", of a "
                                        << (crash == base::FaultyFiles::Crash::power ? "power cut" : "crash");
      }
      if (done) break;
    }
  }
}

TEST(DirectoryPackStore, a_pack_that_was_removed_stays_so_whoever_died_while_removing_it) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    base::FaultyFiles files(seed);
    ASSERT_TRUE(files.make_directories("/store"));
    ASSERT_TRUE(files.sync_directory("/"));
    auto store = *DirectoryPackStore::open(files, "/store/packs", Access::write);
    ASSERT_TRUE(store->put(test_header.id, small_pack().bytes));
    files.die_before(2);  // the name is gone, its directory is not synced
    EXPECT_FALSE(store->remove(test_header.id));
    files.restart(base::FaultyFiles::Crash::process);
    store = *DirectoryPackStore::open(files, "/store/packs", Access::write);
    EXPECT_EQ(store->remove(test_header.id).error().fault(), Fault::not_found);
    files.restart(base::FaultyFiles::Crash::power);
    store = *DirectoryPackStore::open(files, "/store/packs", Access::write);
    EXPECT_TRUE(store->list()->empty()) << "with seed " << seed;
  }
}

TEST(DirectoryPackStore, a_failed_sync_or_a_full_disk_leaves_no_pack_and_no_rest) {
  for (const bool full : {false, true}) {
    base::FaultyFiles files;
    ASSERT_TRUE(files.make_directories("/store"));
    const auto store = *DirectoryPackStore::open(files, "/store/packs", Access::write);
    const auto pack = small_pack(test_header, 60);
    if (full) {
      files.set_capacity(4096);
    } else {
      files.fail_call(5, EIO);  // directory, its sync, create, write, fdatasync
    }
    const auto put = store->put(test_header.id, pack.bytes);
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().fault(), full ? Fault::no_space : Fault::io) << why(put);
    EXPECT_TRUE(store->list()->empty());
    EXPECT_EQ(files.used_bytes(), 0u);
    files.set_capacity(0);
    EXPECT_TRUE(store->put(test_header.id, pack.bytes)) << "the name may be used again after a failure";
  }
}

}  // namespace
}  // namespace kiln::blocks
