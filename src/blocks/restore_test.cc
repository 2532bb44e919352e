#include "blocks/restore.h"

#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using namespace testing;

TEST(Restore, a_file_is_what_the_disk_was_and_zeros_are_holes) {
  const TestDirectory directory;
  const auto store = open_store(directory.path() / "store");
  const std::uint64_t size = 200 * chunk_bytes + 512;
  const auto disk = store_disk(*store, size, {{0, 1}, {3, 2}, {199, 3}}).disk;
  const auto path = directory.path() / "disk.raw";
  const auto file = base::posix_files().open(path, base::Open::create_or_open);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(50 * chunk_bytes, content(9))) << "what was there before goes";
  std::uint64_t last = 0;
  ASSERT_TRUE(restore(*store, disk, **file,
                      {.threads = 3, .progress = [&](std::uint64_t done) { last = std::max(last, done); }}));
  EXPECT_EQ(*(*file)->size(), size);
  EXPECT_LE(*(*file)->allocated(), 4 * chunk_bytes);
  EXPECT_EQ(last, 199 * chunk_bytes);
  for (const std::uint64_t index : {0, 1, 3, 50, 199}) {
    Bytes got(chunk_bytes), want(chunk_bytes);
    ASSERT_TRUE((*file)->read_exactly(index * chunk_bytes, got));
    ASSERT_TRUE(store->read(disk, index * chunk_bytes, want));
    EXPECT_TRUE(got == want) << index;
  }
}

TEST(Restore, a_chunk_that_cannot_be_read_is_the_error) {
  const TestDirectory directory;
  const auto store = open_store(directory.path() / "store", Access::write, 0);
  const auto made = store_disk(*store, 10 * chunk_bytes, {{0, 1}, {3, 2}});
  for (const auto& pack : made.packs_written) {
    if (pack.kind != PackKind::data) continue;
    ASSERT_TRUE(store->forget_pack(pack.id));
  }
  const auto file = base::posix_files().open(directory.path() / "disk.raw", base::Open::create_or_open);
  ASSERT_TRUE(file);
  const auto done = restore(*store, made.disk, **file);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault(), Fault::not_found);
}

}  // namespace
}  // namespace kiln::blocks
