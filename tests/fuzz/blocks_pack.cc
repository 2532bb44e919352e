// A whole pack from anywhere: its contents agree with themselves, or it is refused.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "blocks/pack.h"

using namespace kiln;

namespace {

void check(std::span<const std::byte> input) {
  const auto contents = blocks::parse_pack(input);
  if (!contents) return;
  if (!contents->valid() || contents->size_bytes != input.size()) std::abort();
  for (const auto& entry : contents->entries) {
    if (entry.offset + entry.length > input.size() || contents->find(entry.id) != &entry) std::abort();
    const auto record = input.subspan(entry.offset, entry.length);
    static_cast<void>(blocks::decode_record(record, blocks::record_kind(contents->header.kind), entry.id).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  // Once more with the digest of header and footer put right.
  if (size < blocks::pack_header_bytes + blocks::pack_trailer_bytes) return 0;
  base::Bytes sealed(input.begin(), input.end());
  std::uint32_t footer_bytes;
  std::memcpy(&footer_bytes, data + size - 12, sizeof footer_bytes);
  if (footer_bytes > size - blocks::pack_header_bytes - blocks::pack_trailer_bytes) return 0;
  base::Sha256 hash;
  hash.add(std::span(sealed).first(blocks::pack_header_bytes));
  hash.add(std::span(sealed).subspan(size - blocks::pack_trailer_bytes - footer_bytes, footer_bytes));
  std::ranges::copy(hash.finish().bytes, sealed.end() - blocks::pack_trailer_bytes);
  check(sealed);
  return 0;
}
