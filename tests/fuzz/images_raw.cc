// Any file, declared as any format: what passes lies in the file, is as large as it may be, and what passes as raw is
// nothing else.

#include <cstdint>
#include <cstdlib>

#include "images/inspect.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using images::Format;
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const images::BytesSource source(std::as_bytes(std::span(data, size)));
  int passed = 0;
  for (const auto declared : {Format::raw, Format::qcow2, Format::vmdk, Format::vhd, Format::vhdx, Format::ova}) {
    const auto disk = images::inspect(images::Window(source), {.declared = declared, .most_virtual_bytes = most});
    if (!disk) continue;
    if (disk->virtual_bytes == 0 || disk->virtual_bytes > most) std::abort();
    if (disk->offset > size || disk->length > size - disk->offset) std::abort();
    ++passed;
  }
  if (passed > 1) std::abort();
  return 0;
}
