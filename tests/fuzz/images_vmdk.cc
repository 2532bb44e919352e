// A VMDK, and its descriptor by itself: no text that passes names another file.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "images/inspect.h"
#include "images/vmdk_descriptor.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto check = [](std::string_view descriptor) {
    if (descriptor.find("parentFileNameHint") != std::string_view::npos) std::abort();
    if (descriptor.find("FLAT") != std::string_view::npos && descriptor.find("SPARSE") == std::string_view::npos) {
      std::abort();
    }
  };
  if (const auto descriptor = images::parse_vmdk_descriptor(text)) {
    check(text);
    if (descriptor->sectors == 0) std::abort();
    if (descriptor->create_type != "monolithicSparse" && descriptor->create_type != "streamOptimized") std::abort();
  }
  const images::BytesSource source(std::as_bytes(std::span(data, size)));
  constexpr std::uint64_t most = std::uint64_t{1} << 44;
  const auto disk =
      images::inspect(images::Window(source), {.declared = images::Format::vmdk, .most_virtual_bytes = most});
  if (!disk) return 0;
  if (disk->virtual_bytes == 0 || disk->virtual_bytes > most || disk->virtual_bytes % 512 != 0) std::abort();
  // What a searching reader would look at: 20 sectors from the second on.
  check(text.substr(512, 20 * 512));
  return 0;
}
