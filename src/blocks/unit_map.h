#pragma once
// Where each 4 KiB unit of a stored chunk comes from: the head of a chunk record's payload (docs/formats/pack.md).
//
// A chunk is stored as references into a few other chunks, its bases, and its own literals, the units that it does not
// share with them. A reference names a unit by its place in the base's plaintext, never in the base's record: whichever
// copy of the base is read, however that copy was encoded, the unit is the same. Pure values and functions,
// thread-safe. Bytes that do not decode are Fault::corrupt.

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/disk_id.h"

namespace kiln::blocks {

constexpr std::size_t max_bases = 32;

struct UnitSource {
  enum class Kind : std::uint8_t {
    zero,     // 4 KiB of zeros
    literal,  // the next one of the record's own literals
    own,      // equal to the unit `unit` of this chunk, which is an earlier literal
    base,     // equal to the unit `unit` of the base number `base`
  };
  Kind kind = Kind::zero;
  std::uint8_t base = 0;
  std::uint8_t unit = 0;

  bool operator==(const UnitSource&) const = default;
};

using UnitMap = std::array<UnitSource, units_per_chunk>;

unsigned count_literals(const UnitMap& map);
// Which of the record's literals holds each unit, or no_literal.
constexpr std::uint8_t no_literal = 0xff;
std::array<std::uint8_t, units_per_chunk> literal_numbers(const UnitMap& map);

// Appends the map: neighbours that continue each other are one run. 128 runs of 3 bytes and a count at most.
void append_unit_map(base::Bytes& out, const UnitMap& map);
// The map that begins at the reader, of a record with so many bases.
base::Result<UnitMap> read_unit_map(base::Reader& reader, std::size_t bases);

bool is_zero(std::span<const std::byte> bytes);

// A chunk's plaintext as stored alone: its map without bases, and the XXH3-64 of each unit that is not zeros.
struct ChunkUnits {
  UnitMap map;
  std::array<std::uint64_t, units_per_chunk> hashes{};
};
ChunkUnits units_of(std::span<const std::byte> chunk);

}  // namespace kiln::blocks
