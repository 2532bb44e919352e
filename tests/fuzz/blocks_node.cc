// A manifest node from anywhere: one encoding for every node, and no other bytes are one.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "blocks/manifest.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  const auto node = blocks::decode_node(input);
  if (!node) return 0;
  if (!node->valid() || !std::ranges::equal(blocks::encode_node(*node), input)) std::abort();
  return 0;
}
