// A map log from anywhere, as it is and with every checksum made right: replaying ends, the map stays inside the disk,
// and what only a COMMIT covers is never more than what the boot allows.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/digest.h"
#include "blocks/map_log.h"

using namespace kiln;

namespace {

constexpr std::uint64_t size_bytes = 64 << 20;
const blocks::MapLogName name{.volume = "vol-0123456789abcdef0", .generation = 1};

void check(std::span<const std::byte> input) {
  const auto read = [&](std::uint64_t offset, std::span<std::byte> out) -> base::Result<std::size_t> {
    if (offset >= input.size()) return std::size_t{0};
    const auto part = input.subspan(offset, std::min<std::size_t>(out.size(), input.size() - offset));
    std::copy(part.begin(), part.end(), out.begin());
    return part.size();
  };
  const auto committed = blocks::replay_map_log(read, name, size_bytes, "boot-1", blocks::Replay::committed);
  const auto all = blocks::replay_map_log(read, name, size_bytes, "boot-1", blocks::Replay::as_boot_allows);
  if (committed.ok() != all.ok()) std::abort();
  if (!all) return;
  if (all->good_bytes + all->torn_bytes != input.size() || all->good_bytes % blocks::map_record_bytes != 0)
    std::abort();
  if (committed->last_unit_sequence > all->last_unit_sequence || all->map.units() != size_bytes / blocks::unit_bytes) {
    std::abort();
  }
  if (!all->same_boot && all->uncommitted) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  base::Bytes mended(input.begin(), input.end());
  mended.resize(std::max<std::size_t>(mended.size(), 32));
  std::memcpy(mended.data(), "KILNMAP\n\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 24);
  auto chain = base::xxh3_64(std::span(mended).first(24), base::xxh3_64(base::as_bytes(name.volume)));
  std::memcpy(mended.data() + 24, &chain, 8);
  std::uint64_t sequence = 0;
  for (std::size_t at = 32; at + 32 <= mended.size(); at += 32) {
    sequence += 1;
    const std::uint32_t type = std::to_integer<std::uint32_t>(mended[at + 4]) % 7;
    std::memcpy(mended.data() + at + 4, &type, 4);
    std::memcpy(mended.data() + at + 8, &sequence, 8);
    chain = base::xxh3_64(std::span(mended).subspan(at + 4, 28), chain);
    std::memcpy(mended.data() + at, &chain, 4);
  }
  check(mended);
  return 0;
}
