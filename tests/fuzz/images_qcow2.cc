// A qcow2 file: what passes names no other file and lies in its own.

#include <cstdint>
#include <cstdlib>

#include "images/inspect.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const images::BytesSource source(std::as_bytes(std::span(data, size)));
  const auto disk =
      images::inspect(images::Window(source), {.declared = images::Format::qcow2, .most_virtual_bytes = most});
  if (!disk) return 0;
  const images::Fields header(std::as_bytes(std::span(data, size)));
  if (disk->virtual_bytes != header.big(24, 8) || disk->virtual_bytes > most) std::abort();
  if (header.big(8, 8) != 0 || header.big(16, 4) != 0) std::abort();  // a backing file's name
  if (header.big(32, 4) != 0) std::abort();                           // encryption
  const auto version = header.big(4, 4);
  if (version != 2 && version != 3) std::abort();
  if (version == 3 && (header.big(72, 8) & ~std::uint64_t{0b11001}) != 0) std::abort();  // features
  if (header.big(40, 8) > size || header.big(36, 4) * 8 > size - header.big(40, 8)) std::abort();
  return 0;
}
