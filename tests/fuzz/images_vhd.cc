// A VHD, as it is and with its checksums made right, so that what is behind them is looked at too.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "images/inspect.h"

using namespace kiln;

namespace {

void make_right(std::vector<std::byte>& file, std::size_t first, std::size_t length, std::size_t at) {
  if (file.size() < length || first > file.size() - length) return;
  std::uint32_t sum = 0;
  std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(first + at), 4, std::byte{});
  for (std::size_t i = 0; i < length; ++i) sum += std::to_integer<std::uint32_t>(file[first + i]);
  for (std::size_t i = 0; i < 4; ++i) file[first + at + i] = static_cast<std::byte>(~sum >> 8 * (3 - i));
}

void inspect(std::span<const std::byte> file) {
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const images::BytesSource source(file);
  const auto disk =
      images::inspect(images::Window(source), {.declared = images::Format::vhd, .most_virtual_bytes = most});
  if (!disk) return;
  const images::Fields footer(file.subspan(file.size() - 512));
  if (footer.big(60, 4) != 2 && footer.big(60, 4) != 3) std::abort();
  if (disk->virtual_bytes != footer.big(48, 8) || disk->virtual_bytes > most || disk->length > file.size())
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> file(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, file.begin());
  inspect(file);
  if (size < 1024) return 0;
  make_right(file, 512, 1024, 36);
  make_right(file, size - 512, 512, 64);
  std::copy_n(file.end() - 512, 512, file.begin());
  inspect(file);
  return 0;
}
