#include <gtest/gtest.h>

#include "images/inspect.h"
#include "images/samples_testing.h"

namespace kiln::images {
namespace {

using namespace testing;

std::string verdict(const Bytes& file) {
  const BytesSource source(file);
  const auto disk = inspect(Window(source), {.declared = Format::qcow2, .most_virtual_bytes = std::uint64_t{1} << 40});
  return disk ? "ok" : std::string(base::to_string(disk.error().fault())) + ": " + disk.error().message();
}

std::string with(std::size_t offset, std::size_t length, std::uint64_t value, unsigned version = 3) {
  auto file = qcow2(version);
  put_big(file, offset, length, value);
  return verdict(file);
}

constexpr std::size_t first_table = 3 * 4096, second_table = 4 * 4096;

TEST(Qcow2, a_file_that_names_other_files_is_refused) {
  for (const unsigned version : {2u, 3u}) {
    EXPECT_EQ(with(8, 8, 0x200, version), "unsupported: the qcow2 file has a backing file");
    EXPECT_EQ(with(16, 4, 11, version), "unsupported: the qcow2 file has a backing file");
  }
  EXPECT_EQ(with(72, 8, 1 << 2), "unsupported: the qcow2 file keeps its data in another file");
  EXPECT_EQ(with(104, 8, 0x4441544100000010), "unsupported: the qcow2 file names a data file");
  EXPECT_EQ(with(104, 8, 0xe2792aca00000005), "unsupported: the qcow2 file names the format of a backing file");
}

TEST(Qcow2, what_nobody_knows_is_refused) {
  EXPECT_EQ(with(4, 4, 4), "unsupported: qcow2 version 4; versions 2 and 3 are read");
  EXPECT_EQ(with(72, 8, 1 << 5), "unsupported: the qcow2 file has the unknown incompatible feature 5");
  EXPECT_EQ(with(72, 8, std::uint64_t{1} << 63), "unsupported: the qcow2 file has the unknown incompatible feature 63");
  EXPECT_EQ(with(72, 8, 1 << 1), "unsupported: the qcow2 file is marked corrupt");
  EXPECT_EQ(with(32, 4, 1), "unsupported: the qcow2 file is encrypted");
  EXPECT_EQ(with(104, 8, 0x0537be7700000010), "unsupported: the qcow2 file is encrypted");
  EXPECT_EQ(with(72, 8, 1), "ok") << "dirty";
  EXPECT_EQ(with(72, 8, 1 << 3), "invalid: the qcow2 file contradicts itself about its compression");
}

TEST(Qcow2, impossible_sizes_are_refused) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, std::uint64_t{2} << 40, ~std::uint64_t{0}}) {
    EXPECT_TRUE(with(24, 8, bytes).starts_with("invalid: the disk in it has ")) << bytes;
  }
  for (const std::uint64_t bits : {0, 8, 22, 63, 1 << 20})
    EXPECT_TRUE(with(20, 4, bits).starts_with("invalid: ")) << bits;
  for (const std::uint64_t bytes : {8, 108, 1 << 20})
    EXPECT_TRUE(with(100, 4, bytes).starts_with("invalid: ")) << bytes;
  EXPECT_EQ(with(104, 8, 0x12345678ffffffff), "invalid: a qcow2 header extension is longer than its cluster");
  EXPECT_EQ(with(24, 8, 4 << 20),
            "invalid: the qcow2 file has a first table of 1 entries, which is not what its disk needs");
  EXPECT_TRUE(with(36, 4, 0xffffffff).starts_with("invalid: the qcow2 file has a first table of 4294967295 entries"));
  EXPECT_EQ(with(40, 8, 1 << 20), "invalid: the file ends before its first table does: it was cut short, or lies");
  EXPECT_EQ(with(48, 8, 1 << 20),
            "invalid: the file ends before its table of reference counts does: it was cut short, or lies");
  EXPECT_EQ(with(56, 4, 1 << 20), "invalid: the qcow2 file has an impossible table of reference counts");
  EXPECT_EQ(with(60, 4, 1 << 20), "invalid: the qcow2 file has a table of snapshots that is not in it");
}

TEST(Qcow2, tables_that_name_what_is_not_there_or_the_same_twice_are_refused) {
  EXPECT_EQ(with(first_table, 8, 64 * 4096),
            "invalid: a second table lies beyond the end of the file: it was cut short, or lies");
  EXPECT_EQ(with(first_table, 8, 4 * 4096 + 512), "invalid: a table of the qcow2 file does not begin at a cluster");
  EXPECT_EQ(with(second_table, 8, 64 * 4096),
            "invalid: a cluster lies beyond the end of the file: it was cut short, or lies");
  EXPECT_EQ(with(second_table + 8, 8, 5 * 4096), "invalid: two entries of its tables name the same cluster");
  auto bomb = qcow2();
  constexpr std::uint64_t compressed = std::uint64_t{1} << 62;
  for (std::size_t i = 0; i < 256; ++i) put_big(bomb, second_table + 8 * i, 8, compressed | (5 * 4096 + 7));
  EXPECT_EQ(verdict(bomb), "invalid: two entries of its tables name the same cluster");
}

TEST(Qcow2, one_byte_less_than_its_last_cluster_is_noticed) {
  auto file = qcow2();
  file.pop_back();
  EXPECT_EQ(verdict(file), "invalid: a cluster lies beyond the end of the file: it was cut short, or lies");
}

// Compressed clusters of 2 MiB, 16 bytes each: no file of this length honestly holds that much.
TEST(Qcow2, more_than_honest_compression_can_hold_is_refused) {
  auto file = qcow2();
  constexpr std::size_t clusters = 500, table = 2 << 20;
  put_big(file, 20, 4, 21);
  put_big(file, 24, 8, std::uint64_t{clusters} * table);
  put_big(file, 40, 8, table);
  put_big(file, 48, 8, 0);
  put_big(file, 56, 4, 0);
  file.resize(2 * table);
  put_big(file, table, 8, 2 * table);
  file.resize(3 * table + clusters * 16);
  for (std::size_t i = 0; i < clusters; ++i) {
    put_big(file, 2 * table + 8 * i, 8, std::uint64_t{1} << 62 | (3 * table + 16 * i));
  }
  EXPECT_EQ(verdict(file),
            "unsupported: what is compressed in its 6299456 bytes would become 1048576000, which is taken "
            "for an attack");
  EXPECT_TRUE(check_growth(std::uint64_t{128} << 20, 0));
  EXPECT_FALSE(check_growth((std::uint64_t{128} << 20) + 1, 0));
  EXPECT_TRUE(check_growth(~std::uint64_t{0}, ~std::uint64_t{0}));
}

TEST(Qcow2, a_table_that_many_entries_share_costs_one_look) {
  // 4 million entries that all name one second table: 32 GiB to read, for who follows them.
  Bytes file = qcow2();
  constexpr std::uint64_t entries = 4 << 20;
  put_big(file, 36, 4, entries);
  put_big(file, 40, 8, 6 * 4096);
  file.resize(6 * 4096 + entries * 8);
  for (std::size_t i = 0; i < entries; ++i) put_big(file, 6 * 4096 + 8 * i, 8, 4 * 4096);
  EXPECT_EQ(verdict(file), "invalid: two entries of its tables name the same second table");
}

}  // namespace
}  // namespace kiln::images
