#include "blocks/store.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/log.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using namespace testing;

constexpr std::uint64_t mib = 1 << 20;

std::string slurp(const base::Path& path) { return *base::posix_files().read_all(path, 64 * mib); }

void spill(const base::Path& path, std::string_view content_bytes) {
  std::filesystem::remove(path);
  const auto file = base::posix_files().open(path, base::Open::create_new);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(0, base::as_bytes(content_bytes)));
}

TEST(Store, returns_what_was_stored_and_zeros_elsewhere) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto made = store_disk(*store, 8 * mib, {{0, 1}, {5, 2}, {15, 3}});
  EXPECT_TRUE(holds(*store, made.disk, 0, 1));
  EXPECT_TRUE(holds(*store, made.disk, 1, 0));
  EXPECT_TRUE(holds(*store, made.disk, 5, 2));
  EXPECT_TRUE(holds(*store, made.disk, 15, 3));
  EXPECT_EQ(*store->chunk_id(made.disk, 5), base::sha256(content(2)));
  EXPECT_TRUE(store->chunk_id(made.disk, 16)->is_null());
  EXPECT_EQ(*store->chunk(ChunkId{}), nullptr);
}

TEST(Store, reads_across_chunks_and_refuses_to_read_past_the_end) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto made = store_disk(*store, chunk_bytes + 1024, {{0, 1}});
  base::Bytes bytes(2048);
  ASSERT_TRUE(store->read(made.disk, chunk_bytes - 1024, bytes));
  const auto whole = content(1);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + 1024, whole.end() - 1024));
  EXPECT_TRUE(std::all_of(bytes.begin() + 1024, bytes.end(), [](std::byte b) { return b == std::byte{}; }));
  EXPECT_EQ(store->read(made.disk, chunk_bytes, bytes).error().fault(), Fault::invalid);
}

TEST(Store, is_the_same_after_it_is_opened_again) {
  const TestDirectory directory;
  DiskId disk;
  std::string uuid;
  {
    const auto store = open_store(directory.path());
    disk = store_disk(*store, 4 * mib, {{0, 1}, {7, 2}}).disk;
    uuid = store->uuid();
  }
  for (const auto access : {Access::write, Access::read}) {
    const auto store = open_store(directory.path(), access);
    EXPECT_EQ(store->uuid(), uuid);
    EXPECT_TRUE(holds(*store, disk, 0, 1));
    EXPECT_TRUE(holds(*store, disk, 7, 2));
  }
}

TEST(Store, has_one_writer) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto second =
      Store::open({.files = base::posix_files(), .directory = directory.path(), .access = Access::write});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault(), Fault::busy);
}

TEST(Store, refuses_another_format_and_names_it) {
  const TestDirectory directory;
  open_store(directory.path());
  spill(directory.path() / "FORMAT", "kiln-store 7\nuuid 0\n");
  const auto opened =
      Store::open({.files = base::posix_files(), .directory = directory.path(), .access = Access::write});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault(), Fault::unsupported);
  EXPECT_NE(opened.error().message().find("\"7\""), std::string::npos) << why(opened);
}

TEST(Store, is_not_made_anew_over_packs_that_lost_their_format) {
  const TestDirectory directory;
  store_disk(*open_store(directory.path()), mib, {{0, 1}});
  std::filesystem::remove(directory.path() / "FORMAT");
  const auto opened =
      Store::open({.files = base::posix_files(), .directory = directory.path(), .access = Access::write});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault(), Fault::corrupt);
}

TEST(Store, a_reader_of_nothing_is_told_so) {
  const TestDirectory directory;
  const auto opened = Store::open({.files = base::posix_files(), .directory = directory.path()});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault(), Fault::not_found);
}

TEST(Store, a_lost_index_is_rebuilt_with_the_same_answers) {
  const TestDirectory directory;
  DiskId disk;
  std::vector<IndexedPack> packs;
  std::vector<Location> places;
  {
    const auto store = open_store(directory.path());
    disk = store_disk(*store, 4 * mib, {{0, 1}, {7, 2}}).disk;
    packs = *store->packs();
    places = *store->locations(base::sha256(content(2)));
  }
  for (const auto* damage : {"remove", "garbage", "current", "cut short"}) {
    if (damage == std::string("remove")) std::filesystem::remove_all(directory.path() / "index");
    if (damage == std::string("current"))
      spill(directory.path() / "index" / "CURRENT", "kiln-index 1 gen-00000000000000aa\n");
    if (damage == std::string("garbage")) {
      const auto name = slurp(directory.path() / "index" / "CURRENT").substr(13, 20);
      spill(directory.path() / "index" / name / "data.mdb", std::string(32768, 'x'));
    }
    if (damage == std::string("cut short")) {
      const auto name = slurp(directory.path() / "index" / "CURRENT").substr(13, 20);
      std::filesystem::resize_file(directory.path() / "index" / name / "data.mdb", 3 * 4096);
    }
    const auto store = open_store(directory.path());
    ASSERT_NE(store, nullptr) << damage;
    EXPECT_EQ(*store->packs(), packs) << damage;
    EXPECT_EQ(*store->locations(base::sha256(content(2))), places) << damage;
    EXPECT_TRUE(holds(*store, disk, 7, 2)) << damage;
  }
}

TEST(Store, a_reader_goes_on_while_the_index_is_rebuilt_and_packs_are_added) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto first = store_disk(*store, 4 * mib, {{0, 1}}).disk;
  const auto reader = open_store(directory.path(), Access::read, 0);
  EXPECT_TRUE(holds(*reader, first, 0, 1));
  const auto rebuilt = store->rebuild_index();
  ASSERT_TRUE(rebuilt) << why(rebuilt);
  EXPECT_EQ(rebuilt->packs, 2u);
  EXPECT_TRUE(rebuilt->unreadable.empty());
  EXPECT_TRUE(holds(*reader, first, 0, 1));
  const auto second = store_disk(*store, 4 * mib, {{3, 2}}).disk;
  EXPECT_TRUE(holds(*reader, second, 3, 2)) << "the reader must find the switched index";
}

TEST(Store, a_rebuild_leaves_a_damaged_pack_out_and_says_so) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  store_disk(*store, 4 * mib, {{0, 1}});
  const auto victim = pack_files(directory.path()).front();
  const auto bytes = slurp(victim);
  spill(victim, bytes.substr(0, bytes.size() - 1));
  const auto fresh = Store::open({.files = base::posix_files(), .directory = directory.path()});
  const auto rebuilt = store->rebuild_index();
  ASSERT_TRUE(rebuilt) << why(rebuilt);
  EXPECT_EQ(rebuilt->packs, 1u);
  ASSERT_EQ(rebuilt->unreadable.size(), 1u);
  EXPECT_EQ(rebuilt->unreadable[0].id.text(), victim.stem());
}

TEST(Store, a_flipped_bit_is_never_returned_as_data) {
  const TestDirectory directory;
  DiskId disk;
  {
    // Short payloads: little but header, payload and footer, and each 97th byte of all is flipped.
    const auto store = open_store(directory.path());
    Ingest ingest(*store, {.session = "flips"});
    for (std::uint64_t i = 0; i < 4; ++i) {
      base::Bytes text(chunk_bytes);
      for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<std::byte>(at / 1024 * (i + 1));
      ASSERT_TRUE(ingest.put(i, text));
    }
    disk = ingest.finish(2 * mib)->disk;
  }
  const auto original = [&] {
    const auto store = open_store(directory.path(), Access::read);
    base::Bytes bytes(2 * mib);
    EXPECT_TRUE(store->read(disk, 0, bytes));
    return bytes;
  }();
  base::set_log_level(base::Level::error);
  std::size_t refused = 0, unharmed = 0;
  for (const auto& path : pack_files(directory.path())) {
    const auto good = slurp(path);
    for (std::size_t at = 0; at < good.size(); at += 97) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << at % 8));
      spill(path, bad);
      const auto store = open_store(directory.path(), Access::read);
      base::Bytes bytes(2 * mib);
      const auto read = store->read(disk, 0, bytes);
      if (read) {
        ASSERT_EQ(bytes, original) << path << " with a bit of byte " << at << " flipped";
        ++unharmed;  // a flip in header or footer, which reading a chunk does not look at
      } else {
        EXPECT_EQ(read.error().fault(), Fault::corrupt) << why(read);
        EXPECT_NE(read.error().message().find("pack " + path.stem().string() + " at offset "), std::string::npos);
        ++refused;
      }
    }
    spill(path, good);
  }
  base::set_log_level(base::Level::info);
  EXPECT_GT(refused, unharmed);
}

TEST(Store, a_bad_copy_is_passed_over_for_a_good_one) {
  const TestDirectory directory;
  const auto store = open_store(directory.path(), Access::write, 0);
  const auto first = store_disk(*store, mib, {{0, 1}});
  const auto before = pack_files(directory.path());
  Ingest ingest(*store, {.session = "alone", .usable = [](const PackId&) { return false; }});
  ASSERT_TRUE(ingest.put(0, content(1)));
  const auto second = ingest.finish(mib);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->disk, first.disk);
  EXPECT_TRUE(second->packs_referenced.empty());
  ASSERT_EQ(store->locations(base::sha256(content(1)))->size(), 2u);
  for (const auto& path : before) std::filesystem::resize_file(path, 0);
  const auto reader = open_store(directory.path(), Access::read, 0);
  EXPECT_TRUE(holds(*reader, first.disk, 0, 1));
  // A whole pack that is gone is no harm either.
  for (const auto& path : before) std::filesystem::remove(path);
  const auto again = open_store(directory.path(), Access::read, 0);
  EXPECT_TRUE(holds(*again, first.disk, 0, 1));
}

TEST(Store, forgetting_a_pack_may_be_repeated_and_removes_its_file) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto made = store_disk(*store, mib, {{0, 1}});
  for (const auto& pack : made.packs_written) {
    EXPECT_TRUE(store->forget_pack(pack.id));
    EXPECT_TRUE(store->forget_pack(pack.id));
  }
  EXPECT_TRUE(store->packs()->empty());
  EXPECT_TRUE(pack_files(directory.path()).empty());
  EXPECT_TRUE(store->locations(base::sha256(content(1)))->empty());
  const auto reader = open_store(directory.path(), Access::read);
  base::Bytes bytes(512);
  EXPECT_EQ(reader->read(made.disk, 0, bytes).error().fault(), Fault::not_found);
}

TEST(Store, a_pack_with_a_broken_footer_can_be_forgotten) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  const auto made = store_disk(*store, mib, {{0, 1}});
  const auto kept = store_disk(*store, mib, {{0, 2}});
  const auto path = static_cast<DirectoryPackStore&>(store->pack_store()).path_of(made.packs_written[0].id);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_TRUE(store->forget_pack(made.packs_written[0].id));
  EXPECT_TRUE(store->locations(base::sha256(content(1)))->empty());
  EXPECT_EQ(store->locations(base::sha256(content(2)))->size(), 1u);
  EXPECT_TRUE(holds(*store, kept.disk, 0, 2));
}

TEST(Store, temporary_files_of_a_crash_are_removed_by_the_writer) {
  const TestDirectory directory;
  store_disk(*open_store(directory.path()), mib, {{0, 1}});
  const auto pack = pack_files(directory.path()).front();
  const base::Path left = pack.string() + ".tmp-0badc0de";
  spill(left, "half a pack");
  open_store(directory.path());
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(pack));
}

// A plugin is another process: LMDB's locks, reader slots and pages are shared between the two.
TEST(Store, a_reader_in_another_process_sees_what_is_published_and_survives_a_rebuild) {
  const TestDirectory directory;
  int to_child[2], to_parent[2];
  ASSERT_EQ(::pipe(to_child), 0);
  ASSERT_EQ(::pipe(to_parent), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Reads a disk each time it is sent one, and answers whether chunk 0 is content(n). Opens the store at the first.
    ::close(to_child[1]);
    std::unique_ptr<Store> store;
    std::pair<DiskId, std::uint64_t> ask;
    while (::read(to_child[0], &ask, sizeof ask) == sizeof ask) {
      if (!store) store = open_store(directory.path(), Access::read, 0);
      const char answer = store && holds(*store, ask.first, 0, ask.second) ? 'y' : 'n';
      if (::write(to_parent[1], &answer, 1) != 1) break;
    }
    ::_exit(0);
  }
  const auto child_sees = [&](const DiskId& disk, std::uint64_t n) {
    const std::pair<DiskId, std::uint64_t> ask{disk, n};
    char answer = 0;
    EXPECT_EQ(::write(to_child[1], &ask, sizeof ask), static_cast<ssize_t>(sizeof ask));
    EXPECT_EQ(::read(to_parent[0], &answer, 1), 1);
    return answer == 'y';
  };
  const auto store = open_store(directory.path());
  std::vector<Ingested> disks;
  for (std::uint64_t n = 1; n <= 12; ++n) {
    disks.push_back(store_disk(*store, mib, {{0, n}}));
    EXPECT_TRUE(child_sees(disks.back().disk, n)) << n;
    if (n % 4 == 0) {
      EXPECT_TRUE(store->rebuild_index());
    }
    if (n % 5 == 0) {
      for (const auto& pack : disks.front().packs_written) EXPECT_TRUE(store->forget_pack(pack.id));
      EXPECT_TRUE(child_sees(disks[n / 2].disk, n / 2 + 1)) << n;
    }
  }
  EXPECT_FALSE(child_sees(disks.front().disk, 1)) << "its packs are gone";
  ::close(to_child[1]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  for (const int fd : {to_child[0], to_parent[0], to_parent[1]}) ::close(fd);
}

TEST(Store, many_threads_read_one_chunk_at_once) {
  const TestDirectory directory;
  const auto store = open_store(directory.path(), Access::write, 2 * chunk_bytes);
  const auto disk = store_disk(*store, 4 * mib, {{0, 1}, {1, 2}, {2, 3}, {3, 4}}).disk;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 24; ++i) {
        const auto index = (i + t / 4) % 4;
        if (!holds(*store, disk, index, index + 1)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Store, a_reader_of_whole_disks_leaves_memory_to_others) {
  const TestDirectory directory;
  const auto store = open_store(directory.path());
  store_disk(*store, 1 << 20, {{0, 1}});
  const auto id = base::sha256(content(1));
  const auto once = store->chunk_once(id);
  ASSERT_TRUE(once) << why(once);
  EXPECT_EQ(**once, content(1));
  EXPECT_EQ(store->held(id), nullptr);
  const auto kept = store->chunk(id);
  ASSERT_TRUE(kept) << why(kept);
  EXPECT_EQ(*store->chunk_once(id), *kept) << "what is in memory is taken from there";
  EXPECT_EQ(*store->chunk_once({}), nullptr);
}

}  // namespace
}  // namespace kiln::blocks
