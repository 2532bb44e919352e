// VHDX, as [MS-VHDX] describes it. Numbers are little-endian.
//
//   0 KiB  file identifier | 64 and 128 KiB  two headers | 192 and 256 KiB  two copies of the table of regions
//   regions, wherever that table says: metadata (the disk's size, the size of blocks), table of blocks; the blocks

#include <algorithm>
#include <bit>
#include <optional>

#include "images/crc32c.h"
#include "images/inspect.h"
#include "images/places.h"
#include "images/vhdx_guids.h"

namespace kiln::images {
namespace {

using base::Bytes;
using base::Result;
using base::Status;

constexpr std::uint64_t kib = 1 << 10, mib = 1 << 20;
constexpr std::uint64_t header_bytes = 4 * kib, table_bytes = 64 * kib;
constexpr std::uint64_t most_entries = 2047;

struct Region {
  std::uint64_t offset = 0, length = 0;
};

struct Layout {
  std::optional<Region> blocks, metadata;
};

struct Geometry {
  std::uint64_t block_bytes = 0, virtual_bytes = 0, sector_bytes = 0;
};

bool checksum_is_right(Bytes bytes) {
  const auto said = Fields(bytes).little(4, 4);
  std::fill(bytes.begin() + 4, bytes.begin() + 8, std::byte{});
  return crc32c(bytes) == said;
}

// Of the two headers the newer valid one counts; what is asked here must hold for each that is valid.
Status check_headers(const Window& file) {
  unsigned valid = 0;
  for (const auto at : {64 * kib, 128 * kib}) {
    const auto read = file.read(at, header_bytes, "its headers");
    if (!read) return read.error();
    const Fields header(*read);
    if (header.text(0, 4) != "head" || !checksum_is_right(*read)) continue;
    ++valid;
    if (header.little(66, 2) != 1 || header.little(64, 2) != 0) return refused("the VHDX is of an unknown version");
    if (!header.zero(48, 16)) {
      return refused(
          "the VHDX was not closed: its log holds changes that are not in it yet. Open it once with the "
          "program that wrote it");
    }
  }
  if (valid == 0) return malformed("the VHDX has no valid header");
  return {};
}

Result<Layout> read_regions(const Window& file) {
  const auto first = file.read(192 * kib, table_bytes, "its tables of regions");
  const auto second = file.read(256 * kib, table_bytes, "its tables of regions");
  if (!first) return first.error();
  if (!second) return second.error();
  const Fields table(*first);
  if (table.text(0, 4) != "regi" || !checksum_is_right(*first))
    return malformed("the VHDX has no valid table of regions");
  if (*first != *second) return refused("the two tables of regions of the VHDX are not the same");
  const auto count = table.little(8, 4);
  if (count > most_entries) return malformed("the VHDX has too many regions");
  Layout layout;
  std::vector<Region> all;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto at = 16 + i * 32;
    const Region region{.offset = table.little(at + 16, 8), .length = table.little(at + 24, 4)};
    if (region.offset < mib || region.offset % mib != 0 || region.length % mib != 0 || region.length == 0) {
      return malformed("the VHDX has a region at an impossible place");
    }
    if (!file.holds(region.offset, region.length)) return cut_short("a region of the VHDX");
    for (const auto& other : all) {
      if (region.offset < other.offset + other.length && other.offset < region.offset + region.length) {
        return malformed("two regions of the VHDX lie over each other");
      }
    }
    all.push_back(region);
    const auto id = table.text(at, 16);
    auto* const wanted = id == vhdx::block_table ? &layout.blocks : id == vhdx::metadata ? &layout.metadata : nullptr;
    if (wanted == nullptr) {
      if (table.little(at + 28, 4) & 1) return refused("the VHDX has an unknown region that it says is required");
    } else {
      *wanted = region;
    }
  }
  if (!layout.blocks || !layout.metadata) return malformed("the VHDX has no table of blocks or no metadata");
  return layout;
}

Status read_item(const Window& file, const Region& region, const Fields& entry, Geometry& into) {
  const auto id = entry.text(0, 16);
  const auto offset = entry.little(16, 4), length = entry.little(20, 4), flags = entry.little(24, 4);
  if (id == vhdx::parent_locator) return refused("the VHDX has a parent, another file");
  const bool known = id == vhdx::file_parameters || id == vhdx::virtual_size || id == vhdx::page_83 ||
                     id == vhdx::logical_sector || id == vhdx::physical_sector;
  if (!known) {
    if (flags & 4) return refused("the VHDX has unknown metadata that it says is required");
    return {};
  }
  if (offset < 64 * kib || length > region.length || offset > region.length - length || length < 4 || length > 16) {
    return malformed("the VHDX has metadata outside of its place");
  }
  const auto read = file.read(region.offset + offset, length, "its metadata");
  if (!read) return read.error();
  const Fields item(*read);
  if (id == vhdx::file_parameters && length == 8) {
    into.block_bytes = item.little(0, 4);
    if (item.little(4, 4) & 2) return refused("the VHDX has a parent, another file");
  }
  if (id == vhdx::virtual_size && length == 8) into.virtual_bytes = item.little(0, 8);
  if (id == vhdx::logical_sector && length == 4) into.sector_bytes = item.little(0, 4);
  return {};
}

Result<Geometry> read_metadata(const Window& file, const Region& region) {
  const auto read = file.read(region.offset, table_bytes, "its metadata");
  if (!read) return read.error();
  const Fields table(*read);
  if (table.text(0, 8) != "metadata" || table.little(10, 2) > most_entries) {
    return malformed("the VHDX has no valid metadata");
  }
  Geometry geometry;
  std::vector<std::string_view> seen;
  for (std::uint64_t i = 0; i < table.little(10, 2); ++i) {
    const Fields entry(table.bytes().subspan(32 + i * 32, 32));
    if (std::ranges::find(seen, entry.text(0, 16)) != seen.end()) {
      return malformed("the VHDX has the same metadata twice");
    }
    seen.push_back(entry.text(0, 16));
    KILN_TRY(read_item(file, region, entry, geometry));
  }
  if (geometry.sector_bytes != 512) {
    return refused("the VHDX has sectors of " + std::to_string(geometry.sector_bytes) + " bytes; 512 are read");
  }
  if (!std::has_single_bit(geometry.block_bytes) || geometry.block_bytes < mib || geometry.block_bytes > 256 * mib) {
    return malformed("the VHDX has blocks of " + std::to_string(geometry.block_bytes) + " bytes");
  }
  return geometry;
}

Status check_blocks(const Window& file, const Region& region, const Geometry& geometry) {
  constexpr std::uint64_t present = 6, partial = 7;
  const auto blocks = (geometry.virtual_bytes + geometry.block_bytes - 1) / geometry.block_bytes;
  // After each so many entries one is for a bitmap, which only a disk with a parent needs.
  const auto between = (geometry.sector_bytes << 23) / geometry.block_bytes;
  const auto entries = blocks + (blocks == 0 ? 0 : (blocks - 1) / between);
  if (entries * 8 > region.length) return malformed("the VHDX has fewer blocks than its disk needs");
  const auto table = file.read(region.offset, entries * 8, "its table of blocks");
  if (!table) return table.error();
  Places places(file, "block");
  for (std::uint64_t i = 0; i < entries; ++i) {
    const auto entry = Fields(*table).little(i * 8, 8);
    const auto state = entry & 7;
    if (state == partial) return refused("the VHDX has a block that is partly in a parent, another file");
    if (i % (between + 1) == between) continue;
    if (state == 4 || state == 5) return malformed("a block of the VHDX is in no known state");
    if (state == present) KILN_TRY(places.add(entry >> 20 << 20, geometry.block_bytes));
  }
  return places.check_distinct();
}

}  // namespace

Result<Disk> inspect_vhdx(const Window& file, const Inspect& what) {
  KILN_TRY(check_headers(file));
  const auto layout = read_regions(file);
  if (!layout) return layout.error();
  const auto geometry = read_metadata(file, *layout->metadata);
  if (!geometry) return geometry.error();
  KILN_TRY(check_virtual_bytes(geometry->virtual_bytes, what));
  KILN_TRY(check_blocks(file, *layout->blocks, *geometry));
  return Disk{
      .format = Format::vhdx, .offset = file.offset(), .length = file.size(), .virtual_bytes = geometry->virtual_bytes};
}

}  // namespace kiln::images
