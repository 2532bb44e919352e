// VHD and VHDX.

#include <gtest/gtest.h>

#include "images/inspect.h"
#include "images/samples_testing.h"

namespace kiln::images {
namespace {

using namespace testing;

std::string verdict(const Bytes& file, Format declared) {
  const BytesSource source(file);
  const auto disk = inspect(Window(source), {.declared = declared, .most_virtual_bytes = std::uint64_t{1} << 40});
  return disk ? "ok" : std::string(base::to_string(disk.error().fault())) + ": " + disk.error().message();
}
std::string verdict(VhdParts parts) { return verdict(parts.file(), Format::vhd); }
std::string verdict(VhdxParts parts) { return verdict(parts.file(), Format::vhdx); }

// Of a good file with one number changed.
std::string vhd_with(Bytes VhdParts::*part, std::size_t offset, std::size_t length, std::uint64_t value) {
  VhdParts parts;
  put_big(parts.*part, offset, length, value);
  return verdict(std::move(parts));
}
std::string vhdx_with(Bytes VhdxParts::*part, std::size_t offset, std::size_t length, std::uint64_t value) {
  VhdxParts parts;
  put_little(parts.*part, offset, length, value);
  return verdict(std::move(parts));
}

TEST(Vhd, a_disk_with_a_parent_is_refused) {
  EXPECT_EQ(vhd_with(&VhdParts::footer, 60, 4, 4), "unsupported: the VHD has a parent, another file");
  const std::string named = "unsupported: the VHD names a parent, another file";
  EXPECT_EQ(vhd_with(&VhdParts::header, 40, 4, 1), named) << "its id";
  EXPECT_EQ(vhd_with(&VhdParts::header, 64, 2, '/'), named) << "its name";
  EXPECT_EQ(vhd_with(&VhdParts::header, 576 + 24, 4, 0x57326b75), named) << "a locator";
}

TEST(Vhd, what_nobody_knows_is_refused) {
  EXPECT_EQ(vhd_with(&VhdParts::footer, 60, 4, 5), "unsupported: the VHD is of unknown type 5");
  EXPECT_EQ(vhd_with(&VhdParts::footer, 12, 4, 0x20000), "unsupported: the VHD is of an unknown version");
  EXPECT_EQ(vhd_with(&VhdParts::header, 24, 4, 0x20000), "unsupported: the VHD is of an unknown version");
  EXPECT_EQ(vhd_with(&VhdParts::header, 0, 1, 'x'), "invalid: the VHD has no valid header for its blocks");
  auto file = VhdParts().file();
  put_big(file, file.size() - 512 + 300, 1, 1);
  EXPECT_EQ(verdict(file, Format::vhd), "invalid: the VHD has a footer whose checksum is wrong");
}

TEST(Vhd, sizes_and_tables_that_lie_are_refused) {
  EXPECT_TRUE(vhd_with(&VhdParts::footer, 48, 8, ~std::uint64_t{0}).starts_with("invalid: the disk in it has "));
  EXPECT_TRUE(vhd_with(&VhdParts::footer, 48, 8, 0).starts_with("invalid: the disk in it has "));
  EXPECT_EQ(vhd_with(&VhdParts::footer, 48, 8, 1 << 30), "invalid: the VHD has fewer blocks than its disk needs");
  EXPECT_EQ(vhd_with(&VhdParts::footer, 16, 8, 1 << 30),
            "invalid: the file ends before its header does: it was cut short, or lies");
  EXPECT_EQ(vhd_with(&VhdParts::header, 16, 8, 1 << 30),
            "invalid: the file ends before its table of blocks does: it was cut short, or lies");
  EXPECT_EQ(vhd_with(&VhdParts::header, 28, 4, 0xffffffff),
            "invalid: the file ends before its table of blocks does: it was cut short, or lies");
  for (const std::uint64_t block : {0, 512, 4097, 1 << 30}) {
    EXPECT_TRUE(vhd_with(&VhdParts::header, 32, 4, block).starts_with("invalid: the VHD has blocks of ")) << block;
  }
  EXPECT_EQ(vhd_with(&VhdParts::table, 0, 4, 1000),
            "invalid: a block lies beyond the end of the file: it was cut short, or lies");
  EXPECT_EQ(vhd_with(&VhdParts::table, 4, 4, 4), "invalid: two entries of its tables name the same block");
}

TEST(Vhd, both_ends_say_the_same) {
  auto file = VhdParts().file();
  put_big(file, 24, 4, 77);
  put_vhd_checksum(file, 0, 512, 64);
  EXPECT_EQ(verdict(file, Format::vhd), "unsupported: the VHD begins with another footer than it ends with");
  auto fixed = fixed_vhd(8192);
  fixed.insert(fixed.begin(), 512, std::byte{});
  EXPECT_EQ(verdict(fixed, Format::vhd), "invalid: the VHD says that its disk has 8192 bytes and holds 8704");
}

TEST(Vhdx, a_disk_with_a_parent_is_refused) {
  const std::string parent = "unsupported: the VHDX has a parent, another file";
  EXPECT_EQ(vhdx_with(&VhdxParts::metadata, 65536 + 4, 4, 2), parent) << "a flag";
  VhdxParts parts;
  parts.add_item(vhdx::parent_locator, 24, 8, 0);
  EXPECT_EQ(verdict(std::move(parts)), parent) << "a locator";
  EXPECT_EQ(vhdx_with(&VhdxParts::blocks, 0, 1, 7),
            "unsupported: the VHDX has a block that is partly in a parent, another file");
}

TEST(Vhdx, what_nobody_knows_is_refused_if_it_is_required) {
  constexpr auto unknown = vhdx::guid("0123456789abcdef");
  VhdxParts required;
  required.add_region(unknown, 3, 1);
  EXPECT_EQ(verdict(std::move(required)), "unsupported: the VHDX has an unknown region that it says is required");
  VhdxParts optional;
  optional.add_region(unknown, 3, 0);
  EXPECT_EQ(verdict(std::move(optional)), "ok");
  VhdxParts metadata;
  metadata.add_item(unknown, 24, 8, 0);
  EXPECT_EQ(verdict(std::move(metadata)), "unsupported: the VHDX has unknown metadata that it says is required");
  EXPECT_EQ(vhdx_with(&VhdxParts::header, 66, 2, 2), "unsupported: the VHDX is of an unknown version");
  EXPECT_EQ(vhdx_with(&VhdxParts::metadata, 65536 + 16, 4, 4096),
            "unsupported: the VHDX has sectors of 4096 bytes; 512 are read");
}

TEST(Vhdx, a_log_that_is_not_applied_is_refused) {
  EXPECT_TRUE(vhdx_with(&VhdxParts::header, 48, 4, 1).starts_with("unsupported: the VHDX was not closed"));
}

TEST(Vhdx, sizes_and_tables_that_lie_are_refused) {
  EXPECT_TRUE(vhdx_with(&VhdxParts::metadata, 65536 + 8, 8, ~std::uint64_t{0}).starts_with("invalid: the disk in it"));
  EXPECT_EQ(vhdx_with(&VhdxParts::metadata, 65536 + 8, 8, std::uint64_t{1} << 39),
            "invalid: the VHDX has fewer blocks than its disk needs");
  for (const std::uint64_t block : {0, 4096, 3 << 20, 1 << 30}) {
    EXPECT_TRUE(vhdx_with(&VhdxParts::metadata, 65536, 4, block).starts_with("invalid: the VHDX has blocks of "))
        << block;
  }
  EXPECT_EQ(vhdx_with(&VhdxParts::blocks, 0, 8, std::uint64_t{9 << 20} | 6),
            "invalid: a block lies beyond the end of the file: it was cut short, or lies");
  EXPECT_EQ(vhdx_with(&VhdxParts::blocks, 8, 8, std::uint64_t{3 << 20} | 6),
            "invalid: two entries of its tables name the same block");
  EXPECT_EQ(vhdx_with(&VhdxParts::blocks, 8, 8, 4), "invalid: a block of the VHDX is in no known state");
  EXPECT_EQ(vhdx_with(&VhdxParts::regions, 8, 4, 0xffffffff), "invalid: the VHDX has too many regions");
  EXPECT_EQ(vhdx_with(&VhdxParts::regions, 16 + 16, 8, 4096), "invalid: the VHDX has a region at an impossible place");
  EXPECT_EQ(vhdx_with(&VhdxParts::regions, 16 + 16, 8, 1 << 20),
            "invalid: two regions of the VHDX lie over each other");
  EXPECT_EQ(vhdx_with(&VhdxParts::regions, 16 + 16, 8, 1 << 30),
            "invalid: the file ends before a region of the VHDX does: it was cut short, or lies");
  EXPECT_EQ(vhdx_with(&VhdxParts::metadata, 32 + 16, 4, 0xffffffff),
            "invalid: the VHDX has metadata outside of its place");
  EXPECT_EQ(vhdx_with(&VhdxParts::metadata, 10, 2, 0xffff), "invalid: the VHDX has no valid metadata");
  VhdxParts twice;
  twice.add_item(vhdx::virtual_size, 24, 8, 1 << 20);
  EXPECT_EQ(verdict(std::move(twice)), "invalid: the VHDX has the same metadata twice");
}

TEST(Vhdx, both_tables_of_regions_say_the_same) {
  auto file = VhdxParts().file();
  put_little(file, (256 << 10) + 8, 4, 1);
  EXPECT_EQ(verdict(file, Format::vhdx), "unsupported: the two tables of regions of the VHDX are not the same");
  put_little(file, (192 << 10) + 8, 4, 1);
  EXPECT_EQ(verdict(file, Format::vhdx), "invalid: the VHDX has no valid table of regions");
  put_text(file, 64 << 10, "none");
  put_text(file, 128 << 10, "none");
  EXPECT_EQ(verdict(file, Format::vhdx), "invalid: the VHDX has no valid header");
}

}  // namespace
}  // namespace kiln::images
