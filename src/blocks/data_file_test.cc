#include "blocks/data_file.h"

#include <gtest/gtest.h>

#include "blocks/sealed_generation.h"
#include "blocks/store_testing.h"
#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

constexpr std::uint64_t gib = 1 << 30;
constexpr std::uint64_t tib = std::uint64_t{1} << 40;

// On the machine's own file system: that it takes such files is what is promised.
struct LargeVolumeTest : ::testing::Test {
  testing::TestDirectory directory;
  base::Files& files = base::posix_files();
  MemoryDisks disks;
  const base::Path path = directory.path() / "vol-0123456789abcdef0";
  std::unique_ptr<Volume> volume;

  void create(std::uint64_t size_bytes) {
    const auto created = Volume::create(
        files, path, {.volume = path.filename().string(), .size_bytes = size_bytes, .base = {}, .epoch = 1});
    ASSERT_TRUE(created.ok()) << text_of(created);
    open();
  }
  void open() {
    volume.reset();
    auto opened = Volume::open(files, path, disks, {.epoch = 1});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    volume = std::move(*opened);
  }
  void write(std::uint64_t offset, std::uint64_t stamp, std::uint64_t count = 8) {
    const auto written = volume->write(offset, stamped(stamp, count), Fua::no);
    ASSERT_TRUE(written.ok()) << text_of(written);
  }
  std::vector<std::uint64_t> read(std::uint64_t offset, std::uint64_t count = 8) {
    base::Bytes out(count * sector_bytes);
    const auto done = volume->read(offset, out);
    EXPECT_TRUE(done.ok()) << text_of(done);
    return stamps_of(out);
  }
  void seal(const std::string& snapshot) {
    const Volume::Cut cut{volume.get(), snapshot};
    const auto sealed = Volume::seal({&cut, 1});
    ASSERT_TRUE(sealed) << sealed.error().message();
  }
  std::size_t data_files() {
    std::size_t count = 0;
    for (const auto& name : *files.list(path)) count += name.find(".data") != std::string::npos ? 1 : 0;
    return count;
  }
};

TEST_F(LargeVolumeTest, a_disk_of_64_tib_holds_what_is_written_at_its_ends_and_across_its_files) {
  create(64 * tib);
  write(0, 1);
  write(64 * tib - 4096, 2);
  write(8 * tib - 4096, 3, 16);
  ASSERT_TRUE(volume->trim({24 * tib - 8192, 16384}, Fua::no));
  for (const bool reopened : {false, true}) {
    if (reopened) open();
    EXPECT_EQ(read(0), std::vector<std::uint64_t>(8, 1));
    EXPECT_EQ(read(64 * tib - 4096), std::vector<std::uint64_t>(8, 2));
    EXPECT_EQ(read(8 * tib - 4096, 16), std::vector<std::uint64_t>(16, 3));
    EXPECT_EQ(read(24 * tib - 4096, 16), std::vector<std::uint64_t>(16, 0));
    ASSERT_TRUE(volume->flush());
  }
}

TEST_F(LargeVolumeTest, a_cut_is_composed_from_all_its_files_and_a_rebase_removes_them) {
  create(17 * tib);
  write(17 * tib - 4096, 7);
  seal("snap-1");
  ASSERT_TRUE(volume->sealed("snap-1"));
  const auto cut = SealedGeneration::open(files, path, "snap-1");
  ASSERT_TRUE(cut) << cut.error().message();
  ASSERT_EQ(cut->touched_chunks(), std::vector<std::uint64_t>{17 * tib / chunk_bytes - 1});
  const auto chunk = cut->compose(17 * tib / chunk_bytes - 1, nullptr);
  ASSERT_TRUE(chunk) << chunk.error().message();
  EXPECT_EQ(stamps_of(std::span(*chunk).last(4096)), std::vector<std::uint64_t>(8, 7));
  ASSERT_EQ(data_files(), 6);
  ASSERT_TRUE(volume->rebase(cut->generation(), {.root = {}, .size_bytes = 17 * tib}));
  EXPECT_EQ(data_files(), 3);
}

TEST_F(LargeVolumeTest, grows_into_further_files_under_a_cut_that_keeps_its_own) {
  create(gib);
  write(0, 1);
  seal("snap-1");
  ASSERT_TRUE(volume->grow(20 * tib));
  write(20 * tib - 4096, 2);
  seal("snap-2");
  write(9 * tib, 3);
  ASSERT_TRUE(volume->flush());
  for (const bool reopened : {false, true}) {
    if (reopened) open();
    EXPECT_EQ(volume->size_bytes(), 20 * tib);
    EXPECT_EQ(read(0), std::vector<std::uint64_t>(8, 1));
    EXPECT_EQ(read(20 * tib - 4096), std::vector<std::uint64_t>(8, 2));
    EXPECT_EQ(read(9 * tib), std::vector<std::uint64_t>(8, 3));
  }
}

TEST_F(LargeVolumeTest, a_missing_file_of_the_current_generation_is_an_error_of_the_open) {
  create(20 * tib);
  volume.reset();
  ASSERT_TRUE(files.remove(path / "gen-1.data.2"));
  const auto opened = Volume::open(files, path, disks, {.epoch = 1});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message().find("gen-1.data.2"), std::string::npos) << opened.error().message();
}

}  // namespace
}  // namespace kiln::blocks
