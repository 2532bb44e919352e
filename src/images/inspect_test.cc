#include "images/inspect.h"

#include <gtest/gtest.h>

#include "images/samples_testing.h"

namespace kiln::images {
namespace {

using namespace testing;

constexpr std::uint64_t tib = std::uint64_t{1} << 40;

base::Result<Disk> inspected(const Bytes& file, Format declared, std::uint64_t most = tib) {
  const BytesSource source(file);
  return inspect(Window(source), {.declared = declared, .most_virtual_bytes = most});
}

std::string verdict(const Bytes& file, Format declared, std::uint64_t most = tib) {
  const auto disk = inspected(file, declared, most);
  return disk ? "ok" : std::string(base::to_string(disk.error().fault())) + ": " + disk.error().message();
}

struct Sample {
  Format declared;
  Bytes file;
  Disk disk;
};

std::vector<Sample> samples() {
  const auto whole = [](Format declared, Bytes file, std::uint64_t virtual_bytes) {
    const Disk disk{.format = declared, .offset = 0, .length = file.size(), .virtual_bytes = virtual_bytes};
    return Sample{declared, std::move(file), disk};
  };
  return {whole(Format::raw, Bytes(4096), 4096),
          whole(Format::qcow2, qcow2(2), 1 << 20),
          whole(Format::qcow2, qcow2(3), 1 << 20),
          whole(Format::vmdk, vmdk(), 1 << 20),
          whole(Format::vmdk, stream_vmdk(), 1 << 20),
          {Format::vhd, fixed_vhd(), {.format = Format::raw, .offset = 0, .length = 8192, .virtual_bytes = 8192}},
          whole(Format::vhd, VhdParts().file(), 8192),
          whole(Format::vhdx, VhdxParts().file(), 2 << 20),
          {Format::ova,
           ova(),
           {.format = Format::vmdk, .offset = 1536, .length = stream_vmdk().size(), .virtual_bytes = 1 << 20}}};
}

TEST(Inspect, every_format_passes_as_what_it_is) {
  for (const auto& [declared, file, expected] : samples()) {
    const auto disk = inspected(file, declared);
    ASSERT_TRUE(disk) << to_string(declared) << ": " << disk.error().message();
    EXPECT_EQ(disk->format, expected.format) << to_string(declared);
    EXPECT_EQ(disk->offset, expected.offset) << to_string(declared);
    EXPECT_EQ(disk->length, expected.length) << to_string(declared);
    EXPECT_EQ(disk->virtual_bytes, expected.virtual_bytes) << to_string(declared);
  }
}

TEST(Inspect, a_file_is_what_it_was_declared_as_or_refused) {
  for (const auto& [is, file, disk] : samples()) {
    for (const auto declared : {Format::raw, Format::qcow2, Format::vmdk, Format::vhd, Format::vhdx, Format::ova}) {
      if (declared == is) continue;
      EXPECT_EQ(verdict(file, declared), "invalid: the file was declared as " + std::string(to_string(declared)) +
                                             " and is " + (is == Format::raw ? "not" : "a ") +
                                             (is == Format::raw ? "" : std::string(to_string(is)) + " image"));
    }
  }
  EXPECT_EQ(verdict(Bytes(4096), Format::vdi), "unsupported: images of format vdi are not read");
  EXPECT_EQ(verdict({}, Format::raw), "invalid: the file is empty");
}

TEST(Inspect, no_known_format_passes_as_raw) {
  using namespace std::string_view_literals;
  const std::pair<std::size_t, std::string_view> headers[] = {{0, "QFI\xfb\0\0\0\1"sv},
                                                              {0, "QED\0"sv},
                                                              {0, "KDMV"sv},
                                                              {0, "COWD"sv},
                                                              {0, "# Disk DescriptorFile\nversion=1"sv},
                                                              {0, "conectix"sv},
                                                              {65536 - 512, "conectix"sv},
                                                              {0, "vhdxfile"sv},
                                                              {64, "\x7f\x10\xda\xbe"sv},
                                                              {0, "WithoutFreeSpace"sv},
                                                              {0, "WithouFreSpacExt"sv},
                                                              {0, "Bochs Virtual HD Image"sv}};
  for (const auto& [offset, text] : headers) {
    Bytes file(65536);
    put_text(file, offset, text);
    EXPECT_EQ(verdict(file, Format::raw).substr(0, 40), "invalid: the file was declared as raw an") << text;
  }
}

TEST(Inspect, a_raw_disk_may_be_encrypted_by_its_owner_or_be_an_iso) {
  Bytes file(65536);
  put_text(file, 0, "LUKS\xba\xbe");
  EXPECT_EQ(verdict(file, Format::raw), "ok");
  file = Bytes(65536);
  put_text(file, 0x8001, "CD001");
  EXPECT_EQ(verdict(file, Format::raw), "ok");
}

TEST(Inspect, a_raw_disk_with_a_gpt_has_a_protective_mbr_too) {
  Bytes file(65536);
  put_text(file, 512, "EFI PART");
  EXPECT_EQ(verdict(file, Format::raw), "invalid: the disk has a GPT and no protective MBR before it");
  put_text(file, 510, "\x55\xaa");
  EXPECT_EQ(verdict(file, Format::raw), "invalid: the disk has a GPT and an MBR without a protective entry");
  put_little(file, 446 + 4, 1, 0xee);
  put_little(file, 446 + 8, 4, 1);
  EXPECT_EQ(verdict(file, Format::raw), "ok");
  put_little(file, 446 + 16, 1, 0x7f);
  EXPECT_EQ(verdict(file, Format::raw), "invalid: the disk has a GPT behind an MBR with an entry that is none");
}

TEST(Inspect, no_disk_larger_than_accepted_passes) {
  for (const auto& [declared, file, disk] : samples()) {
    EXPECT_EQ(verdict(file, declared, disk.virtual_bytes), "ok") << to_string(declared);
    EXPECT_NE(verdict(file, declared, disk.virtual_bytes - 1), "ok") << to_string(declared);
  }
}

TEST(Inspect, every_file_that_is_cut_is_refused) {
  for (const auto& [declared, file, disk] : samples()) {
    if (declared == Format::raw) continue;
    // The last piece of an OVA is its end mark, of which half is enough.
    for (const std::size_t cut : {std::size_t{1}, std::size_t{512}, std::size_t{1536}, file.size() / 2}) {
      if (declared == Format::ova && cut < 1024) continue;
      const Bytes shorter(file.begin(), file.end() - static_cast<std::ptrdiff_t>(cut));
      EXPECT_NE(verdict(shorter, declared), "ok") << to_string(declared) << " less " << cut;
    }
    for (std::size_t length = 0; length < 1200; length += length < 600 ? 1 : 97) {
      const Bytes start(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_NE(verdict(start, declared), "ok") << to_string(declared) << " of " << length;
    }
  }
}

TEST(Inspect, formats_have_names_and_endings) {
  EXPECT_EQ(importable("vpc"), Format::vhd);
  EXPECT_EQ(importable("vdi"), std::nullopt);
  EXPECT_EQ(exportable("vmdk"), Format::vmdk);
  EXPECT_EQ(exportable("ova"), std::nullopt);
  EXPECT_EQ(named_by_ending("/a.b/disk.VMDK"), Format::vmdk);
  EXPECT_EQ(named_by_ending("/a.qcow2/disk"), Format::raw);
  EXPECT_EQ(named_by_ending("disk.img"), Format::raw);
}

}  // namespace
}  // namespace kiln::images
