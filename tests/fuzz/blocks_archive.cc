// A whole archive from anywhere: its parts agree with themselves, and are written again as the same bytes, or it is
// refused; its frames decode to as many bytes as they say, or not at all.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "blocks/archive_format.h"

using namespace kiln;

namespace {

void check(std::span<const std::byte> input) {
  const auto contents =
      blocks::parse_archive(input.size(), [&](std::uint64_t offset, std::span<std::byte> out) -> base::Status {
        if (offset > input.size() || out.size() > input.size() - offset) std::abort();
        std::ranges::copy(input.subspan(offset, out.size()), out.begin());
        return {};
      });
  if (!contents) return;
  if (!contents->valid() || contents->size_bytes != input.size()) std::abort();
  const auto head = blocks::encode_archive_header(contents->header);
  const auto tail = blocks::encode_archive_tail(*contents);
  if (!std::ranges::equal(head, input.first(head.size())) || !std::ranges::equal(tail, input.last(tail.size()))) {
    std::abort();
  }
  for (std::uint64_t frame = 0; frame < contents->header.frames(); ++frame) {
    const auto stored = input.subspan(contents->offsets[frame], contents->stored_bytes(frame));
    const auto plain = blocks::decode_archive_frame(contents->header, frame, stored, nullptr);
    if (plain && plain->size() != contents->header.frame_bytes(frame)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  // Once more with the sums over header and footer put right.
  constexpr std::size_t sum_at = blocks::archive_header_bytes - 8, trailer = blocks::archive_trailer_bytes;
  if (size < blocks::archive_header_bytes + trailer) return 0;
  base::Bytes sealed(input.begin(), input.end());
  const auto sum = base::xxh3_64(std::span(sealed).first(sum_at));
  std::memcpy(sealed.data() + sum_at, &sum, sizeof sum);
  std::uint64_t footer_bytes;
  std::memcpy(&footer_bytes, data + size - 16, sizeof footer_bytes);
  if (footer_bytes > size - blocks::archive_header_bytes - trailer) return 0;
  base::Sha256 hash;
  hash.add(std::span(sealed).first(blocks::archive_header_bytes));
  hash.add(std::span(sealed).subspan(size - trailer - footer_bytes, footer_bytes));
  std::ranges::copy(hash.finish().bytes, sealed.end() - static_cast<std::ptrdiff_t>(trailer));
  check(sealed);
  return 0;
}
