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

constexpr std::size_t kib = 1 << 10, mib = 1 << 20;

class Parts {
 public:
  explicit Parts(std::span<const std::byte> input) : rest_(input), file_(4 * mib) {}
  // The next length bytes of the input at offset, and where the same part stands again.
  void place(std::size_t length, std::size_t offset, std::size_t again = 0) {
    const auto part = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(part.size());
    for (const auto at : {offset, again}) {
      if (at != 0) std::ranges::copy(part, file_.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  void make_right(std::size_t at, std::size_t length) {
    const auto part = std::span(file_).subspan(at, length);
    std::fill_n(part.begin() + 4, 4, std::byte{});
    const auto crc = images::crc32c(part);
    for (std::size_t i = 0; i < 4; ++i) part[4 + i] = static_cast<std::byte>(crc >> 8 * i);
  }
  std::vector<std::byte>& file() { return file_; }

 private:
  std::span<const std::byte> rest_;
  std::vector<std::byte> file_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Parts parts(std::as_bytes(std::span(data, size)));
  std::ranges::copy(std::as_bytes(std::span("vhdxfile", 8)), parts.file().begin());
  parts.place(512, 64 * kib, 128 * kib);
  parts.place(kib, 192 * kib, 256 * kib);
  parts.place(kib, mib);
  parts.place(64, mib + 64 * kib);
  parts.place(64 * kib, 2 * mib);
  for (const auto at : {64 * kib, 128 * kib}) parts.make_right(at, 4 * kib);
  for (const auto at : {192 * kib, 256 * kib}) parts.make_right(at, 64 * kib);
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const images::BytesSource source(parts.file());
  const auto disk =
      images::inspect(images::Window(source), {.declared = images::Format::vhdx, .most_virtual_bytes = most});
  if (disk && (disk->virtual_bytes == 0 || disk->virtual_bytes > most)) std::abort();
  return 0;
}
