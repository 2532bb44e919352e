// VHD, as Microsoft's "Virtual Hard Disk Image Format Specification" describes it: fixed (the disk and a footer) and
// dynamic (a copy of the footer, a header, a table of blocks, blocks, the footer). Numbers are big-endian.

#include <algorithm>
#include <bit>

#include "images/inspect.h"
#include "images/places.h"

namespace kiln::images {
namespace {

using base::Result;
using base::Status;

constexpr std::uint64_t sector = 512;
constexpr std::size_t footer_bytes = 512, header_bytes = 1024;
constexpr std::size_t footer_checksum = 64, header_checksum = 36;
constexpr std::uint64_t none = ~std::uint64_t{0};
constexpr std::uint64_t no_block = 0xffffffff;
constexpr std::uint64_t fixed = 2, dynamic = 3, differencing = 4;
constexpr std::uint64_t version_1_0 = 0x00010000;

// The ones' complement of the sum of all bytes but the checksum's own.
bool checksum_is_right(const Fields& fields, std::size_t at) {
  std::uint32_t sum = 0;
  const auto bytes = fields.bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i < at || i >= at + 4) sum += std::to_integer<std::uint32_t>(bytes[i]);
  }
  return static_cast<std::uint32_t>(~sum) == fields.big(at, 4);
}

Status check_footer(const Fields& footer) {
  if (footer.text(0, 8) != "conectix") return malformed("the VHD does not end with its footer: it was cut short");
  if (footer.big(12, 4) != version_1_0) return refused("the VHD is of an unknown version");
  if (!checksum_is_right(footer, footer_checksum)) return malformed("the VHD has a footer whose checksum is wrong");
  const auto type = footer.big(60, 4);
  if (type == differencing) return refused("the VHD has a parent, another file");
  if (type != fixed && type != dynamic) return refused("the VHD is of unknown type " + std::to_string(type));
  return {};
}

Status check_no_parent(const Fields& header) {
  constexpr std::size_t parent_id = 40, parent_name = 64, locators = 576, locators_bytes = 8 * 24;
  if (!header.zero(parent_id, 16) || !header.zero(parent_name, 512) || !header.zero(locators, locators_bytes)) {
    return refused("the VHD names a parent, another file");
  }
  return {};
}

Status check_blocks(const Window& file, const Fields& footer) {
  const auto at = footer.big(16, 8);
  const auto read = file.read(at, header_bytes, "its header");
  if (!read) return read.error();
  const Fields header(*read);
  if (header.text(0, 8) != "cxsparse" || !checksum_is_right(header, header_checksum)) {
    return malformed("the VHD has no valid header for its blocks");
  }
  if (header.big(8, 8) != none || header.big(24, 4) != version_1_0) return refused("the VHD is of an unknown version");
  KILN_TRY(check_no_parent(header));
  const auto block = header.big(32, 4), entries = header.big(28, 4), size = footer.big(48, 8);
  if (!std::has_single_bit(block) || block < 4096 || block > 256U << 20) {
    return malformed("the VHD has blocks of " + std::to_string(block) + " bytes");
  }
  if (entries < (size + block - 1) / block) return malformed("the VHD has fewer blocks than its disk needs");
  const auto table = file.read(header.big(16, 8), entries * 4, "its table of blocks");
  if (!table) return table.error();
  // Each block is preceded by a bitmap of its sectors.
  const auto bitmap = (block / sector / 8 + sector - 1) / sector * sector;
  Places places(file, "block");
  for (std::uint64_t i = 0; i < entries; ++i) {
    const auto place = Fields(*table).big(i * 4, 4);
    if (place != no_block) KILN_TRY(places.add(place * sector, bitmap + block));
  }
  return places.check_distinct();
}

}  // namespace

Result<Disk> inspect_vhd(const Window& file, const Inspect& what) {
  if (file.size() < footer_bytes) return cut_short("its footer");
  const auto end = file.read(file.size() - footer_bytes, footer_bytes, "its footer");
  if (!end) return end.error();
  const Fields footer(*end);
  KILN_TRY(check_footer(footer));
  const auto size = footer.big(48, 8);
  KILN_TRY(check_virtual_bytes(size, what));
  if (footer.big(60, 4) == fixed) {
    if (footer.big(16, 8) != none || size != file.size() - footer_bytes) {
      return malformed("the VHD says that its disk has " + std::to_string(size) + " bytes and holds " +
                       std::to_string(file.size() - footer_bytes));
    }
    // What is before the footer is the disk as it is; nothing needs to convert it.
    return Disk{.format = Format::raw, .offset = file.offset(), .length = size, .virtual_bytes = size};
  }
  const auto start = file.read(0, footer_bytes, "the copy of its footer");
  if (!start) return start.error();
  if (!std::ranges::equal(*start, *end)) return refused("the VHD begins with another footer than it ends with");
  KILN_TRY(check_blocks(file, footer));
  return Disk{.format = Format::vhd, .offset = file.offset(), .length = file.size(), .virtual_bytes = size};
}

}  // namespace kiln::images
