#include <gtest/gtest.h>

#include "base/digest.h"
#include "images/inspect.h"
#include "images/samples_testing.h"

namespace kiln::images {
namespace {

using namespace testing;

std::string verdict(const Bytes& file) {
  const BytesSource source(file);
  const auto disk = inspect(Window(source), {.declared = Format::ova, .most_virtual_bytes = std::uint64_t{1} << 40});
  return disk ? "ok" : std::string(base::to_string(disk.error().fault())) + ": " + disk.error().message();
}

std::string verdict_on(const std::string& descriptor, const Bytes& disk = stream_vmdk()) {
  return verdict(tar({{"vm.ovf", bytes_of(descriptor)}, {"disk1.vmdk", disk}}));
}

constexpr auto vmdk_disk = R"(<Disk ovf:diskId="d" ovf:fileRef="f1" ovf:format="x#vmdk"/>)";

std::string sha256_of(const Bytes& bytes) { return base::sha256(bytes).hex(); }

TEST(Ova, the_disk_in_it_is_inspected_like_any_other) {
  auto hostile = stream_vmdk(vmdk_descriptor("streamOptimized", "RW 2048 FLAT \"/etc/shadow\""));
  EXPECT_EQ(verdict_on(ovf(), hostile),
            "unsupported: the disk in the OVA: the VMDK names a path: RW 2048 FLAT \"/etc/shadow\"");
  EXPECT_EQ(verdict_on(ovf(), qcow2()),
            "invalid: the disk in the OVA: the file was declared as vmdk and is a qcow2 image");
  EXPECT_EQ(verdict_on(ovf(R"(<Disk ovf:fileRef="f1" ovf:format="http://example/qcow2"/>)"), qcow2()), "ok");
  EXPECT_EQ(verdict_on(ovf(R"(<Disk ovf:fileRef="f1" ovf:format="http://example/other"/>)")),
            "unsupported: the OVA has a disk of a format that is not known");
}

TEST(Ova, there_is_exactly_one_disk) {
  EXPECT_EQ(verdict_on(ovf("")), "unsupported: the OVA has no disk");
  EXPECT_EQ(
      verdict_on(ovf(std::string(vmdk_disk) + R"(<Disk ovf:diskId="e" ovf:fileRef="f2" ovf:format="vmdk"/>)")),
      "unsupported: the OVA has 2 disks (f1, f2), and an image begins with one: unpack it and import each disk by "
      "itself");
  EXPECT_EQ(verdict_on(ovf(std::string(vmdk_disk) + R"(<Disk ovf:diskId="swap" ovf:capacity="1"/>)")), "ok");
  EXPECT_EQ(verdict_on(ovf(R"(<Disk ovf:fileRef="f1" ovf:parentRef="d0" ovf:format="vmdk"/>)")),
            "unsupported: the OVA has a disk with a parent");
}

TEST(Ova, the_disk_is_a_member_of_the_archive) {
  for (const auto* const href : {"/etc/shadow", "../disk1.vmdk", "http://host/disk1.vmdk", "other.vmdk", ""}) {
    EXPECT_EQ(verdict_on(ovf(vmdk_disk, R"(<File ovf:id="f1" ovf:href=")" + std::string(href) + "\"/>")),
              "invalid: the OVA does not hold the disk that its descriptor names")
        << href;
  }
  EXPECT_EQ(verdict_on(ovf(vmdk_disk, "")), "invalid: the OVA's disk is not one of its files");
  EXPECT_EQ(verdict_on(ovf(vmdk_disk, R"(<File ovf:id="f1" ovf:href="disk1.vmdk" ovf:compression="gzip"/>)")),
            "unsupported: the OVA's disk is compressed as a file; that is not read");
  EXPECT_EQ(verdict_on(ovf(vmdk_disk, R"(<File ovf:id="f1" ovf:href="disk1.vmdk" ovf:chunkSize="1000"/>)")),
            "unsupported: the OVA's disk is cut in pieces");
}

TEST(Ova, descriptors_cannot_name_entities_or_exhaust_memory) {
  EXPECT_EQ(verdict_on("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/shadow\">]><Envelope/>"),
            "unsupported: the OVA has a descriptor with a document type, which may name other files");
  EXPECT_EQ(verdict_on("not xml"), "invalid: the OVA has a descriptor that is no XML");
  EXPECT_EQ(verdict_on("<other/>"), "invalid: the OVA has a descriptor that is no OVF");
  EXPECT_EQ(verdict_on(std::string(2 << 20, ' ')), "unsupported: the member vm.ovf of the OVA is too long");
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<a>";
  EXPECT_EQ(verdict_on(deep), "invalid: the OVA has a descriptor that is no XML");
}

TEST(Ova, archives_that_two_readers_could_read_differently_are_refused) {
  const Bytes xml = bytes_of(ovf()), disk = stream_vmdk();
  const auto third = [&](const std::string& name, char type, Bytes content = {}) {
    return verdict(tar({{"vm.ovf", xml}, {"disk1.vmdk", disk}, {name, std::move(content), type}}));
  };
  EXPECT_EQ(third("other.iso", '0'), "ok");
  EXPECT_EQ(third("disk1.vmdk", '0'), "unsupported: the archive has two members named disk1.vmdk");
  EXPECT_EQ(third("two.ovf", '0'), "unsupported: the OVA has more than one descriptor or manifest");
  for (const auto* const name : {"a/b", "/etc/shadow", "..", "a\\b", "a\nb", ""}) {
    EXPECT_EQ(third(name, '0'), "unsupported: the archive has a member whose name is no plain file name") << name;
  }
  for (const char type : {'1', '2', '3', '5', '6', 'L', 'S'}) {
    EXPECT_EQ(third("link", type), "unsupported: the archive has a member that is no regular file: link") << type;
  }
  EXPECT_EQ(third("pax", 'x', bytes_of("17 path=/etc/abc\n")),
            "unsupported: the archive has an extended header that changes the path of a member");
  EXPECT_EQ(third("pax", 'x', bytes_of("12 size=123\n")),
            "unsupported: the archive has an extended header that changes the size of a member");
  EXPECT_EQ(third("pax", 'x', bytes_of("99 mtime=1\n")),
            "invalid: the archive has an extended header that cannot be read");
  EXPECT_EQ(third("pax", 'x', bytes_of("11 mtime=1\n")), "ok");
}

TEST(Ova, an_archive_that_lies_about_lengths_is_refused) {
  const auto good = ova();
  const auto second = 512 + (ovf().size() + 511) / 512 * 512;
  auto changed = good;
  auto header = tar_header("disk1.vmdk", std::uint64_t{7} << 30);
  std::ranges::copy(header, changed.begin() + static_cast<std::ptrdiff_t>(second));
  EXPECT_EQ(verdict(changed),
            "invalid: the file ends before the member disk1.vmdk of the archive does: it was cut short, or lies");
  header[100] = std::byte{'7'};
  std::ranges::copy(header, changed.begin() + static_cast<std::ptrdiff_t>(second));
  EXPECT_EQ(verdict(changed), "invalid: the archive has a header whose checksum is wrong");
  header = tar_header("disk1.vmdk", 0);
  put_big(header, 124, 4, 0x80000000);
  put_big(header, 128, 8, ~std::uint64_t{0});
  put_tar_checksum(header);
  std::ranges::copy(header, changed.begin() + static_cast<std::ptrdiff_t>(second));
  EXPECT_EQ(verdict(changed),
            "invalid: the file ends before the member disk1.vmdk of the archive does: it was cut short, or lies");
  Bytes many;
  for (int i = 0; i < 200; ++i) base::append(many, tar_header("m" + std::to_string(i) + ".ovf", 0));
  many.resize(many.size() + 1024);
  EXPECT_EQ(verdict(many), "unsupported: the archive has too many members");
}

TEST(Ova, a_manifest_is_right_about_both_or_the_archive_refused) {
  const Bytes xml = bytes_of(ovf()), disk = stream_vmdk();
  const auto with_manifest = [&](const std::string& text) {
    return verdict(tar({{"vm.ovf", xml}, {"vm.mf", bytes_of(text)}, {"disk1.vmdk", disk}}));
  };
  const auto of_xml = "SHA256(vm.ovf)= " + sha256_of(xml) + "\n",
             of_disk = "SHA256(disk1.vmdk)= " + sha256_of(disk) + "\n";
  EXPECT_EQ(with_manifest(of_xml + of_disk), "ok");
  EXPECT_EQ(with_manifest(of_xml + of_disk + "SHA256(other.iso)= 00\r\n\n"), "ok");
  EXPECT_EQ(with_manifest(of_xml), "invalid: the OVA's manifest does not name its descriptor and its disk");
  EXPECT_EQ(with_manifest(of_xml + "SHA256(disk1.vmdk)= " + sha256_of(xml) + "\n"),
            "invalid: the member disk1.vmdk of the OVA has another digest than its manifest says");
  EXPECT_EQ(with_manifest("MD5(vm.ovf)= 00\n"), "unsupported: the OVA's manifest uses a digest that is not known");
  EXPECT_EQ(with_manifest("nothing"), "invalid: the OVA has a manifest that cannot be read");
}

}  // namespace
}  // namespace kiln::images
