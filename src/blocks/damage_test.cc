// A store whose files are not what was written: bits flipped, ends missing, files in each other's place. Whatever it
// is, a chunk is read as it was or the answer is an error that names it; a scrub finds it; nothing crashes.
//
// KILN_SEED=n runs the random part again; KILN_LONG=1 makes it 5,000 cases.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <utility>

#include "base/faulty_files.h"
#include "blocks/scrub.h"
#include "blocks/store_testing.h"
#include "blocks/verify.h"

namespace kiln::blocks {
namespace {

using namespace testing;
using base::Bytes;
using base::Fault;
using base::Path;
using base::Status;

// The real files, but for what is said here of some of them. What a scrub finds is written down in memory, so that the
// same store can be damaged again.
class DamagedFiles final : public base::Files {
 public:
  struct Flip {
    Path file;
    std::uint64_t offset = 0;
    std::byte mask{0x04};
  };
  std::vector<Flip> flips;
  std::map<Path, std::uint64_t> ends;  // the files that are cut short
  std::map<Path, Path> in_place_of;    // which file is found under a name

  DamagedFiles() { (void)memory_.make_directories("/"); }

  base::Result<std::unique_ptr<base::File>> open(const Path& path, base::Open how) override {
    const auto real = in_place_of.contains(path) ? in_place_of.at(path) : path;
    auto file = of(path).open(real, how);
    if (!file) return file.error();
    return std::unique_ptr<base::File>(std::make_unique<Damaged>(*this, path, std::move(*file)));
  }
  Status rename(const Path& from, const Path& to) override { return of(to).rename(from, to); }
  Status remove(const Path& path) override { return of(path).remove(path); }
  Status make_directories(const Path& path) override {
    (void)memory_.make_directories(path);  // for the list of bad records
    return base::posix_files().make_directories(path);
  }
  Status sync_directory(const Path& path) override { return base::posix_files().sync_directory(path); }
  base::Result<std::vector<std::string>> list(const Path& directory) override {
    return base::posix_files().list(directory);
  }
  base::Result<bool> exists(const Path& path) override { return of(path).exists(path); }
  base::Result<std::string> boot_id() override { return base::posix_files().boot_id(); }

 private:
  class Damaged final : public base::File {
   public:
    Damaged(DamagedFiles& files, Path path, std::unique_ptr<base::File> file)
        : files_(files), path_(std::move(path)), file_(std::move(file)) {}
    base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
      auto got = file_->read_at(offset, out);
      if (!got) return got;
      if (const auto end = files_.ends.find(path_); end != files_.ends.end()) {
        *got = std::min<std::uint64_t>(*got, end->second > offset ? end->second - offset : 0);
      }
      for (const auto& flip : files_.flips) {
        if (flip.file == path_ && flip.offset >= offset && flip.offset - offset < *got) {
          out[flip.offset - offset] ^= flip.mask;
        }
      }
      return got;
    }
    Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      return file_->write_at(offset, bytes);
    }
    Status sync_data() override { return file_->sync_data(); }
    Status truncate(std::uint64_t size_bytes) override { return file_->truncate(size_bytes); }
    base::Result<std::uint64_t> size() override {
      const auto end = files_.ends.find(path_);
      return end != files_.ends.end() ? base::Result<std::uint64_t>(end->second) : file_->size();
    }
    Status punch_hole(base::Extent range) override { return file_->punch_hole(range); }
    base::Result<std::vector<base::Extent>> data_extents(base::Extent range) override {
      return file_->data_extents(range);
    }
    Status lock() override { return file_->lock(); }
    base::Result<std::uint64_t> allocated() override { return file_->allocated(); }

   private:
    DamagedFiles& files_;
    const Path path_;
    const std::unique_ptr<base::File> file_;
  };

  base::Files& of(const Path& path) {
    const bool is_list = path.filename().string().starts_with("BAD");
    return is_list ? static_cast<base::Files&>(memory_) : base::posix_files();
  }

  base::FaultyFiles memory_;
};

// Chunk n has units n to n + 5, so that it is stored as references to its neighbours and one unit of its own.
Bytes similar_chunk(std::uint64_t n) {
  Bytes bytes(chunk_bytes);
  for (std::uint64_t i = 0; i < 6; ++i) {
    const auto unit = std::span(bytes).subspan((n * 7 + i * 9) % 128 * unit_bytes, unit_bytes);
    std::mt19937_64 random(n + i);
    do {
      for (std::size_t at = 0; at < unit_bytes; at += 8) {
        const std::uint64_t word = at < 1024 ? random() : n + i;
        std::memcpy(unit.data() + at, &word, sizeof word);
      }
    } while (!is_feature(base::xxh3_64(unit)));
  }
  return bytes;
}

constexpr std::uint64_t chunks_of_a_disk = 4;
constexpr std::uint64_t disk_bytes = chunks_of_a_disk * chunk_bytes;

struct Damage : ::testing::Test {
  // One store for all tests of the program; nobody writes to it but through DamagedFiles.
  struct Stored {
    TestDirectory directory;
    std::vector<DiskId> disks;
    std::vector<PackId> packs;
    std::map<PackId, PackContents> contents;
    std::size_t records_with_bases = 0;
  };
  static Stored& stored() {
    static Stored the_store;
    if (!the_store.disks.empty()) return the_store;
    const auto store = open_store(the_store.directory.path());
    for (std::uint64_t disk = 0; disk < 3; ++disk) {
      Ingest ingest(*store, {.session = "test", .parent = {}, .threads = 0});
      for (std::uint64_t i = 0; i < chunks_of_a_disk; ++i) EXPECT_TRUE(ingest.put(i, chunk_of(disk, i)));
      const auto made = ingest.finish(disk_bytes);
      EXPECT_TRUE(made) << why(made);
      the_store.disks.push_back(made->disk);
    }
    the_store.packs = *store->pack_store().list();
    for (const auto& id : the_store.packs) {
      the_store.contents[id] = *read_pack_contents(store->pack_store(), id);
      for (const auto& entry : the_store.contents[id].entries) {
        the_store.records_with_bases += entry.bases.empty() ? 0 : 1;
      }
    }
    return the_store;
  }
  static Bytes chunk_of(std::uint64_t disk, std::uint64_t index) { return similar_chunk(disk * 3 + index); }

  DamagedFiles files;
  std::uint64_t served = 0, refused = 0;

  static Path path_of(const PackId& id) {
    const auto name = id.text();
    return stored().directory.path() / "packs" / name.substr(34) / (name + ".pack");
  }
  base::Result<std::unique_ptr<Store>> open(Access access = Access::read) {
    return Store::open({.files = files,
                        .directory = stored().directory.path(),
                        .access = access,
                        .chunk_cache_bytes = 0,
                        .node_cache_bytes = 0});
  }
  void undo() {
    files.flips.clear();
    files.ends.clear();
    files.in_place_of.clear();
  }

  // Every chunk of every disk is what it was, or the error says where it looked. Returns the errors.
  std::vector<std::string> read_all(Store& store) {
    std::vector<std::string> errors;
    Bytes got(chunk_bytes);
    for (std::uint64_t disk = 0; disk < stored().disks.size(); ++disk) {
      for (std::uint64_t i = 0; i < chunks_of_a_disk; ++i) {
        const auto read = store.read(stored().disks[disk], i * chunk_bytes, got);
        if (read) {
          ++served;
          EXPECT_TRUE(got == chunk_of(disk, i)) << "other bytes were served";
          continue;
        }
        ++refused;
        errors.push_back(read.error().message());
        const auto fault = read.error().fault();
        EXPECT_TRUE(fault == Fault::corrupt || fault == Fault::unsupported || fault == Fault::not_found) << why(read);
      }
    }
    return errors;
  }

  // What is damaged of this pack is told by reads that meet it, and by a scrub in any case.
  void expect_found(const PackId& damaged, const std::string& what) {
    SCOPED_TRACE(what);
    auto store = open(Access::write);
    ASSERT_TRUE(store) << why(store);
    for (const auto& error : read_all(**store)) {
      EXPECT_NE(error.find(damaged.text()), std::string::npos) << error;
    }
    const auto scrubbed = scrub_pack(**store, damaged);
    ASSERT_TRUE(scrubbed) << why(scrubbed);
    EXPECT_FALSE(scrubbed->bad.empty()) << "the scrub has not found it";
    for (const auto& bad : scrubbed->bad) EXPECT_FALSE(bad.why.empty());
  }
};

// The offsets of a pack that mean something else each.
std::vector<std::pair<std::string, std::uint64_t>> places_of(const PackContents& pack) {
  std::vector<std::pair<std::string, std::uint64_t>> places;
  for (const auto at : {0, 8, 12, 16, 24, 40, 56}) places.emplace_back("header at " + std::to_string(at), at);
  bool plain = false, based = false;
  for (const auto& entry : pack.entries) {
    if (std::exchange(entry.bases.empty() ? plain : based, true)) continue;
    const std::string of = entry.bases.empty() ? "record at " : "record with bases at ";
    for (const auto at : {0, 4, 5, 6, 7, 8, 40, 52, 54, 56, 60, 64, 72}) {
      places.emplace_back(of + std::to_string(at), entry.offset + static_cast<std::uint64_t>(at));
    }
    const auto payload = record_header_bytes + entry.bases.size() * 32;
    for (const auto at : {payload, payload + 1, payload + 2, payload + 5, (payload + entry.length) / 2,
                          std::size_t{entry.length} - 1}) {
      places.emplace_back(of + std::to_string(at), entry.offset + at);
    }
  }
  std::uint64_t footer = pack_header_bytes;
  for (const auto& entry : pack.entries) footer = std::max(footer, entry.offset + entry.length);
  for (const auto at : {0, 4, 36, 44, 48, 50, 52}) {
    places.emplace_back("footer at " + std::to_string(at), footer + static_cast<std::uint64_t>(at));
  }
  for (const auto at : {44, 12, 8, 1}) {
    places.emplace_back("trailer, from the end " + std::to_string(at),
                        pack.size_bytes - static_cast<std::uint64_t>(at));
  }
  return places;
}

TEST_F(Damage, the_store_has_nodes_plain_chunks_and_chunks_with_bases) {
  EXPECT_GE(stored().records_with_bases, 5u);
  EXPECT_GE(stored().packs.size(), 6u);
  const auto store = open();
  ASSERT_TRUE(store) << why(store);
  EXPECT_TRUE(read_all(**store).empty());
}

TEST_F(Damage, a_flipped_bit_at_every_kind_of_place_is_found_and_never_served) {
  for (const auto& id : stored().packs) {
    for (const auto& [what, offset] : places_of(stored().contents.at(id))) {
      files.flips = {{.file = path_of(id), .offset = offset}};
      expect_found(id, what + " of " + id.text());
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(served, refused) << "one bit makes little unreadable";
  EXPECT_GT(refused, 0u);
}

TEST_F(Damage, a_pack_that_ends_early_is_found_and_never_served) {
  for (const auto& id : stored().packs) {
    const auto& pack = stored().contents.at(id);
    std::set<std::uint64_t> ends{0, 1, pack_header_bytes, pack.size_bytes - 1, pack.size_bytes - pack_trailer_bytes};
    ends.insert(pack.entries.front().offset + 40);
    ends.insert(pack.entries.back().offset + pack.entries.back().length);
    for (const auto end : ends) {
      files.ends = {{path_of(id), end}};
      expect_found(id, id.text() + " ends after " + std::to_string(end));
      if (HasFailure()) return;
    }
  }
}

TEST_F(Damage, packs_in_each_others_place_are_found_and_never_served) {
  const auto& packs = stored().packs;
  for (std::size_t i = 0; i < packs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      files.in_place_of = {{path_of(packs[i]), path_of(packs[j])}, {path_of(packs[j]), path_of(packs[i])}};
      SCOPED_TRACE(packs[i].text() + " and " + packs[j].text());
      auto store = open(Access::write);
      ASSERT_TRUE(store) << why(store);
      EXPECT_FALSE(read_all(**store).empty());
      for (const auto& id : {packs[i], packs[j]}) {
        const auto scrubbed = scrub_pack(**store, id);
        ASSERT_TRUE(scrubbed) << why(scrubbed);
        ASSERT_FALSE(scrubbed->bad.empty());
        EXPECT_TRUE(is_pack_damage(scrubbed->bad.front())) << scrubbed->bad.front().why;
      }
      const auto verified = verify(**store, stored().disks);
      ASSERT_TRUE(verified) << why(verified);
      EXPECT_FALSE(verified->bad.empty());
    }
  }
}

TEST_F(Damage, a_damaged_base_is_named_when_what_depends_on_it_is_read) {
  std::size_t named = 0;
  for (const auto& id : stored().packs) {
    for (const auto& entry : stored().contents.at(id).entries) {
      if (stored().contents.at(id).header.kind != PackKind::data) continue;
      files.flips = {{.file = path_of(id), .offset = entry.offset + entry.length - 1}};
      const auto store = open();
      ASSERT_TRUE(store) << why(store);
      for (std::uint64_t disk = 0; disk < stored().disks.size(); ++disk) {
        for (std::uint64_t i = 0; i < chunks_of_a_disk; ++i) {
          const auto chunk_id = base::sha256(chunk_of(disk, i));
          const auto read = (*store)->chunk(chunk_id);
          if (read || chunk_id == entry.id) continue;
          ++named;
          EXPECT_EQ(read.error().fault(), Fault::corrupt);
          const auto& error = read.error().message();
          EXPECT_NE(error.find("its base " + entry.id.hex()), std::string::npos) << error;
          EXPECT_NE(error.find(id.text()), std::string::npos) << error;
        }
      }
    }
  }
  EXPECT_GE(named, 5u);
}

TEST_F(Damage, a_format_that_is_not_ours_is_refused_and_a_list_or_marker_that_is_none_is_no_harm) {
  const auto format = stored().directory.path() / "FORMAT";
  const auto length = std::filesystem::file_size(format);
  for (std::uint64_t at = 0; at < length; ++at) {
    undo();
    files.flips = {{.file = format, .offset = at}};
    const auto flipped = open();
    if (flipped) {
      EXPECT_TRUE(read_all(**flipped).empty()) << "a uuid says nothing of the content";
    }
    if (at < 13) {
      EXPECT_FALSE(flipped) << at;
    }
    if (!flipped) {
      EXPECT_NE(flipped.error().message().find("store "), std::string::npos) << why(flipped);
    }
    undo();
    files.ends = {{format, at}};
    EXPECT_FALSE(open()) << "FORMAT ends after " << at;
  }
  undo();
  const auto condemned = stored().directory.path() / "condemned";
  std::filesystem::create_directories(condemned / "a directory");
  for (const auto& name : {"x", ".read", "01890a5d-ac96-774b-bcce-b302099a8057", "\xff\xfe.read"}) {
    std::ofstream(condemned / name) << "junk";
  }
  for (const auto& id : stored().packs) std::ofstream(condemned / id.text());
  ASSERT_TRUE(files.make_directories(stored().directory.path()));
  for (const auto* text : {"", "kiln-bad 1", "kiln-bad 1\nx y z\n", "kiln-bad 2\n", "\xff\xff\n\n\n"}) {
    ASSERT_TRUE(files.replace(stored().directory.path() / "BAD", base::as_bytes(std::string_view(text))));
    const auto store = open(Access::write);
    ASSERT_TRUE(store) << why(store);
    EXPECT_TRUE(read_all(**store).empty()) << text;
  }
  const auto store = open(Access::write);
  EXPECT_TRUE((*store)->condemned().set({}));
  EXPECT_TRUE(std::filesystem::is_empty(condemned)) << "the collector sets it right";
  std::filesystem::remove_all(condemned);
}

// LMDB maps its file and is trusted with it; what stands in the index is not: it leads to records that say what they
// are.
TEST_F(Damage, an_index_of_another_store_leads_to_nothing_that_is_served) {
  const TestDirectory other;
  {
    const auto store = open_store(other.path());
    store_disk(*store, disk_bytes, {{0, 1}, {1, 2}});
  }
  const TestDirectory copy;
  std::filesystem::remove_all(copy.path());
  std::filesystem::copy(stored().directory.path(), copy.path(), std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(copy.path() / "index");
  std::filesystem::copy(other.path() / "index", copy.path() / "index", std::filesystem::copy_options::recursive);
  {
    const auto store = open_store(copy.path(), Access::read, 0);
    Bytes got(chunk_bytes);
    const auto read = store->read(stored().disks[0], 0, got);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().fault(), Fault::not_found);
    EXPECT_NE(read.error().message().find(stored().disks[0].root.hex()), std::string::npos) << why(read);
    const auto verified = verify(*store, stored().disks);
    ASSERT_TRUE(verified);
    EXPECT_EQ(verified->bad.size(), stored().disks.size()) << "every root is missing";
  }
  const auto current = copy.path() / "index" / "CURRENT";
  std::string text;
  std::getline(std::ifstream(current), text);
  for (std::size_t at = 0; at <= text.size(); ++at) {
    auto bad = text + "\n";
    bad[at] = at % 2 == 0 ? 'x' : '/';
    std::ofstream(current, std::ios::trunc) << bad;
    const auto reader = Store::open({.files = base::posix_files(), .directory = copy.path(), .access = Access::read});
    if (bad != text + "\n") {
      EXPECT_FALSE(reader) << bad;
    }
  }
  // The writer makes the index anew from the packs.
  std::ofstream(current, std::ios::trunc) << "junk";
  const auto store = open_store(copy.path(), Access::write, 0);
  ASSERT_TRUE(store);
  EXPECT_TRUE(read_all(*store).empty());
}

TEST_F(Damage, at_random_places_it_is_found_and_never_served) {
  std::mt19937_64 random(test_seed());
  const auto rounds = std::getenv("KILN_LONG") != nullptr ? 5000 : 60;
  const auto any = [&]() -> const PackId& { return stored().packs[random() % stored().packs.size()]; };
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    undo();
    SCOPED_TRACE("round " + std::to_string(round));
    std::set<PackId> damaged;
    for (auto count = 1 + random() % 3; count > 0; --count) {
      const auto& id = any();
      damaged.insert(id);
      const auto size = stored().contents.at(id).size_bytes;
      const auto mask = static_cast<std::byte>(1U << random() % 8);
      if (random() % 4 != 0) {
        files.flips.push_back({.file = path_of(id), .offset = random() % size, .mask = mask});
      } else {
        files.ends[path_of(id)] = random() % size;
      }
    }
    if (files.flips.size() > 1) files.flips.resize(files.ends.empty() ? 1 : 0);  // two equal flips are none
    auto store = open(Access::write);
    ASSERT_TRUE(store) << why(store);
    read_all(**store);
    std::size_t found = 0;
    for (const auto& id : damaged) {
      const auto scrubbed = scrub_pack(**store, id);
      ASSERT_TRUE(scrubbed) << why(scrubbed);
      found += scrubbed->bad.size();
    }
    EXPECT_GT(found, 0u);
    // From the packs alone: what can be read of them is what it was.
    const auto contents = read_pack_contents((*store)->pack_store(), *damaged.begin());
    if (contents) {
      EXPECT_EQ(contents->entries, stored().contents.at(*damaged.begin()).entries);
    }
  }
}

}  // namespace
}  // namespace kiln::blocks
