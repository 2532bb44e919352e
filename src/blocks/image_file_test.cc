#include "blocks/image_file.h"

#include "base/bytes.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using namespace testing;

constexpr std::uint64_t gib = 1 << 30;

void put_big(Bytes& bytes, std::size_t offset, std::size_t length, std::uint64_t value) {
  for (std::size_t i = 0; i < length; ++i) bytes[offset + i] = static_cast<std::byte>(value >> 8 * (length - 1 - i));
}

void put_text(Bytes& bytes, std::size_t offset, std::string_view text) {
  std::ranges::copy(base::as_bytes(text), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

// What `qemu-img create -f qcow2` writes for a disk of 1 GiB.
Bytes qcow2(unsigned version = 3) {
  Bytes head(image_head_bytes);
  put_text(head, 0, "QFI\xfb");
  put_big(head, 4, 4, version);
  put_big(head, 20, 4, 16);
  put_big(head, 24, 8, gib);
  put_big(head, 36, 4, 2);
  put_big(head, 40, 8, 0x30000);
  put_big(head, 48, 8, 0x10000);
  put_big(head, 56, 4, 1);
  if (version == 3) {
    put_big(head, 96, 4, 4);
    put_big(head, 100, 4, 112);
  }
  return head;
}

std::string verdict(const Bytes& head, ImageFormat declared, std::uint64_t file_bytes = 512 << 10) {
  return why(
      inspect_image({.declared = declared, .head = head, .file_bytes = file_bytes, .most_virtual_bytes = 64 * gib}));
}

std::string qcow2_verdict(std::size_t offset, std::size_t length, std::uint64_t value, unsigned version = 3) {
  auto head = qcow2(version);
  put_big(head, offset, length, value);
  return verdict(head, ImageFormat::qcow2);
}

TEST(ImageFile, raw_and_both_versions_of_qcow2_pass) {
  const auto raw =
      inspect_image({.declared = ImageFormat::raw, .head = Bytes(4096), .file_bytes = gib, .most_virtual_bytes = gib});
  ASSERT_TRUE(raw) << why(raw);
  EXPECT_EQ(raw->virtual_bytes, gib);
  for (const unsigned version : {2u, 3u}) {
    const auto head = qcow2(version);
    const auto image = inspect_image(
        {.declared = ImageFormat::qcow2, .head = head, .file_bytes = 512 << 10, .most_virtual_bytes = 64 * gib});
    ASSERT_TRUE(image) << why(image);
    EXPECT_EQ(image->format, ImageFormat::qcow2);
    EXPECT_EQ(image->virtual_bytes, gib);
  }
}

TEST(ImageFile, a_file_is_what_it_was_declared_as_or_refused) {
  EXPECT_EQ(verdict(qcow2(), ImageFormat::raw), "invalid: the file was declared as raw and is a qcow2 image");
  EXPECT_EQ(verdict(Bytes(4096), ImageFormat::qcow2), "invalid: the file was declared as qcow2 and is not");
  EXPECT_EQ(verdict(Bytes(4096), ImageFormat::vmdk),
            "unsupported: images of format vmdk are not accepted; raw and qcow2 are");
}

TEST(ImageFile, no_known_format_passes_as_raw) {
  using namespace std::string_view_literals;
  const std::pair<std::size_t, std::string_view> headers[] = {{0, "QFI\xfb\0\0\0\1"sv},
                                                              {0, "QED\0"sv},
                                                              {0, "KDMV"sv},
                                                              {0, "COWD"sv},
                                                              {0, "# Disk DescriptorFile\nversion=1"sv},
                                                              {0, "conectix"sv},
                                                              {0, "vhdxfile"sv},
                                                              {64, "\x7f\x10\xda\xbe"sv},
                                                              {0, "WithoutFreeSpace"sv},
                                                              {0, "WithouFreSpacExt"sv},
                                                              {0, "Bochs Virtual HD Image"sv}};
  for (const auto& [offset, text] : headers) {
    Bytes head(image_head_bytes);
    put_text(head, offset, text);
    EXPECT_EQ(verdict(head, ImageFormat::raw).substr(0, 40), "invalid: the file was declared as raw an") << text;
  }
}

TEST(ImageFile, a_raw_disk_may_be_encrypted_by_its_owner_or_be_an_iso) {
  Bytes head(image_head_bytes);
  put_text(head, 0, "LUKS\xba\xbe");
  EXPECT_EQ(verdict(head, ImageFormat::raw), "ok");
  head = Bytes(image_head_bytes);
  put_text(head, 0x8001, "CD001");
  EXPECT_EQ(detect_image_format(head), ImageFormat::iso);
  EXPECT_EQ(verdict(head, ImageFormat::raw), "ok");
}

TEST(ImageFile, qcow2_that_names_other_files_is_refused) {
  EXPECT_EQ(qcow2_verdict(8, 8, 0x200), "unsupported: the qcow2 file has a backing file");
  EXPECT_EQ(qcow2_verdict(8, 8, 0x200, 2), "unsupported: the qcow2 file has a backing file");
  EXPECT_EQ(qcow2_verdict(16, 4, 11), "unsupported: the qcow2 file has a backing file");
  EXPECT_EQ(qcow2_verdict(72, 8, 1 << 2), "unsupported: the qcow2 file keeps its data in another file");
  EXPECT_EQ(qcow2_verdict(112, 8, 0x4441544100000010), "unsupported: the qcow2 file names a data file");
  EXPECT_EQ(qcow2_verdict(112, 8, 0xe2792aca00000005),
            "unsupported: the qcow2 file names the format of a backing file");
}

TEST(ImageFile, qcow2_with_what_nobody_knows_is_refused) {
  EXPECT_EQ(qcow2_verdict(4, 4, 4), "unsupported: qcow2 version 4; versions 2 and 3 are read");
  EXPECT_EQ(qcow2_verdict(72, 8, 1 << 5), "unsupported: the qcow2 file has the unknown incompatible feature 5");
  EXPECT_EQ(qcow2_verdict(72, 8, std::uint64_t{1} << 63),
            "unsupported: the qcow2 file has the unknown incompatible feature 63");
  EXPECT_EQ(qcow2_verdict(72, 8, 1 << 1), "unsupported: the qcow2 file is marked corrupt");
  EXPECT_EQ(qcow2_verdict(32, 4, 1), "unsupported: the qcow2 file is encrypted");
  EXPECT_EQ(qcow2_verdict(72, 8, 0b11001), "ok");
}

TEST(ImageFile, qcow2_of_impossible_sizes_is_refused) {
  EXPECT_EQ(qcow2_verdict(24, 8, 65 * gib).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(24, 8, 0).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(20, 4, 8).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(20, 4, 63).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(100, 4, 8).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(100, 4, 1 << 20).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(112, 8, 0x12345678ffffffff).substr(0, 8), "invalid:");
  EXPECT_EQ(qcow2_verdict(40, 8, 1 << 20),
            "invalid: the qcow2 file ends before its first table does: it was cut short");
}

TEST(ImageFile, any_truncated_head_is_refused_or_judged_without_reading_past_it) {
  const auto whole = qcow2();
  for (std::size_t length = 8; length < 200; ++length) {
    const Bytes head(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_NE(verdict(head, ImageFormat::qcow2), "ok") << length;
    EXPECT_NE(verdict(head, ImageFormat::raw), "ok") << length;
  }
}

}  // namespace
}  // namespace kiln::blocks
