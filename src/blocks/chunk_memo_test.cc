#include "blocks/chunk_memo.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace kiln::blocks {
namespace {

const DiskId disk{.root = base::sha256(std::string_view("disk")), .size_bytes = 1 << 30};
const DiskId other{.root = base::sha256(std::string_view("other")), .size_bytes = 1 << 30};

ChunkBytes some_bytes() { return std::make_shared<const base::Bytes>(chunk_bytes); }

TEST(ChunkMemo, bytes_are_given_as_long_as_somebody_else_holds_them) {
  ChunkMemo memo;
  const auto id = base::sha256(std::string_view("chunk"));
  auto bytes = some_bytes();
  memo.keep(disk, 7, id, bytes);
  EXPECT_EQ(memo.find(disk, 7)->bytes, bytes);
  bytes.reset();
  EXPECT_EQ(memo.find(disk, 7)->id, id);
  EXPECT_EQ(memo.find(disk, 7)->bytes, nullptr);
}

TEST(ChunkMemo, another_disk_or_chunk_is_not_taken_for_it) {
  ChunkMemo memo;
  EXPECT_FALSE(memo.find(disk, 0));
  memo.keep(disk, 7, base::sha256(std::string_view("chunk")), nullptr);
  EXPECT_FALSE(memo.find(other, 7));
  EXPECT_FALSE(memo.find(disk, 8));
  EXPECT_FALSE(memo.find(disk, 7 + 4096));
  memo.keep(disk, 7 + 4096, base::sha256(std::string_view("far")), nullptr);
  EXPECT_TRUE(memo.find(disk, 7 + 4096));
  EXPECT_FALSE(memo.find(disk, 7)) << "both have one place";
}

TEST(ChunkMemo, the_source_hears_of_what_is_read_often) {
  ChunkMemo memo;
  const auto bytes = some_bytes();
  memo.keep(disk, 7, base::sha256(std::string_view("chunk")), bytes);
  int asked = 0;
  for (int read = 0; read < 640; ++read) asked += memo.find(disk, 7)->bytes ? 0 : 1;
  EXPECT_EQ(asked, 10);
}

}  // namespace
}  // namespace kiln::blocks
