// A VHDX of the parts in the input, put where the format has them and with their checksums made right: 512 bytes of a
// header, 1 KiB of the table of regions, 1 KiB of the table of metadata, 64 bytes of metadata, the table of blocks.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "images/crc32c.h"
#include "images/inspect.h"

using namespace kiln;

namespace {

constexpr std::uint64_t kib = 1 << 10, mib = 1 << 20;

// 4 MiB of zeros but for its parts.
class Parts final : public images::Source {
 public:
  explicit Parts(std::span<const std::byte> input) : rest_(input) { parts_.push_back({0, bytes_of("vhdxfile")}); }

  // The next length bytes of the input, in place bytes at each offset.
  void add(std::size_t length, std::size_t place, std::initializer_list<std::uint64_t> offsets, bool checksum) {
    const auto taken = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    std::vector<std::byte> part(taken.begin(), taken.end());
    part.resize(place);
    if (checksum) {
      std::fill_n(part.begin() + 4, 4, std::byte{});
      const auto crc = images::crc32c(part);
      for (std::size_t i = 0; i < 4; ++i) part[4 + i] = static_cast<std::byte>(crc >> 8 * i);
    }
    for (const auto offset : offsets) parts_.push_back({offset, part});
  }

  std::uint64_t size() const override { return 4 * mib; }
  base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= size()) return std::size_t{0};
    out = out.first(std::min<std::uint64_t>(out.size(), size() - offset));
    std::ranges::fill(out, std::byte{});
    for (const auto& part : parts_) {
      const auto first = std::max(offset, part.offset);
      const auto last = std::min(offset + out.size(), part.offset + part.bytes.size());
      for (auto at = first; at < last; ++at) out[at - offset] = part.bytes[at - part.offset];
    }
    return out.size();
  }

 private:
  struct Part {
    std::uint64_t offset;
    std::vector<std::byte> bytes;
  };
  static std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = base::as_bytes(text);
    return {bytes.begin(), bytes.end()};
  }
  std::span<const std::byte> rest_;
  std::vector<Part> parts_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Parts parts(std::as_bytes(std::span(data, size)));
  parts.add(512, 4 * kib, {64 * kib, 128 * kib}, true);
  parts.add(kib, 64 * kib, {192 * kib, 256 * kib}, true);
  parts.add(kib, kib, {mib}, false);
  parts.add(64, 64, {mib + 64 * kib}, false);
  parts.add(64 * kib, 64 * kib, {2 * mib}, false);
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const auto disk =
      images::inspect(images::Window(parts), {.declared = images::Format::vhdx, .most_virtual_bytes = most});
  if (disk && (disk->virtual_bytes == 0 || disk->virtual_bytes > most)) std::abort();
  return 0;
}
