// The head of an uploaded image: what passes as qcow2 names no other file, what passes as raw is not qcow2.

#include <cstdint>
#include <cstdlib>

#include "blocks/image_file.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const auto head = std::as_bytes(std::span(data, size));
  for (const auto declared : {blocks::ImageFormat::raw, blocks::ImageFormat::qcow2}) {
    const auto image =
        blocks::inspect_image({.declared = declared, .head = head, .file_bytes = size, .most_virtual_bytes = most});
    if (!image) continue;
    if (image->format != declared || image->virtual_bytes == 0 || image->virtual_bytes > most) std::abort();
    const bool magic = size >= 4 && data[0] == 'Q' && data[1] == 'F' && data[2] == 'I' && data[3] == 0xfb;
    if (magic && declared == blocks::ImageFormat::raw && size >= 8) std::abort();
    if (declared != blocks::ImageFormat::qcow2) continue;
    for (int i = 8; i < 16; ++i) {
      if (data[i] != 0) std::abort();  // the offset of a backing file's name
    }
    if (data[7] == 3 && (data[79] & 0b100) != 0) std::abort();  // an external data file
  }
  return 0;
}
