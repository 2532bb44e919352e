#include "blocks/archive.h"

#include <fstream>

#include "blocks/store_testing.h"

extern "C" int fuzz_blocks_archive(const std::uint8_t* data, std::size_t size);

namespace kiln::blocks {
namespace {

using base::Bytes;
using namespace testing;

const base::Path golden = base::Path(KILN_SOURCE_DIR) / "tests" / "golden" / "archive";

DomainPtr golden_domain() {
  DomainId id;
  id.bytes.fill(std::byte{0xd0});
  DomainSecret secret;
  secret.fill(std::byte{0x5e});
  return std::make_shared<const KeyDomain>(id, secret);
}

// Chunk n: 2,048 words that count from n, again and again.
Bytes golden_chunk(std::uint64_t n) {
  Bytes bytes(chunk_bytes);
  for (std::size_t i = 0; i < chunk_bytes / 8; ++i) {
    const std::uint64_t word = n + i % 2048;
    std::memcpy(bytes.data() + 8 * i, &word, 8);
  }
  return bytes;
}

// A disk of 1 GiB and 512 bytes with these chunks, 1 in the first, 700 and, cut short, in the last.
DiskId store_golden_disk(Store& store, DomainPtr domain) {
  Ingest ingest(store, {.session = "golden", .domain = std::move(domain)});
  for (const std::uint64_t index : {0, 700}) EXPECT_TRUE(ingest.put(index, golden_chunk(1)));
  for (std::uint64_t n = 2; n < 20; ++n) EXPECT_TRUE(ingest.put(10 + n, golden_chunk(n)));
  const auto last = golden_chunk(3);
  EXPECT_TRUE(ingest.put(2048, std::span(last).first(512)));
  const auto made = ingest.finish((std::uint64_t{1} << 30) + 512);
  EXPECT_TRUE(made) << why(made);
  return made->disk;
}

std::unique_ptr<Store> store_with(const base::Path& directory, const DomainPtr& domain) {
  auto keys = std::make_shared<Keyring>();
  if (domain) keys->add(domain);
  auto store =
      Store::open({.files = base::posix_files(), .directory = directory, .access = Access::write, .keys = keys});
  EXPECT_TRUE(store) << why(store);
  return *std::move(store);
}

Bytes bytes_of(const base::Path& path) {
  const auto text = base::posix_files().read_all(path);
  EXPECT_TRUE(text) << why(text);
  if (!text) return {};
  const auto bytes = base::as_bytes(*text);
  return {bytes.begin(), bytes.end()};
}

class Archives : public ::testing::TestWithParam<bool> {
 protected:
  Archives() { store_ = store_with(directory_.path() / "store", domain_); }

  std::unique_ptr<base::File> open(base::Open how = base::Open::read) {
    auto file = base::posix_files().open(path_, how);
    EXPECT_TRUE(file) << why(file);
    return *std::move(file);
  }
  ArchiveContents write(const DiskId& disk, const ArchiveProgress& progress = {}) {
    const auto made = write_archive(*store_, {.name = "snap-1", .disk = disk, .domain = domain_},
                                    *open(base::Open::create_new), progress);
    EXPECT_TRUE(made) << why(made);
    return made ? *made : ArchiveContents{};
  }

  const TestDirectory directory_;
  const base::Path path_ = directory_.path() / "snap-1.archive";
  const DomainPtr domain_ = GetParam() ? golden_domain() : nullptr;
  std::unique_ptr<Store> store_;
};
INSTANTIATE_TEST_SUITE_P(PlainAndEncrypted, Archives, ::testing::Bool());

TEST_P(Archives, a_disk_comes_back_as_the_same_disk_from_its_archive_alone) {
  const auto disk = store_golden_disk(*store_, domain_);
  std::uint64_t last = 0;
  const auto made = write(disk, [&](std::uint64_t done, std::uint64_t chunks) {
    EXPECT_TRUE(done >= last && done < chunks);
    last = done;
    return true;
  });
  // Chunks that come twice are there once, and the words that count take a twentieth of their room.
  EXPECT_EQ(made.header.places, 21U);
  EXPECT_EQ(made.header.chunks, 20U);
  EXPECT_EQ(made.offsets.size(), 2U);
  EXPECT_LT(made.size_bytes, 20 * chunk_bytes / 20);
  EXPECT_EQ(*open()->size(), made.size_bytes);

  const auto file = open();
  const auto checked = check_archive(*file, store_->keys());
  ASSERT_TRUE(checked) << why(checked);
  EXPECT_TRUE(checked->decoded);
  EXPECT_TRUE(checked->bad.empty());
  EXPECT_EQ(checked->contents.header, made.header);
  EXPECT_EQ(check_archive(*file, nullptr)->decoded, domain_ == nullptr);
  EXPECT_EQ(check_archive(*file, nullptr, [](std::uint64_t, std::uint64_t) { return false; }).error().fault(),
            base::Fault::busy);

  const auto other = store_with(directory_.path() / "other", domain_);
  Ingest ingest(*other, {.session = "test", .domain = domain_});
  const auto put = put_archive(*file, checked->contents, domain_.get(), ingest);
  ASSERT_TRUE(put) << why(put);
  const auto restored = ingest.finish(checked->contents.header.disk.size_bytes);
  ASSERT_TRUE(restored) << why(restored);
  EXPECT_EQ(restored->disk, disk);
  Bytes bytes(chunk_bytes);
  ASSERT_TRUE(other->read(disk, 700 * chunk_bytes, bytes));
  EXPECT_EQ(bytes, golden_chunk(1));
}

TEST_P(Archives, a_disk_of_zeros_and_one_that_does_not_compress_are_archived_too) {
  const auto none = write({.root = {}, .size_bytes = 1 << 20});
  EXPECT_EQ(none.size_bytes, archive_header_bytes + archive_trailer_bytes);
  EXPECT_TRUE(check_archive(*open(), nullptr)) << why(check_archive(*open(), nullptr));
  std::filesystem::remove(path_);
  Ingest ingest(*store_, {.session = "test", .domain = domain_});
  Bytes noise(chunk_bytes);
  std::mt19937_64 random(test_seed());
  for (auto& byte : noise) byte = static_cast<std::byte>(random());
  ASSERT_TRUE(ingest.put(0, noise));
  const auto made = write(ingest.finish(chunk_bytes)->disk);
  EXPECT_LT(made.size_bytes, chunk_bytes + 1024);
  EXPECT_TRUE(check_archive(*open(), store_->keys())->bad.empty());
}

TEST_P(Archives, a_damaged_byte_is_found_wherever_it_is) {
  const auto made = write(store_golden_disk(*store_, domain_));
  const auto good = bytes_of(path_);
  const auto footer = made.offsets.back() + made.stored_bytes(made.offsets.size() - 1);
  for (std::uint64_t at = 0; at < good.size(); at += at < 256 || at > footer ? 7 : 997) {
    auto bad = good;
    bad[at] ^= std::byte{0x10};
    const auto file = base::posix_files().open(path_, base::Open::read_write);
    ASSERT_TRUE((*file)->write_at(0, bad));
    for (const auto* keys : {static_cast<const Keyring*>(store_->keys()), static_cast<const Keyring*>(nullptr)}) {
      const auto checked = check_archive(**file, keys);
      if (at < archive_header_bytes || at >= footer) {
        EXPECT_FALSE(checked) << "byte " << at;
        continue;
      }
      ASSERT_TRUE(checked) << "byte " << at << ": " << why(checked);
      ASSERT_EQ(checked->bad.size(), 1U) << "byte " << at;
      EXPECT_EQ(checked->bad[0].frame, at < made.offsets[1] ? 0U : 1U);
      EXPECT_EQ(checked->bad[0].chunk_index, at < made.offsets[1] ? 0U : 27U);
    }
  }
}

TEST_P(Archives, a_frame_of_another_archive_or_another_place_is_none_of_this_one) {
  const auto made = write(store_golden_disk(*store_, domain_));
  const auto bytes = bytes_of(path_);
  const auto frame = [&](std::size_t n) { return std::span(bytes).subspan(made.offsets[n], made.stored_bytes(n)); };
  EXPECT_TRUE(decode_archive_frame(made.header, 0, frame(0), domain_.get()));
  EXPECT_FALSE(decode_archive_frame(made.header, 1, frame(0), domain_.get()));
  if (!domain_) return;
  EXPECT_EQ(decode_archive_frame(made.header, 0, frame(0), nullptr).error().fault(), base::Fault::no_key);
  auto other = made.header;
  other.disk.root = base::sha256("another disk");
  EXPECT_EQ(decode_archive_frame(other, 0, frame(0), domain_.get()).error().fault(), base::Fault::corrupt);
}

// Written once and read for ever. KILN_WRITE_GOLDEN=1 writes them again, which is right only when the format gets a new
// number.
TEST_P(Archives, archives_of_format_1_are_read_to_the_byte) {
  const auto path = golden / (domain_ ? "snap-encrypted.archive" : "snap-plain.archive");
  const auto disk = store_golden_disk(*store_, domain_);
  if (std::getenv("KILN_WRITE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(golden);
    write(disk);
    std::filesystem::copy_file(path_, path, std::filesystem::copy_options::overwrite_existing);
  }
  const auto file = base::posix_files().open(path, base::Open::read);
  ASSERT_TRUE(file) << why(file);
  const auto checked = check_archive(**file, store_->keys());
  ASSERT_TRUE(checked) << why(checked);
  EXPECT_TRUE(checked->decoded && checked->bad.empty());
  EXPECT_EQ(checked->contents.header.disk, disk);
  const auto bytes = bytes_of(path);
  const auto head = encode_archive_header(checked->contents.header), tail = encode_archive_tail(checked->contents);
  EXPECT_TRUE(std::ranges::equal(head, std::span(bytes).first(head.size())));
  EXPECT_TRUE(std::ranges::equal(tail, std::span(bytes).last(tail.size())));
  auto later = bytes;
  later[8] = std::byte{2};
  const auto read = [&](std::uint64_t offset, std::span<std::byte> out) -> base::Status {
    std::ranges::copy(std::span(later).subspan(offset, out.size()), out.begin());
    return {};
  };
  EXPECT_EQ(parse_archive(later.size(), read).error().message(), "archive format 2; this program reads format 1");
}

TEST_P(Archives, damaged_archives_are_refused_or_agree_with_themselves) {
  const auto good = bytes_of(golden / (domain_ ? "snap-encrypted.archive" : "snap-plain.archive"));
  std::mt19937_64 random(20260101);
  for (int round = 0; round < 2000; ++round) {
    auto bad = good;
    for (auto count = random() % 3; count < 3 && !bad.empty(); ++count) {
      // Header, footer and trailer decide; a frame is its checksum.
      const auto near = random() % std::min<std::size_t>(bad.size(), 1200);
      const auto at = random() % 2 == 0 ? near % std::min<std::size_t>(bad.size(), 240) : bad.size() - 1 - near;
      if (random() % 8 == 0)
        bad.resize(at);
      else if (random() % 4 == 0)
        bad.insert(bad.begin() + static_cast<std::ptrdiff_t>(at), random() % 40, std::byte{1});
      else
        bad[at] = static_cast<std::byte>(random() % 3 == 0 ? 0xff : random());
    }
    fuzz_blocks_archive(reinterpret_cast<const std::uint8_t*>(bad.data()), bad.size());
  }
}

}  // namespace
}  // namespace kiln::blocks
