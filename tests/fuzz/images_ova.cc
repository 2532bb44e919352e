// An archive, as it is and with the checksums of its headers made right, and a descriptor by itself.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "images/inspect.h"
#include "images/ovf.h"
#include "images/tar.h"

using namespace kiln;

namespace {

// Of every block that looks like a header.
void make_right(std::vector<std::byte>& file) {
  for (std::size_t at = 0; at + 512 <= file.size(); at += 512) {
    const auto block = std::span(file).subspan(at, 512);
    if (images::Fields(block).text(257, 5) != "ustar") continue;
    std::fill_n(block.begin() + 148, 8, std::byte{' '});
    std::uint64_t sum = 0;
    for (const auto byte : block) sum += std::to_integer<std::uint64_t>(byte);
    for (std::size_t i = 0; i < 6; ++i) block[148 + i] = static_cast<std::byte>('0' + (sum >> 3 * (5 - i) & 7));
    block[154] = std::byte{};
  }
}

void inspect(std::span<const std::byte> file) {
  const images::BytesSource source(file);
  const images::Window window(source);
  if (const auto members = images::tar_members(window)) {
    for (const auto& member : *members) {
      if (!window.holds(member.offset, member.length) || member.name.find('/') != std::string::npos) std::abort();
    }
  }
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const auto disk = images::inspect(window, {.declared = images::Format::ova, .most_virtual_bytes = most});
  if (disk && (!window.holds(disk->offset, disk->length) || disk->format == images::Format::ova)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> file(size);
  std::copy_n(reinterpret_cast<const std::byte*>(data), size, file.begin());
  if (const auto disk = images::disk_of_ovf({reinterpret_cast<const char*>(data), size})) {
    if (disk->format == images::Format::raw || disk->format == images::Format::ova) std::abort();
  }
  inspect(file);
  make_right(file);
  inspect(file);
  return 0;
}
