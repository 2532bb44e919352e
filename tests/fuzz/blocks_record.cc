// A stored record from anywhere: it decodes to what its id names, or is refused; nothing else may happen.

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "blocks/record.h"

using namespace kiln;

namespace {

void check(std::span<const std::byte> input) {
  const auto record = blocks::parse_record(input);
  if (!record) return;
  if (!record->header.valid() || record->payload.size() != record->header.stored_bytes) std::abort();
  const auto& header = record->header;
  const auto plain = blocks::decode_record(input, header.kind, header.id);
  if (plain && (plain->size() != header.plain_bytes || base::sha256(*plain) != header.id)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check(input);
  // Once more with the checksum put right, or nothing behind it would ever be tried.
  if (size < blocks::record_header_bytes) return 0;
  base::Bytes sealed(input.begin(), input.end());
  std::uint16_t bases;
  std::memcpy(&bases, data + 52, sizeof bases);
  const auto fields_end = blocks::record_header_bytes + std::size_t{bases} * 32;
  if (fields_end > size) return 0;
  base::Bytes fields(sealed.begin(), sealed.begin() + 64);
  base::append(fields, std::span(sealed).subspan(72, fields_end - 72));
  const auto sum = base::xxh3_64(std::span(sealed).subspan(fields_end), base::xxh3_64(fields));
  std::memcpy(sealed.data() + 64, &sum, sizeof sum);
  check(sealed);
  return 0;
}
