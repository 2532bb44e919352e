// A VOLUME file from anywhere, as it is and with the checksum made right: whatever is accepted is valid, and is written
// again as the same bytes.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/digest.h"
#include "blocks/volume_file.h"

using namespace kiln;

namespace {

void check(std::span<const std::byte> input) {
  const auto volume = blocks::decode_volume_file(input);
  if (!volume) return;
  if (!volume->valid() || !std::ranges::equal(blocks::encode(*volume), input)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  constexpr std::size_t check_bytes = 32;
  if (input.size() < check_bytes) return 0;
  base::Bytes mended(input.begin(), input.end() - check_bytes);
  // The length of the body, too, or nearly no input would get past it.
  const std::uint64_t body = mended.size() < 24 ? 0 : mended.size() - 24;
  if (mended.size() >= 24) std::memcpy(mended.data() + 16, &body, sizeof body);
  base::append(mended, base::sha256(mended).bytes);
  check(mended);
  return 0;
}
