#include <gtest/gtest.h>

#include "images/inspect.h"
#include "images/samples_testing.h"
#include "images/vmdk_descriptor.h"

namespace kiln::images {
namespace {

using namespace testing;

std::string verdict(const Bytes& file) {
  const BytesSource source(file);
  const auto disk = inspect(Window(source), {.declared = Format::vmdk, .most_virtual_bytes = std::uint64_t{1} << 40});
  return disk ? "ok" : std::string(base::to_string(disk.error().fault())) + ": " + disk.error().message();
}

std::string with(std::size_t offset, std::size_t length, std::uint64_t value) {
  auto file = vmdk();
  put_little(file, offset, length, value);
  return verdict(file);
}

// The verdict on a file whose descriptor has this line more, or this extent.
std::string with_line(const std::string& line) { return verdict(vmdk(vmdk_descriptor() + line + "\n")); }
std::string with_extent(const std::string& extent) {
  return verdict(vmdk(vmdk_descriptor("monolithicSparse", extent)));
}

TEST(Vmdk, descriptors_that_lead_to_other_files_are_refused) {
  EXPECT_EQ(verdict(bytes_of(vmdk_descriptor("monolithicFlat", "RW 2048 FLAT \"/etc/shadow\" 0"))),
            "unsupported: the VMDK is only a descriptor, whose data is in other files");
  EXPECT_EQ(with_extent("RW 2048 FLAT \"/etc/shadow\" 0"),
            "unsupported: the VMDK names a path: RW 2048 FLAT \"/etc/shadow\" 0");
  EXPECT_EQ(with_extent("RW 2048 SPARSE \"..\\x.vmdk\""),
            "unsupported: the VMDK names a path: RW 2048 SPARSE \"..\\x.vmdk\"");
  EXPECT_EQ(with_extent("RW 2048 FLAT \"other\" 0"),
            "unsupported: the VMDK has an extent of another kind: RW 2048 FLAT \"other\" 0");
  EXPECT_EQ(with_extent("RW 2048 SPARSE \"a\"\nRW 2048 SPARSE \"b\""),
            "unsupported: the VMDK has more than one extent");
  EXPECT_EQ(with_line("parentFileNameHint=\"/etc/shadow\""), "unsupported: the VMDK names a parent, another file");
  EXPECT_EQ(with_line("# parentFileNameHint=\"/etc/shadow\""), "unsupported: the VMDK names a parent, another file");
  EXPECT_EQ(with_line("changeTrackPath=\"x\""),
            "unsupported: the VMDK has a line that is not known: changeTrackPath=\"x\"");
  EXPECT_EQ(with_line("whatever"), "unsupported: the VMDK has a line that is not known: whatever");
  EXPECT_EQ(with(12, 8, 0), "unsupported: the VMDK has no size of its own and leaves it to other files");
  auto parent = vmdk_descriptor();
  parent.replace(parent.find("ffffffff"), 8, "3c2a6ae2");
  EXPECT_EQ(verdict(vmdk(parent)), "unsupported: the VMDK has a parent, another file");
}

TEST(Vmdk, only_two_types_of_one_file_are_read) {
  for (const auto* const type : {"monolithicFlat", "twoGbMaxExtentSparse", "vmfs", "fullDevice", "custom", ""}) {
    EXPECT_EQ(verdict(vmdk(vmdk_descriptor(type))), "unsupported: the VMDK is of type " + std::string(type) +
                                                        "; monolithicSparse and streamOptimized are read");
  }
  EXPECT_EQ(verdict(vmdk(vmdk_descriptor("streamOptimized"))),
            "invalid: the VMDK says that it is streamOptimized and is not");
  EXPECT_EQ(with_line("createType=\"monolithicSparse\""), "invalid: the VMDK does not say createType exactly once");
  EXPECT_EQ(with_line("# parentCID=12345678"), "invalid: the VMDK does not say parentCID exactly once");
  auto esx = vmdk();
  put_text(esx, 0, "COWD");
  EXPECT_EQ(verdict(esx), "unsupported: VMDK files of ESX (COWD) are not read");
}

TEST(Vmdk, nothing_hides_behind_or_in_the_descriptor) {
  auto file = vmdk();
  put_text(file, 512 + 3000, "parentFileNameHint=\"/etc/shadow\"");
  EXPECT_EQ(verdict(file), "unsupported: the VMDK hides something behind its descriptor");
  // What QEMU leaves of a longer descriptor when it writes a shorter CID into it.
  const auto end = 512 + vmdk_descriptor().size();
  file = vmdk();
  put_text(file, end + 1, "\"\n");
  put_text(file, end + 7, "\n");
  EXPECT_EQ(verdict(file), "ok");
  put_text(file, end + 8, "\n");
  EXPECT_EQ(verdict(file), "unsupported: the VMDK hides something behind its descriptor");
  EXPECT_EQ(with_line("ddb.x = \"\x01\""), "unsupported: the VMDK has a line that is not text");
  EXPECT_EQ(verdict(vmdk("")), "invalid: the VMDK has no descriptor");
  EXPECT_EQ(with(28, 8, 2), "unsupported: the VMDK does not have its descriptor where a disk in one file has it");
  EXPECT_EQ(with(36, 8, 1 << 20), "unsupported: the VMDK does not have its descriptor where a disk in one file has it");
}

TEST(Vmdk, sizes_and_tables_that_lie_are_refused) {
  EXPECT_EQ(with(12, 8, 4096), "invalid: the VMDK has two sizes: 4096 sectors in its header, 2048 in its descriptor");
  EXPECT_TRUE(with(12, 8, ~std::uint64_t{0}).starts_with("invalid: the disk in it has 18446744073709551615 sectors"));
  for (const std::uint64_t grain : {0, 1, 7, 4096, 12})
    EXPECT_TRUE(with(20, 8, grain).starts_with("invalid: ")) << grain;
  EXPECT_EQ(with(44, 4, 0xffffffff), "invalid: the VMDK has tables of an unknown length");
  EXPECT_EQ(with(56, 8, 1 << 20), "invalid: the file ends before its directory does: it was cut short, or lies");
  EXPECT_EQ(with(21 * 512, 4, 0xffffffff),
            "invalid: a table lies beyond the end of the file: it was cut short, or lies");
  EXPECT_EQ(with(22 * 512, 4, 129), "invalid: a grain lies beyond the end of the file: it was cut short, or lies");
  EXPECT_EQ(with(22 * 512 + 4, 4, 128), "invalid: two entries of its tables name the same grain");
  EXPECT_EQ(with(22 * 512 + 4 * 16, 4, 128), "invalid: the VMDK has grains beyond the end of its disk");
  EXPECT_EQ(with(8, 4, 1 << 20 | 3), "unsupported: the VMDK has unknown flags");
  EXPECT_EQ(with(4, 4, 4), "unsupported: VMDK version 4 is not known");
  EXPECT_EQ(with(77, 2, 1), "unsupported: the VMDK is compressed in an unknown way");
  EXPECT_EQ(with(73, 1, '\r'), "invalid: the VMDK was changed by a transfer as text, or lies");
}

TEST(Vmdk, a_stream_ends_with_a_footer_that_says_what_its_header_says) {
  const auto good = stream_vmdk();
  const auto footer = good.size() - 3 * 512;
  const auto changed = [&](std::size_t offset, std::size_t length, std::uint64_t value) {
    auto file = good;
    put_little(file, footer + offset, length, value);
    return verdict(file);
  };
  EXPECT_EQ(verdict(good), "ok");
  const std::string different = "unsupported: the VMDK's header and footer are not the same";
  EXPECT_EQ(changed(512 + 12, 8, 0), different) << "its capacity";
  EXPECT_EQ(changed(512 + 28, 8, 0), different) << "the descriptor's place";
  EXPECT_EQ(changed(512 + 500, 1, 1), different) << "padding";
  const std::string no_end = "invalid: the VMDK does not end with a footer and its markers: it was cut short, or lies";
  EXPECT_EQ(changed(12, 4, 2), no_end) << "another marker";
  EXPECT_EQ(changed(1024, 8, 1), no_end) << "no end marker";
  EXPECT_EQ(changed(512 + 56, 8, 1 << 20),
            "invalid: the file ends before its directory does: it was cut short, or lies");
}

TEST(Vmdk, descriptors_of_other_programs_are_read) {
  const auto by_virtualbox = parse_vmdk_descriptor(
      "# Disk DescriptorFile\nversion=1\nCID=7c3b3b3b\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n"
      "# Extent description\nRDONLY 4194304 SPARSE \"debian-disk001.vmdk\"\n\n# The disk Data Base \n#DDB\n\n"
      "ddb.virtualHWVersion = \"4\"\nddb.uuid.image=\"f4d4e3b2-0000-0000-0000-000000000000\"\nddb.comment=\"\"\n");
  ASSERT_TRUE(by_virtualbox) << by_virtualbox.error().message();
  EXPECT_EQ(by_virtualbox->sectors, 4194304U);
  const auto by_ovftool = parse_vmdk_descriptor(
      "# Disk DescriptorFile\r\nversion=1\r\nencoding=\"windows-1252\"\r\nCID=a0b1c2d3\r\nparentCID=ffffffff\r\n"
      "isNativeSnapshot=\"no\"\r\ncreateType=\"streamOptimized\"\r\n\r\nRW 16777216 SPARSE "
      "\"generated-stream.vmdk\"\r\n"
      "ddb.longContentID = \"0123456789abcdef\"\r\n");
  ASSERT_TRUE(by_ovftool) << by_ovftool.error().message();
  EXPECT_EQ(by_ovftool->create_type, "streamOptimized");
}

}  // namespace
}  // namespace kiln::images
