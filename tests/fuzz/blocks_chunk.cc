// A chunk's record and its payload from anywhere, with bases that hold what they hold: the map is one of units that
// there are, a chunk is what its id names or refused, units are read alone as they are read with the rest.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "blocks/record.h"

using namespace kiln;

namespace {

// Every base has units that are told by their numbers; one in sixteen cannot be read.
class FixedUnits final : public blocks::BaseUnits {
 public:
  base::Status read(const base::Digest& base, std::span<const blocks::UnitRead> units) override {
    for (const auto& [unit, to] : units) {
      if (unit >= blocks::units_per_chunk || to == nullptr) std::abort();
      std::memset(to, std::to_integer<int>(base.bytes[0]) ^ unit, blocks::unit_bytes);
    }
    if (std::to_integer<int>(base.bytes[1]) % 16 == 15) return base::Error(base::Fault::corrupt, "a bad base");
    return {};
  }
};

void check_record(std::span<const std::byte> input) {
  const auto record = blocks::parse_record(input);
  if (!record || record->header.kind != blocks::RecordKind::chunk) return;
  FixedUnits bases;
  const auto& header = record->header;
  const auto plain = blocks::decode_record(input, header.kind, header.id, &bases);
  if (plain && (plain->size() != blocks::chunk_bytes || base::sha256(*plain) != header.id)) std::abort();
  if (!header.bases.empty() && blocks::decode_record(input, header.kind, header.id)) std::abort();
}

void check_map(std::span<const std::byte> input, std::size_t bases) {
  base::Reader reader(input);
  const auto map = blocks::read_unit_map(reader, bases);
  if (!map) return;
  for (const auto& source : *map) {
    if (source.kind == blocks::UnitSource::Kind::base && source.base >= bases) std::abort();
    if (source.unit >= blocks::units_per_chunk) std::abort();
  }
  base::Bytes again;
  blocks::append_unit_map(again, *map);
  base::Reader second(again);
  const auto same = blocks::read_unit_map(second, bases);
  if (!same || *same != *map) std::abort();
}

void check_payload(std::span<const std::byte> input, std::uint8_t frame_log2, std::size_t bases) {
  const auto payload = blocks::parse_chunk_payload(input, frame_log2, bases);
  if (!payload) return;
  base::Bytes chunk(blocks::chunk_bytes);
  const bool filled = blocks::fill_chunk(*payload, chunk).ok();
  std::array<std::byte, blocks::unit_bytes> alone;
  for (std::size_t unit = 0; unit < blocks::units_per_chunk; unit += 9) {
    const blocks::UnitRead wanted{.unit = static_cast<std::uint8_t>(unit), .to = alone.data()};
    const auto read = blocks::read_units(*payload, {&wanted, 1});
    const bool elsewhere = payload->map[unit].kind == blocks::UnitSource::Kind::base;
    if (elsewhere && (read || read.error().fault() != base::Fault::not_found)) std::abort();
    if (elsewhere || !filled) continue;
    if (!read || std::memcmp(alone.data(), chunk.data() + unit * blocks::unit_bytes, alone.size()) != 0) std::abort();
  }
}

// The record with its magic, kind, lengths and checksum put right, or nothing behind them would ever be tried.
base::Bytes mended(std::span<const std::byte> input) {
  base::Bytes made(input.begin(), input.end());
  std::uint16_t bases;
  std::memcpy(&bases, made.data() + 52, sizeof bases);
  bases = static_cast<std::uint16_t>(bases % (blocks::max_bases + 1));
  std::memcpy(made.data() + 52, &bases, sizeof bases);
  const auto fields_end = blocks::record_header_bytes + std::size_t{bases} * 32;
  if (fields_end > made.size()) return {};
  base::Bytes fields(made.begin(), made.begin() + 64);
  base::append(fields, std::span(made).subspan(72, fields_end - 72));
  const auto sum = base::xxh3_64(std::span(made).subspan(fields_end), base::xxh3_64(fields));
  std::memcpy(made.data() + 64, &sum, sizeof sum);
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  check_record(input);
  if (size >= blocks::record_header_bytes) {
    if (const auto made = mended(input); !made.empty()) check_record(made);
  }
  if (size < 2) return 0;
  const auto frame_log2 = static_cast<std::uint8_t>(blocks::min_frame_log2 + data[0] % 8);
  const std::size_t bases = data[1] % (blocks::max_bases + 1);
  check_map(input.subspan(2), bases);
  check_payload(input.subspan(2), frame_log2, bases);
  return 0;
}
