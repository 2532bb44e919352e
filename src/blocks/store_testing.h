#pragma once
// What the tests of the store share: directories that go away, contents that are told by a number, short sentences.
//
// Used by one test at a time, on its own thread.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/ids.h"
#include "blocks/ingest.h"
#include "blocks/record_encoder.h"
#include "blocks/store.h"

namespace kiln::blocks::testing {

class TestDirectory {
 public:
  TestDirectory() : path_(std::filesystem::temp_directory_path() / ("kiln-store-" + base::random_hex(6))) {
    std::filesystem::create_directories(path_);
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;
  const base::Path& path() const { return path_; }

 private:
  base::Path path_;
};

// KILN_SEED, or another one each time; printed, so that a failure can be run again.
inline std::uint64_t test_seed() {
  const char* given = std::getenv("KILN_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("KILN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

// The content of chunk number n of a test: half of it compresses.
inline base::Bytes content(std::uint64_t n) {
  base::Bytes bytes(chunk_bytes);
  std::mt19937_64 random(n);
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const std::uint64_t word = i % 16384 < 8192 ? random() : n;
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

template <class T>
std::string why(const base::Result<T>& result) {
  return result ? "ok" : std::string(to_string(result.error().fault())) + ": " + result.error().message();
}

inline std::unique_ptr<Store> open_store(const base::Path& directory, Access access = Access::write,
                                         std::size_t chunk_cache_bytes = 64 << 20) {
  auto store = Store::open(
      {.files = base::posix_files(), .directory = directory, .access = access, .chunk_cache_bytes = chunk_cache_bytes});
  EXPECT_TRUE(store) << why(store);
  return store ? *std::move(store) : nullptr;
}

// A disk that has content(n) in the chunk of each (index, n); 0 is zeros.
using Chunks = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

inline Ingested store_disk(Store& store, std::uint64_t size_bytes, const Chunks& chunks,
                           std::optional<DiskId> parent = {}) {
  Ingest ingest(store, {.session = "test", .parent = parent});
  for (const auto& [index, n] : chunks) {
    const auto put = n == 0 ? ingest.put_zero(index) : ingest.put(index, content(n));
    EXPECT_TRUE(put) << why(put);
  }
  const auto made = ingest.finish(size_bytes);
  EXPECT_TRUE(made) << why(made);
  return made ? *made : Ingested{};
}

// Whether chunk index of disk is content(n); 0 is zeros.
inline ::testing::AssertionResult holds(Store& store, const DiskId& disk, std::uint64_t index, std::uint64_t n) {
  base::Bytes bytes(std::min(chunk_bytes, disk.size_bytes - index * chunk_bytes));
  const auto read = store.read(disk, index * chunk_bytes, bytes);
  if (!read) return ::testing::AssertionFailure() << why(read);
  auto want = n == 0 ? base::Bytes(chunk_bytes) : content(n);
  want.resize(bytes.size());
  if (bytes != want) return ::testing::AssertionFailure() << "chunk " << index << " is not content " << n;
  return ::testing::AssertionSuccess();
}

// The record of content(n) that names these bases and refers to none of their units. For tests of what follows bases.
inline base::Bytes record_with_bases(std::uint64_t n, const std::vector<ChunkId>& bases) {
  const auto plain = content(n);
  const auto plain_record = RecordEncoder().encode({RecordKind::chunk, plain});
  EXPECT_TRUE(plain_record) << why(plain_record);
  base::Bytes fields(plain_record->begin(), plain_record->begin() + 64);
  const auto count = static_cast<std::uint16_t>(bases.size());
  std::memcpy(fields.data() + 52, &count, sizeof count);
  base::Bytes ids;
  for (const auto& id : bases) base::append(ids, id.bytes);
  const auto payload = std::span(*plain_record).subspan(record_header_bytes);
  auto checked = fields;
  base::append(checked, ids);
  auto record = fields;
  base::append_int(record, base::xxh3_64(payload, base::xxh3_64(checked)));
  base::append(record, ids);
  base::append(record, payload);
  return record;
}

// A pack of such records, published: content numbers and the content numbers of their bases.
using BasedChunks = std::vector<std::pair<std::uint64_t, std::vector<std::uint64_t>>>;
inline PackId store_pack(Store& store, const BasedChunks& chunks) {
  PackWriter writer({.id = PackId::make()});
  for (const auto& [n, base_numbers] : chunks) {
    std::vector<ChunkId> bases;
    for (const auto base : base_numbers) bases.push_back(base::sha256(content(base)));
    writer.add(base::sha256(content(n)), record_with_bases(n, bases));
  }
  const auto written = std::move(writer).finish();
  EXPECT_TRUE(store.publish(written));
  return written.contents.header.id;
}

// The files of all packs below a store's directory.
inline std::vector<base::Path> pack_files(const base::Path& store) {
  std::vector<base::Path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store / "packs")) {
    if (entry.path().extension() == ".pack") found.push_back(entry.path());
  }
  return found;
}

}  // namespace kiln::blocks::testing
