// What encryption promises, in the store, its slots and volumes: the same bytes for whoever has the key, nothing for
// anybody else, and no plaintext in any file.

#include <atomic>
#include <cstring>
#include <thread>

#include "blocks/compaction.h"
#include "blocks/mark.h"
#include "blocks/reencode.h"
#include "blocks/scrub.h"
#include "blocks/sealed_generation.h"
#include "blocks/store_testing.h"
#include "blocks/verify.h"
#include "blocks/volume_table.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Fault;
using base::Status;
using namespace testing;

constexpr std::uint64_t mib = 1 << 20;

DomainPtr new_domain() { return std::make_shared<const KeyDomain>(DomainId::make(), make_domain_secret()); }

Ingested store_encrypted(Store& store, const DomainPtr& domain, const Chunks& chunks,
                         std::optional<DiskId> parent = {}) {
  Ingest ingest(store, {.session = "test", .parent = parent, .domain = domain});
  for (const auto& [index, n] : chunks) EXPECT_TRUE(ingest.put(index, content(n)));
  const auto made = ingest.finish(4 * mib);
  EXPECT_TRUE(made) << why(made);
  return made ? *made : Ingested{};
}

// A chunk that shares most of its units with content(n).
Bytes similar_to(std::uint64_t n, std::uint64_t change) {
  auto bytes = content(n);
  const auto other = content(change);
  std::copy_n(other.begin(), 8 * unit_bytes, bytes.begin());
  return bytes;
}

// Whether any file below directory has these bytes in it.
bool lies_in_a_file(const base::Path& directory, std::string_view marker) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const auto text = base::posix_files().read_all(entry.path(), std::uint64_t{1} << 32);
    EXPECT_TRUE(text) << why(text);
    if (text && text->find(marker) != std::string::npos) return true;
  }
  return false;
}

struct Encryption : ::testing::Test {
  TestDirectory directory;
  const DomainPtr domain = new_domain();
  std::shared_ptr<Keyring> keys = std::make_shared<Keyring>();

  std::unique_ptr<Store> open(Access access = Access::write) {
    auto store = Store::open(
        {.files = base::posix_files(),
         .directory = directory.path() / "store",
         .access = access,
         .chunk_cache_bytes = 0,
         .slots = SlotCacheOptions{.directory = directory.path() / "cache", .budget_bytes = 8 * min_slot_budget_bytes},
         .keys = keys});
    EXPECT_TRUE(store) << why(store);
    return *std::move(store);
  }
};

TEST_F(Encryption, a_disk_is_read_with_its_key_and_not_without) {
  keys->add(domain);
  const auto store = open();
  const auto made = store_encrypted(*store, domain, {{0, 1}, {1, 2}, {5, 3}});
  for (const auto& [index, n] : Chunks{{0, 1}, {1, 2}, {2, 0}, {5, 3}}) EXPECT_TRUE(holds(*store, made.disk, index, n));
  EXPECT_TRUE(holds(*open(Access::read), made.disk, 1, 2)) << "from its slot";
  EXPECT_TRUE(holds(*store, made.disk, 0, 1)) << "from its slot, which is open from here on";
  store->forget_domain(domain->id());
  Bytes bytes(4096);
  const auto refused = store->read(made.disk, 0, bytes);
  EXPECT_EQ(refused.error().fault(), Fault::no_key);
  EXPECT_NE(refused.error().message().find("the key of domain " + domain->id().hex() + " is not available"),
            std::string::npos);
  EXPECT_TRUE(store->read(made.disk, 3 * chunk_bytes, bytes)) << "zeros need no key";
  keys->add(domain);
  EXPECT_TRUE(holds(*store, made.disk, 0, 1));
}

TEST_F(Encryption, what_memory_holds_goes_with_the_key) {
  auto store = *Store::open({.files = base::posix_files(), .directory = directory.path(), .access = Access::write});
  store->keys()->add(domain);
  const auto made = store_encrypted(*store, domain, {{0, 1}});
  EXPECT_TRUE(holds(*store, made.disk, 0, 1));
  store->forget_domain(domain->id());
  Bytes bytes(4096);
  EXPECT_EQ(store->read(made.disk, 0, bytes).error().fault(), Fault::no_key);
}

TEST_F(Encryption, chunks_of_a_domain_are_stored_once_and_shared_with_no_other) {
  const auto other = new_domain();
  keys->add(domain);
  keys->add(other);
  const auto store = open();
  const auto plain = store_disk(*store, 4 * mib, {{0, 1}, {1, 2}});
  const auto first = store_encrypted(*store, domain, {{0, 1}, {1, 2}});
  EXPECT_EQ(first.stats.new_bytes, 2 * chunk_bytes);
  const auto again = store_encrypted(*store, domain, {{0, 1}, {1, 2}});
  EXPECT_EQ(again.disk, first.disk);
  EXPECT_EQ(again.stats.stored_bytes, 0u);
  const auto elsewhere = store_encrypted(*store, other, {{0, 1}, {1, 2}});
  EXPECT_EQ(elsewhere.stats.new_bytes, 2 * chunk_bytes);
  EXPECT_NE(elsewhere.disk.root, first.disk.root);
  EXPECT_NE(plain.disk.root, first.disk.root);
  EXPECT_EQ(domain->unmask(*store->chunk_id(first.disk, 0)), *store->chunk_id(plain.disk, 0));
}

TEST_F(Encryption, a_chunk_of_the_domain_is_taken_by_the_hash_of_its_plaintext) {
  keys->add(domain);
  const auto store = open();
  store_disk(*store, 4 * mib, {{0, 2}});
  const auto made = store_encrypted(*store, domain, {{0, 1}});
  Ingest ingest(*store, {.session = "by hash", .domain = domain});
  EXPECT_TRUE(*ingest.put_stored(0, base::sha256(content(1))));
  EXPECT_FALSE(*ingest.put_stored(1, base::sha256(content(2)))) << "it is there, of another domain";
  EXPECT_EQ(ingest.finish(4 * mib)->disk, made.disk);
}

TEST_F(Encryption, similar_chunks_refer_to_each_other_within_their_domain_only) {
  keys->add(domain);
  const auto other = new_domain();
  keys->add(other);
  const auto store = open();
  store_disk(*store, 4 * mib, {{0, 1}});
  store_encrypted(*store, other, {{0, 1}});
  for (const auto with_a_base : {false, true}) {
    Ingest ingest(*store, {.session = "similar", .domain = domain});
    ASSERT_TRUE(ingest.put(0, similar_to(1, with_a_base ? 8 : 9)));
    const auto made = ingest.finish(4 * mib);
    ASSERT_TRUE(made) << why(made);
    EXPECT_EQ(made->stats.referenced_bytes > 0, with_a_base);
    Bytes bytes(chunk_bytes);
    ASSERT_TRUE(store->read(made->disk, 0, bytes));
    EXPECT_EQ(bytes, similar_to(1, with_a_base ? 8 : 9));
    if (!with_a_base) store_encrypted(*store, domain, {{0, 1}});
  }
}

TEST_F(Encryption, no_file_holds_plaintext_nor_its_hashes) {
  keys->add(domain);
  const auto store = open();
  auto chunk = content(1);
  const std::string marker = "a marker that no compression takes away: 0123456789abcdef";
  // Among bytes that do not compress, so that the marker would be stored as it is.
  std::memcpy(chunk.data() + 8192 - marker.size(), marker.data(), marker.size());
  Ingest ingest(*store, {.session = "marker", .domain = domain});
  ASSERT_TRUE(ingest.put(0, chunk));
  const auto made = ingest.finish(4 * mib);
  ASSERT_TRUE(made) << why(made);
  Bytes bytes(4096);
  ASSERT_TRUE(store->read(made->disk, 0, bytes));
  const auto sha = base::sha256(chunk);
  EXPECT_FALSE(lies_in_a_file(directory.path(), marker));
  EXPECT_FALSE(lies_in_a_file(directory.path(), base::as_text(sha.bytes)));
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    const auto hash = base::xxh3_64(std::span(chunk).subspan(unit * unit_bytes, unit_bytes));
    EXPECT_FALSE(lies_in_a_file(directory.path(), {reinterpret_cast<const char*>(&hash), sizeof hash})) << unit;
  }
  EXPECT_FALSE(lies_in_a_file(directory.path(), base::as_text(domain->secret())));
  // The same without keys, so that what was looked for can be found at all.
  Ingest plain(*store, {.session = "plain"});
  ASSERT_TRUE(plain.put(0, chunk));
  ASSERT_TRUE(plain.finish(4 * mib));
  EXPECT_TRUE(lies_in_a_file(directory.path(), marker));
  EXPECT_TRUE(lies_in_a_file(directory.path(), base::as_text(sha.bytes)));
}

TEST_F(Encryption, marking_compaction_scrub_and_a_new_index_need_no_key) {
  keys->add(domain);
  auto store = open();
  const auto kept = store_encrypted(*store, domain, {{0, 1}, {1, 2}});
  const auto plain = store_disk(*store, 4 * mib, {{0, 4}});
  store->forget_domain(domain->id());
  ASSERT_TRUE(store->rebuild_index());
  std::vector<PackId> data;
  for (const auto& pack : *store->packs()) {
    if (pack.kind == PackKind::data) data.push_back(pack.id);
    const auto scrubbed = scrub_pack(*store, pack.id);
    ASSERT_TRUE(scrubbed) << why(scrubbed);
    EXPECT_TRUE(scrubbed->bad.empty());
    EXPECT_TRUE(verify_pack(*store, pack.id)->empty());
  }
  const DiskId roots[] = {kept.disk, plain.disk};
  const auto verified = verify(*store, roots, {});
  ASSERT_TRUE(verified) << why(verified);
  EXPECT_TRUE(verified->bad.empty());
  const auto marked = mark(*store, roots);
  ASSERT_TRUE(marked) << why(marked);
  const auto compacted = compact(*store, *marked, data, {});
  ASSERT_TRUE(compacted) << why(compacted);
  EXPECT_EQ(compacted->emptied.size(), 2u);
  EXPECT_EQ(compacted->written.size(), 2u) << "records of two domains share no pack";
  for (const auto& pack : compacted->emptied) ASSERT_TRUE(store->forget_pack(pack));
  keys->add(domain);
  EXPECT_TRUE(holds(*store, kept.disk, 1, 2));
  EXPECT_TRUE(holds(*store, plain.disk, 0, 4));
}

TEST_F(Encryption, a_flipped_bit_is_damage_with_the_key_and_without) {
  keys->add(domain);
  auto store = open();
  const auto made = store_encrypted(*store, domain, {{0, 1}});
  const auto id = *store->chunk_id(made.disk, 0);
  const auto place = store->locations(id)->front();
  auto record = *store->record_at(place, id);
  std::mt19937_64 random(test_seed());
  for (int i = 0; i < 200; ++i) {
    auto flipped = record;
    flipped[random() % flipped.size()] ^= static_cast<std::byte>(1 << random() % 8);
    EXPECT_FALSE(decode_record(flipped, RecordKind::chunk, id, nullptr, keys.get()));
    EXPECT_FALSE(parse_record(flipped));
  }
}

TEST_F(Encryption, other_keys_are_given_by_storing_a_disk_anew) {
  const auto other = new_domain();
  keys->add(domain);
  keys->add(other);
  const auto store = open();
  const auto from = store_encrypted(*store, domain, {{0, 1}, {3, 2}}).disk;
  for (const auto& to : {other, DomainPtr()}) {
    Ingest ingest(*store, {.session = "reencode", .domain = to});
    std::vector<std::uint64_t> asked;
    ASSERT_TRUE(put_disk(*store, from, ingest, [&](std::uint64_t index) { return asked.push_back(index), true; }));
    EXPECT_EQ(asked, (std::vector<std::uint64_t>{0, 3}));
    const auto made = ingest.finish(from.size_bytes);
    ASSERT_TRUE(made) << why(made);
    EXPECT_TRUE(holds(*store, made->disk, 0, 1) && holds(*store, made->disk, 3, 2));
    EXPECT_EQ(made->disk == store_disk(*store, 4 * mib, {{0, 1}, {3, 2}}).disk, to == nullptr);
  }
}

struct EncryptedVolume : Encryption {
  const std::string id = "vol-0123456789abcdef0";
  const base::Path volumes = directory.path() / "volumes";

  Status create(const DiskId& base, const DomainId& base_domain) {
    return Volume::create(base::posix_files(), volumes / id,
                          {.volume = id,
                           .size_bytes = 4 * mib,
                           .base = base,
                           .epoch = 1,
                           .domain = domain->id(),
                           .base_domain = base_domain});
  }
  std::unique_ptr<VolumeTable> table(Store& store) {
    return std::make_unique<VolumeTable>(
        base::posix_files(), store,
        VolumeTable::Options{.directory = volumes, .instance = "i-1", .state_file = directory.path() / "state"});
  }
};

TEST_F(EncryptedVolume, nothing_that_a_guest_writes_is_readable_on_the_disk) {
  keys->add(domain);
  const auto store = open();
  ASSERT_TRUE(create({.root = {}, .size_bytes = 0}, {}));
  const auto volume = *Volume::open(base::posix_files(), volumes / id, *store, {.epoch = 1});
  const std::string marker = "written by a guest, and nobody else's business";
  Bytes sector(512);
  std::memcpy(sector.data(), marker.data(), marker.size());
  ASSERT_TRUE(volume->write(5 * 4096 + 512, sector, Fua::yes));
  ASSERT_TRUE(volume->write(7, base::as_bytes(marker), Fua::yes));  // not even whole sectors
  EXPECT_FALSE(lies_in_a_file(directory.path(), marker));
  Bytes read(marker.size());
  ASSERT_TRUE(volume->read(7, read));
  EXPECT_EQ(base::as_text(read), marker);
  ASSERT_TRUE(volume->read(5 * 4096 + 512, read));
  EXPECT_EQ(base::as_text(read), marker);
  Bytes around(4096);
  ASSERT_TRUE(volume->read(5 * 4096, around));
  std::fill_n(around.begin() + 512, marker.size(), std::byte{});
  EXPECT_EQ(around, Bytes(4096)) << "the rest of the unit is zeros";
}

TEST_F(EncryptedVolume, without_its_key_it_is_not_opened_and_its_cut_not_read) {
  keys->add(domain);
  const auto store = open();
  ASSERT_TRUE(create({}, {}));
  {
    const auto volume = *Volume::open(base::posix_files(), volumes / id, *store, {.epoch = 1});
    ASSERT_TRUE(volume->write(0, content(1), Fua::yes));
    const Volume::Cut cut{.volume = volume.get(), .snapshot = "snap-1"};
    ASSERT_TRUE(Volume::seal(std::span(&cut, 1)));
    ASSERT_TRUE(volume->finish_seal());
    ASSERT_TRUE(volume->close());
  }
  const auto cut = SealedGeneration::open(base::posix_files(), volumes / id, "snap-1", keys.get());
  ASSERT_TRUE(cut) << why(cut);
  EXPECT_EQ(*cut->compose(0, nullptr), content(1));
  EXPECT_EQ(cut->domain(), domain->id());
  store->forget_domain(domain->id());
  EXPECT_EQ(Volume::open(base::posix_files(), volumes / id, *store, {.epoch = 1}).error().fault(), Fault::no_key);
  EXPECT_EQ(SealedGeneration::open(base::posix_files(), volumes / id, "snap-1", keys.get()).error().fault(),
            Fault::no_key);
}

TEST_F(EncryptedVolume, over_a_plain_disk_it_reads_that_and_writes_with_its_own_keys) {
  keys->add(domain);
  const auto store = open();
  const auto base = store_disk(*store, 2 * mib, {{0, 1}, {1, 2}}).disk;
  ASSERT_TRUE(create(base, {}));
  const auto volume = *Volume::open(base::posix_files(), volumes / id, *store, {.epoch = 1});
  ASSERT_TRUE(volume->write(chunk_bytes + 8192, Bytes(512, std::byte{7}), Fua::yes));
  auto want = content(2);
  std::fill_n(want.begin() + 8192, 512, std::byte{7});
  Bytes read(chunk_bytes);
  ASSERT_TRUE(volume->read(chunk_bytes, read));
  EXPECT_EQ(read, want);
}

TEST_F(EncryptedVolume, a_disk_server_is_given_the_keys_when_it_opens_and_again_after_it_was_killed) {
  keys->add(domain);
  const auto writer = open();
  ASSERT_TRUE(create({}, {}));
  const auto told = domains_text({domain});
  const auto fresh = [&] {  // another process: a keyring of its own
    keys = std::make_shared<Keyring>();
    return open(Access::read);
  };
  auto store = fresh();
  auto server = table(*store);
  EXPECT_EQ(server->open({.volume = id, .epoch = 1, .keys = {}}).error().fault(), Fault::no_key);
  ASSERT_TRUE(server->open({.volume = id, .epoch = 1, .keys = told}));
  ASSERT_TRUE(server->find(id)->write(0, content(1), Fua::no));
  EXPECT_FALSE(lies_in_a_file(directory.path(), told.substr(33)));
  ASSERT_TRUE(server->find(id)->close());  // as the death of its process gives the lock back
  server.reset();
  store = fresh();
  server = table(*store);
  ASSERT_TRUE(server->reopen());
  EXPECT_EQ(server->find(id), nullptr) << "it has no keys yet";
  ASSERT_TRUE(server->open({.volume = id, .epoch = 1, .keys = told}));
  Bytes read(chunk_bytes);
  ASSERT_TRUE(server->find(id)->read(0, read));
  EXPECT_EQ(read, content(1));
}

TEST_F(EncryptedVolume, one_that_failed_stays_failed_although_its_keys_come_later) {
  keys->add(domain);
  auto store = open();
  ASSERT_TRUE(create({}, {}));
  {
    auto server = table(*store);
    ASSERT_TRUE(server->open({.volume = id, .epoch = 1, .keys = {}}));
    ASSERT_TRUE(server->find(id)->close());
  }
  const auto boot = base::posix_files().boot_id();
  ASSERT_TRUE(boot);
  ASSERT_TRUE(base::posix_files().replace(volumes / id / "FAILED", base::as_bytes(*boot + "\nthe disk said no\n")));
  keys = std::make_shared<Keyring>();
  store = open(Access::read);
  const auto server = table(*store);
  ASSERT_TRUE(server->reopen());
  ASSERT_TRUE(server->open({.volume = id, .epoch = 1, .keys = domains_text({domain})}));
  EXPECT_EQ(server->find(id)->write(0, content(1), Fua::no).error().fault(), Fault::failed);
}

}  // namespace
}  // namespace kiln::blocks
