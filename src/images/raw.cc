// A raw disk: nothing but the disk. That its bytes are no other format's was seen before; what is left to look at is
// whether it says that it has a GUID partition table and means it.

#include "images/inspect.h"

namespace kiln::images {
namespace {

using base::Result;
using base::Status;

constexpr std::size_t sector = 512;
constexpr std::size_t entries_at = 446, entry_bytes = 16;
constexpr std::uint64_t protective = 0xee;

// The UEFI specification wants a master boot record before a GPT whose protective entry begins at sector 1. Others
// beside it make a hybrid, which Debian's own images are.
Status check_protective_mbr(const Fields& head) {
  if (head.little(510, 2) != 0xaa55) return malformed("the disk has a GPT and no protective MBR before it");
  bool found = false;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto entry = entries_at + i * entry_bytes;
    const auto flag = head.little(entry, 1);
    if (flag != 0 && flag != 0x80) return malformed("the disk has a GPT behind an MBR with an entry that is none");
    found = found || (head.little(entry + 4, 1) == protective && head.little(entry + 8, 4) == 1);
  }
  if (!found) return malformed("the disk has a GPT and an MBR without a protective entry");
  return {};
}

}  // namespace

Result<Disk> inspect_raw(const Window& file, const Inspect& what) {
  KILN_TRY(check_virtual_bytes(file.size(), what));
  const auto read = file.read_some(0, 2 * sector);
  if (!read) return read.error();
  const Fields head(*read);
  if (read->size() == 2 * sector && head.text(sector, 8) == "EFI PART") KILN_TRY(check_protective_mbr(head));
  return Disk{.format = Format::raw, .offset = file.offset(), .length = file.size(), .virtual_bytes = file.size()};
}

}  // namespace kiln::images
