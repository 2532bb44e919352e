#include "control/partition_table.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace kiln::control {
namespace {

constexpr std::uint64_t sector_bytes = 512;
constexpr std::size_t mbr_entries = 446, mbr_entry_bytes = 16, mbr_signature = 510;
constexpr std::string_view gpt_signature = "EFI PART";
constexpr std::size_t gpt_backup_lba = 32;  // in the header, which is sector 1
constexpr unsigned protective = 0xee;       // the MBR entry that says "see the GPT"; its length may be anything
// GPT fields are 64 bits long; what could not be a disk's sector is no table.
constexpr std::uint64_t most_sectors = (std::uint64_t{64} << 40) / sector_bytes * 16;

std::uint64_t little(std::span<const std::byte> head, std::size_t offset, std::size_t length) {
  std::uint64_t value = 0;
  for (std::size_t i = length; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(head[offset + i]);
  return value;
}

}  // namespace

std::uint64_t partitioned_bytes(std::span<const std::byte> head) {
  if (head.size() < sector_bytes || little(head, mbr_signature, 2) != 0xaa55) return 0;
  std::uint64_t sectors = 0;
  bool is_table = true;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto entry = mbr_entries + i * mbr_entry_bytes;
    const auto flag = little(head, entry, 1), type = little(head, entry + 4, 1);
    // A boot sector of a file system has the signature too, and code or text where the entries would be.
    if (flag != 0 && flag != 0x80) is_table = false;
    if (type == 0 || type == protective) continue;
    sectors = std::max(sectors, little(head, entry + 8, 4) + little(head, entry + 12, 4));
  }
  if (!is_table) return 0;
  if (head.size() >= partition_head_bytes &&
      std::memcmp(head.data() + sector_bytes, gpt_signature.data(), gpt_signature.size()) == 0) {
    const auto backup = little(head, sector_bytes + gpt_backup_lba, 8);
    if (backup < most_sectors) sectors = std::max(sectors, backup + 1);
  }
  return sectors * sector_bytes;
}

}  // namespace kiln::control
