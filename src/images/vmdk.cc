// VMDK in one file: monolithicSparse and streamOptimized, as VMware's "Virtual Disk Format" describes them. Numbers are
// little-endian and count sectors of 512 bytes.
//
//   header (1 sector) | descriptor | grain directories and tables | grains
//   header            | descriptor | grains, tables, directory each behind a marker | footer marker, footer, end marker

#include <algorithm>
#include <bit>

#include "images/inspect.h"
#include "images/places.h"
#include "images/vmdk_descriptor.h"

namespace kiln::images {
namespace {

using base::Bytes;
using base::Result;
using base::Status;

constexpr std::uint64_t sector = 512;
constexpr std::uint64_t directory_at_end = ~std::uint64_t{0};
constexpr std::uint64_t flag_second_directory = 1 << 1, flag_compressed = 1 << 16, flag_markers = 1 << 17;
constexpr std::uint64_t known_flags = 1 | flag_second_directory | 1 << 2 | flag_compressed | flag_markers;
constexpr std::uint64_t entries_per_table = 512;
constexpr std::uint64_t most_descriptor_sectors = 128;
constexpr std::size_t directory_field = 56;
constexpr std::uint64_t footer_marker = 3;
constexpr std::uint64_t no_place = 0, zero_grain = 1;

struct Header {
  std::uint64_t capacity = 0, grain = 0, directory = 0;  // sectors
  bool compressed = false;
};

Result<Header> parse_header(const Fields& head) {
  const auto version = head.little(4, 4);
  if (version < 1 || version > 3) return refused("VMDK version " + std::to_string(version) + " is not known");
  const auto flags = head.little(8, 4);
  if (flags & ~known_flags) return refused("the VMDK has unknown flags");
  if (!(flags & 1) || head.text(73, 4) != "\n \r\n") {
    return malformed("the VMDK was changed by a transfer as text, or lies");
  }
  Header header{.capacity = head.little(12, 8),
                .grain = head.little(20, 8),
                .directory = head.little(directory_field, 8),
                .compressed = (flags & flag_compressed) != 0};
  // Without a capacity a reader takes the extents of the descriptor, which may be any file.
  if (header.capacity == 0) return refused("the VMDK has no size of its own and leaves it to other files");
  if (!std::has_single_bit(header.grain) || header.grain < 8 || header.grain > 2048) {
    return malformed("the VMDK has grains of " + std::to_string(header.grain) + " sectors");
  }
  if (head.little(44, 4) != entries_per_table) return malformed("the VMDK has tables of an unknown length");
  if ((head.little(77, 2) == 1) != header.compressed || head.little(77, 2) > 1 ||
      (header.compressed && !(flags & flag_markers))) {
    return refused("the VMDK is compressed in an unknown way");
  }
  return header;
}

Status check_descriptor(const Window& file, const Fields& head, const Header& header) {
  const auto at = head.little(28, 8), sectors = head.little(36, 8);
  if (at != 1 || sectors == 0 || sectors > most_descriptor_sectors) {
    return refused("the VMDK does not have its descriptor where a disk in one file has it");
  }
  const auto text = file.read(sector, sectors * sector, "its descriptor");
  if (!text) return text.error();
  const auto descriptor = parse_vmdk_descriptor(base::as_text(*text));
  if (!descriptor) return descriptor.error();
  if ((descriptor->create_type == "streamOptimized") != header.compressed) {
    return malformed("the VMDK says that it is " + descriptor->create_type + " and is not");
  }
  if (descriptor->sectors != header.capacity) {
    return malformed("the VMDK has two sizes: " + std::to_string(header.capacity) + " sectors in its header, " +
                     std::to_string(descriptor->sectors) + " in its descriptor");
  }
  return {};
}

// What a reader takes instead of the header when that leaves the directory's place open. It must say the same.
Status read_footer(const Window& file, const Fields& head, Header& header) {
  if (file.size() % sector != 0 || file.size() < 4 * sector) return cut_short("its footer");
  const auto read = file.read(file.size() - 3 * sector, 3 * sector, "its footer");
  if (!read) return read.error();
  const Fields end(*read);
  if (end.little(0, 8) != 1 || end.little(8, 4) != 0 || end.little(12, 4) != footer_marker ||
      !end.zero(16, sector - 16) || !end.zero(2 * sector, sector)) {
    return malformed("the VMDK does not end with a footer and its markers: it was cut short, or lies");
  }
  Bytes footer(read->begin() + sector, read->begin() + 2 * sector);
  header.directory = Fields(footer).little(directory_field, 8);
  std::ranges::copy(head.bytes().subspan(directory_field, 8), footer.begin() + directory_field);
  if (!std::ranges::equal(footer, head.bytes())) return refused("the VMDK's header and footer are not the same");
  return {};
}

Status check_grains(const Window& file, const Header& header) {
  const auto grains = (header.capacity + header.grain - 1) / header.grain;
  const auto tables = (grains + entries_per_table - 1) / entries_per_table;
  if (header.directory > file.size() / sector) return cut_short("its directory");
  const auto directory = file.read(header.directory * sector, tables * 4, "its directory");
  if (!directory) return directory.error();
  Places table_places(file, "table"), grain_places(file, "grain");
  std::uint64_t there = 0;
  for (std::uint64_t i = 0; i < tables; ++i) {
    const auto at = Fields(*directory).little(i * 4, 4);
    if (at != no_place) KILN_TRY(table_places.add(at * sector, entries_per_table * 4));
  }
  KILN_TRY(table_places.check_distinct());
  for (std::uint64_t i = 0; i < tables; ++i) {
    const auto at = Fields(*directory).little(i * 4, 4);
    if (at == no_place) continue;
    // Larger disks are left to the converter's limits.
    if (file.budget() < entries_per_table * 4) return {};
    const auto table = file.read(at * sector, entries_per_table * 4, "a table");
    if (!table) return table.error();
    for (std::uint64_t j = 0; j < entries_per_table; ++j) {
      const auto index = i * entries_per_table + j;
      const auto place = Fields(*table).little(j * 4, 4);
      if (place == no_place || place == zero_grain) continue;
      if (index >= grains) return malformed("the VMDK has grains beyond the end of its disk");
      ++there;
      const auto used = std::min(header.grain, header.capacity - index * header.grain);
      KILN_TRY(grain_places.add(place * sector, header.compressed ? 13 : used * sector));
    }
  }
  KILN_TRY(grain_places.check_distinct());
  return header.compressed ? check_growth(there * header.grain * sector, file.size()) : Status();
}

}  // namespace

Result<Disk> inspect_vmdk(const Window& file, const Inspect& what) {
  const auto read = file.read_some(0, sector);
  if (!read) return read.error();
  const auto start = base::as_text(*read);
  if (start.starts_with("# Disk DescriptorFile")) {
    return refused("the VMDK is only a descriptor, whose data is in other files");
  }
  if (start.starts_with("COWD")) return refused("VMDK files of ESX (COWD) are not read");
  if (read->size() != sector) return cut_short("its header");
  const Fields head(*read);
  auto header = parse_header(head);
  if (!header) return header.error();
  if (header->capacity > what.most_virtual_bytes / sector) {
    // The number of bytes may not fit.
    return malformed("the disk in it has " + std::to_string(header->capacity) + " sectors; at most " +
                     std::to_string(what.most_virtual_bytes / sector) + " are accepted");
  }
  KILN_TRY(check_descriptor(file, head, *header));
  if (header->directory == directory_at_end) KILN_TRY(read_footer(file, head, *header));
  KILN_TRY(check_grains(file, *header));
  return Disk{.format = Format::vmdk,
              .offset = file.offset(),
              .length = file.size(),
              .virtual_bytes = header->capacity * sector,
              .compressed = header->compressed};
}

}  // namespace kiln::images
