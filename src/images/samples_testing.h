#pragma once
// For tests: small files of each format, right in every field, to be damaged by those who ask for them.
//
// Code stands in this header because it is for tests, and no library.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "images/crc32c.h"
#include "images/vhdx_guids.h"

namespace kiln::images::testing {

using base::Bytes;

inline void put_big(Bytes& bytes, std::size_t offset, std::size_t length, std::uint64_t value) {
  for (std::size_t i = 0; i < length; ++i) bytes[offset + i] = static_cast<std::byte>(value >> 8 * (length - 1 - i));
}

inline void put_little(Bytes& bytes, std::size_t offset, std::size_t length, std::uint64_t value) {
  for (std::size_t i = 0; i < length; ++i) bytes[offset + i] = static_cast<std::byte>(value >> 8 * i);
}

inline void put_text(Bytes& bytes, std::size_t offset, std::string_view text) {
  std::ranges::copy(base::as_bytes(text), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
}

// A disk of 1 MiB in clusters of 4 KiB, of which one is there: header, table and block of reference counts, first
// table, second table, cluster.
inline Bytes qcow2(unsigned version = 3) {
  Bytes file(6 * 4096);
  put_text(file, 0, "QFI\xfb");
  put_big(file, 4, 4, version);
  put_big(file, 20, 4, 12);
  put_big(file, 24, 8, 1 << 20);
  put_big(file, 36, 4, 1);
  put_big(file, 40, 8, 3 * 4096);
  put_big(file, 48, 8, 1 * 4096);
  put_big(file, 56, 4, 1);
  if (version == 3) {
    put_big(file, 96, 4, 4);
    put_big(file, 100, 4, 104);
  }
  constexpr std::uint64_t sole_owner = std::uint64_t{1} << 63;
  put_big(file, 1 * 4096, 8, 2 * 4096);
  for (std::size_t i = 0; i < 6; ++i) put_big(file, 2 * 4096 + 2 * i, 2, 1);
  put_big(file, 3 * 4096, 8, sole_owner | 4 * 4096);
  put_big(file, 4 * 4096, 8, sole_owner | 5 * 4096);
  return file;
}

inline std::string vmdk_descriptor(const std::string& type = "monolithicSparse",
                                   const std::string& extent = "RW 2048 SPARSE \"disk.vmdk\"") {
  return "# Disk DescriptorFile\nversion=1\nCID=3c2a6ae3\nparentCID=ffffffff\ncreateType=\"" + type +
         "\"\n\n# Extent description\n" + extent +
         "\n\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\nddb.adapterType = \"ide\"\n";
}

// A disk of 1 MiB in grains of 64 KiB, of which one is there. The descriptor may be given; it has 20 sectors.
inline Bytes vmdk(const std::string& descriptor = vmdk_descriptor()) {
  Bytes file(256 * 512);
  put_text(file, 0, "KDMV");
  put_little(file, 4, 4, 1);
  put_little(file, 8, 4, 3);
  put_little(file, 12, 8, 2048);
  put_little(file, 20, 8, 128);
  put_little(file, 28, 8, 1);
  put_little(file, 36, 8, 20);
  put_little(file, 44, 4, 512);
  put_little(file, 48, 8, 0);
  put_little(file, 56, 8, 21);
  put_little(file, 64, 8, 128);
  put_text(file, 73, "\n \r\n");
  put_text(file, 512, descriptor);
  put_little(file, 21 * 512, 4, 22);   // directory: one table
  put_little(file, 22 * 512, 4, 128);  // table: one grain
  return file;
}

// The same as a stream: the directory behind the grains, and a footer that says where.
inline Bytes stream_vmdk(const std::string& descriptor = vmdk_descriptor("streamOptimized")) {
  auto file = vmdk(descriptor);
  put_little(file, 4, 4, 3);
  put_little(file, 8, 4, 3 | 1 << 16 | 1 << 17);
  put_little(file, 77, 2, 1);
  put_little(file, 56, 8, ~std::uint64_t{0});
  Bytes footer(3 * 512);
  put_little(footer, 0, 8, 1);
  put_little(footer, 12, 4, 3);
  std::copy_n(file.begin(), 512, footer.begin() + 512);
  put_little(footer, 512 + 56, 8, 21);
  base::append(file, footer);
  return file;
}

// The ones' complement of the sum of the bytes from first on.
inline void put_vhd_checksum(Bytes& file, std::size_t first, std::size_t length, std::size_t at) {
  put_big(file, first + at, 4, 0);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < length; ++i) sum += std::to_integer<std::uint32_t>(file[first + i]);
  put_big(file, first + at, 4, static_cast<std::uint32_t>(~sum));
}

inline Bytes vhd_footer(std::uint64_t type, std::uint64_t size_bytes) {
  Bytes footer(512);
  put_text(footer, 0, "conectix");
  put_big(footer, 8, 4, 2);
  put_big(footer, 12, 4, 0x10000);
  put_big(footer, 16, 8, type == 2 ? ~std::uint64_t{0} : 512);
  put_text(footer, 28, "qem2");
  put_big(footer, 40, 8, size_bytes);
  put_big(footer, 48, 8, size_bytes);
  put_big(footer, 60, 4, type);
  put_vhd_checksum(footer, 0, 512, 64);
  return footer;
}

inline Bytes fixed_vhd(std::uint64_t size_bytes = 8192) {
  Bytes file(size_bytes);
  base::append(file, vhd_footer(2, size_bytes));
  return file;
}

// A disk of 8 KiB in blocks of 4 KiB, of which one is there. Call after damaging: header and footers get what change
// says, and their checksums.
struct VhdParts {
  Bytes footer = vhd_footer(3, 8192);
  Bytes header = Bytes(1024);
  Bytes table = Bytes(512, std::byte{0xff});
  VhdParts() {
    put_text(header, 0, "cxsparse");
    put_big(header, 8, 8, ~std::uint64_t{0});
    put_big(header, 16, 8, 1536);
    put_big(header, 24, 4, 0x10000);
    put_big(header, 28, 4, 2);
    put_big(header, 32, 4, 4096);
    put_big(table, 0, 4, 4);
  }
  Bytes file() {
    put_vhd_checksum(footer, 0, 512, 64);
    put_vhd_checksum(header, 0, 1024, 36);
    Bytes all = footer;
    base::append(all, header);
    base::append(all, table);
    all.resize(all.size() + 512 + 4096);
    base::append(all, footer);
    return all;
  }
};

inline void put_vhdx_checksum(Bytes& part) {
  put_little(part, 4, 4, 0);
  put_little(part, 4, 4, crc32c(part));
}

// A disk of 2 MiB in blocks of 1 MiB, of which one is there: metadata at 1 MiB, table of blocks at 2, block at 3.
struct VhdxParts {
  static constexpr std::size_t mib = 1 << 20;
  Bytes header = Bytes(4096), regions = Bytes(65536), metadata = Bytes(65536 + 64), blocks = Bytes(16);
  std::size_t file_mib = 4;

  VhdxParts() {
    put_text(header, 0, "head");
    put_little(header, 8, 8, 7);
    put_little(header, 66, 2, 1);
    put_text(regions, 0, "regi");
    add_region(vhdx::block_table, 2, 1);
    add_region(vhdx::metadata, 1, 1);
    put_text(metadata, 0, "metadata");
    add_item(vhdx::file_parameters, 0, 8, mib);
    add_item(vhdx::virtual_size, 8, 8, 2 * mib);
    add_item(vhdx::logical_sector, 16, 4, 512);
    put_little(blocks, 0, 8, std::uint64_t{3 << 20} | 6);
  }
  void add_region(std::string_view id, std::uint64_t at_mib, unsigned required) {
    const auto count = std::to_integer<std::size_t>(regions[8]);
    const auto at = 16 + 32 * count;
    put_text(regions, at, id);
    put_little(regions, at + 16, 8, at_mib * mib);
    put_little(regions, at + 24, 4, mib);
    put_little(regions, at + 28, 4, required);
    regions[8] = static_cast<std::byte>(count + 1);
  }
  void add_item(std::string_view id, std::size_t offset, std::size_t length, std::uint64_t value, unsigned flags = 4) {
    const auto count = std::to_integer<std::size_t>(metadata[10]);
    const auto at = 32 + 32 * count;
    put_text(metadata, at, id);
    put_little(metadata, at + 16, 4, 65536 + offset);
    put_little(metadata, at + 20, 4, length);
    put_little(metadata, at + 24, 4, flags);
    put_little(metadata, 65536 + offset, length, value);
    metadata[10] = static_cast<std::byte>(count + 1);
  }
  Bytes file() {
    put_vhdx_checksum(header);
    put_vhdx_checksum(regions);
    Bytes all(file_mib * mib);
    put_text(all, 0, "vhdxfile");
    for (const std::size_t at : {64 << 10, 128 << 10}) put_text(all, at, base::as_text(header));
    for (const std::size_t at : {192 << 10, 256 << 10}) put_text(all, at, base::as_text(regions));
    put_text(all, 1 * mib, base::as_text(metadata));
    put_text(all, 2 * mib, base::as_text(blocks));
    return all;
  }
};

inline void put_tar_checksum(Bytes& header) {
  put_text(header, 148, "        ");
  std::uint64_t sum = 0;
  for (const auto byte : header) sum += std::to_integer<std::uint64_t>(byte);
  for (std::size_t i = 0; i < 6; ++i) header[148 + i] = static_cast<std::byte>('0' + (sum >> 3 * (5 - i) & 7));
  header[154] = std::byte{};
}

inline Bytes tar_header(const std::string& name, std::uint64_t length, char type = '0') {
  Bytes header(512);
  put_text(header, 0, name);
  put_text(header, 100, "0000644");
  for (std::size_t i = 0; i < 11; ++i) header[124 + i] = static_cast<std::byte>('0' + (length >> 3 * (10 - i) & 7));
  header[156] = static_cast<std::byte>(type);
  put_text(header, 257, "ustar");
  put_text(header, 263, "00");
  put_tar_checksum(header);
  return header;
}

struct TarEntry {
  std::string name;
  Bytes content;
  char type = '0';
};
inline Bytes tar(const std::vector<TarEntry>& entries) {
  Bytes all;
  for (const auto& entry : entries) {
    base::append(all, tar_header(entry.name, entry.content.size(), entry.type));
    base::append(all, entry.content);
    all.resize((all.size() + 511) / 512 * 512);
  }
  all.resize(all.size() + 1024);
  return all;
}

inline Bytes bytes_of(std::string_view text) {
  const auto bytes = base::as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

inline std::string ovf(const std::string& disks = R"(<Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="1" )"
                                                  R"(ovf:format="http://www.vmware.com/interfaces/)"
                                                  R"(specifications/vmdk.html#streamOptimized"/>)",
                       const std::string& files = R"(<File ovf:id="f1" ovf:href="disk1.vmdk"/>)") {
  return R"(<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" )"
         R"(xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>)" +
         files + "</References><DiskSection><Info>disks</Info>" + disks + "</DiskSection></Envelope>";
}

inline Bytes ova() { return tar({{"vm.ovf", bytes_of(ovf())}, {"disk1.vmdk", stream_vmdk()}}); }

}  // namespace kiln::images::testing
