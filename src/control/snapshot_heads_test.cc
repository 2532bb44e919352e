#include "control/snapshot_heads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/faulty_files.h"
#include "blocks/sealed_generation.h"

namespace kiln::control {
namespace {

using base::Bytes;
using base::Digest;
using base::Fault;
using base::FaultyFiles;
using Crash = FaultyFiles::Crash;

const std::string id = "snap-0123456789abcdef0";

Bytes block(std::uint8_t value) { return Bytes(blocks::chunk_bytes, std::byte{value}); }

// What stands below a disk of zeros.
class NoDisks final : public blocks::DiskSource {
 public:
  base::Result<blocks::ChunkId> chunk_id(const blocks::DiskId&, std::uint64_t) override { return blocks::ChunkId{}; }
  base::Result<blocks::ChunkBytes> chunk(const blocks::ChunkId&) override { return blocks::ChunkBytes{}; }
};

struct SnapshotHeadsTest : ::testing::Test {
  FaultyFiles files{1};
  NoDisks below;
  base::ManualClock clock;
  const base::Path directory = "/region/started";
  const blocks::NewVolume what{.volume = id, .size_bytes = 64 << 20, .base = {}};
  std::unique_ptr<SnapshotHeads> heads;

  SnapshotHeadsTest() {
    const bool made = files.make_directories("/region") && files.sync_directory("/");
    EXPECT_TRUE(made);
    start();
  }
  void start() { heads = std::make_unique<SnapshotHeads>(files, below, clock, directory); }
  void restart(Crash crash) {
    heads.reset();
    files.restart(crash);
    start();
  }
  base::Status open() { return heads->of(id)->open(what); }
  base::Status put(std::uint64_t index, const Bytes& bytes) {
    return heads->of(id)->put(index, bytes, base::sha256(bytes));
  }
  base::Result<std::uint64_t> seal(std::uint64_t blocks, std::optional<Digest> checksum = {}) {
    return heads->of(id)->seal({.blocks = blocks, .linear_checksum = checksum});
  }
  // The blocks of the cut, by index.
  std::map<std::uint64_t, Bytes> cut() {
    std::map<std::uint64_t, Bytes> found;
    const auto opened = blocks::SealedGeneration::open(files, heads->directory_of(id), id);
    EXPECT_TRUE(opened) << opened.error().message();
    if (!opened) return found;
    for (const auto index : opened->touched_chunks()) {
      auto bytes = opened->compose(index, nullptr);
      EXPECT_TRUE(bytes) << bytes.error().message();
      if (bytes) found.emplace(index, std::move(*bytes));
    }
    return found;
  }
};

TEST_F(SnapshotHeadsTest, acknowledged_blocks_and_cuts_survive_a_crash_before_any_call) {
  const std::vector<std::pair<std::uint64_t, Bytes>> script{{3, block(1)}, {7, block(2)}, {3, block(3)}, {0, block(4)}};
  for (const auto crash : {Crash::process, Crash::power}) {
    for (std::uint64_t call = 1;; ++call) {
      SCOPED_TRACE((crash == Crash::power ? "power, call " : "process, call ") + std::to_string(call));
      heads.reset();
      files.restart(Crash::process);
      ASSERT_TRUE(blocks::Volume::remove(files, directory / id));
      start();
      files.die_before(call);
      std::map<std::uint64_t, Bytes> acknowledged;
      std::optional<std::uint64_t> unsure;  // the block that was being written
      bool alive = open().ok();
      for (const auto& [index, bytes] : script) {
        if (!alive) break;
        unsure = index;
        if (!(alive = put(index, bytes).ok())) break;
        acknowledged[index] = bytes;
        unsure.reset();
      }
      const bool sealed = alive && seal(3).ok();
      const bool died = files.died();
      restart(crash);
      if (!sealed) {
        ASSERT_TRUE(open());
        if (unsure) {
          ASSERT_TRUE(put(*unsure, block(9)));
          acknowledged[*unsure] = block(9);
        }
        ASSERT_TRUE(seal(acknowledged.size()));
      }
      EXPECT_EQ(cut(), acknowledged);
      if (!died) break;
    }
  }
}

TEST_F(SnapshotHeadsTest, the_checksum_is_that_of_the_blocks_whoever_remembers_them) {
  base::Sha256 all;
  for (const auto value : {5, 6}) all.add(base::sha256(block(static_cast<std::uint8_t>(value))).bytes);
  const auto expected = all.finish();
  ASSERT_TRUE(open());
  for (const auto value : {9, 6}) ASSERT_TRUE(put(100, block(static_cast<std::uint8_t>(value))));
  restart(Crash::power);
  ASSERT_TRUE(open());
  ASSERT_TRUE(put(50, block(5)));
  EXPECT_EQ(seal(2, Digest{}).error().fault(), Fault::invalid);
  EXPECT_EQ(seal(1, expected).error().fault(), Fault::invalid);
  ASSERT_TRUE(seal(2, expected));
  EXPECT_EQ(put(1, block(1)).error().fault(), Fault::fenced);
  EXPECT_TRUE(seal(2)) << "asking again finds the cut";
}

TEST_F(SnapshotHeadsTest, after_a_failed_sync_it_is_opened_again_and_holds_what_was_acknowledged) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(put(1, block(1)));
  files.fail_syncs(".data");
  EXPECT_FALSE(put(2, block(2)));
  EXPECT_FALSE(heads->of(id)->is_open());
  EXPECT_FALSE(put(2, block(2)));
  files.repair_syncs();
  ASSERT_TRUE(open());
  ASSERT_TRUE(put(2, block(3)));
  ASSERT_TRUE(seal(2));
  EXPECT_EQ(cut(), (std::map<std::uint64_t, Bytes>{{1, block(1)}, {2, block(3)}}));
}

TEST_F(SnapshotHeadsTest, a_full_disk_refuses_a_block_and_the_writing_goes_on_when_there_is_space) {
  ASSERT_TRUE(open());
  ASSERT_TRUE(put(1, block(1)));
  files.set_capacity(files.used_bytes() + 4096);
  EXPECT_EQ(put(2, block(2)).error().fault(), Fault::no_space);
  files.set_capacity(0);
  ASSERT_TRUE(put(2, block(2)));
  ASSERT_TRUE(seal(2));
  EXPECT_EQ(cut().size(), 2U);
}

TEST_F(SnapshotHeadsTest, an_ended_head_takes_no_blocks_and_is_not_opened_again_by_who_still_holds_it) {
  const auto held = heads->of(id);
  ASSERT_TRUE(held->open(what));
  heads->end(id);
  EXPECT_EQ(held->put(1, block(1), base::sha256(block(1))).error().fault(), Fault::fenced);
  EXPECT_EQ(held->open(what).error().fault(), Fault::fenced);
  ASSERT_TRUE(open()) << "another head finds the files unlocked";
}

}  // namespace
}  // namespace kiln::control
