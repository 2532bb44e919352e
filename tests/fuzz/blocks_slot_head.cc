// The head of a slot from anywhere: what is accepted is written again as the same bytes, but for those that no checksum
// covers.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "blocks/slot_cache.h"

using namespace kiln;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  const auto head = blocks::decode_slot_head(input);
  if (!head) return 0;
  constexpr std::size_t first_covered = 16, covered_end = 1080;
  const auto again = blocks::encode_slot_head(*head);
  if (!std::ranges::equal(std::span(again).subspan(first_covered, covered_end - first_covered),
                          input.subspan(first_covered, covered_end - first_covered))) {
    std::abort();
  }
  return 0;
}
