#pragma once
// The payload of a chunk record: the map of its units, the lengths of its frames, the frames (docs/formats/pack.md).
//
// Literals lie in frames of 2^frame_log2 bytes of plaintext, each compressed alone or stored as it is. Small frames
// cost some compression (2% of the store at 64 KiB) and save whoever needs a few units of a base the rest of it.
// Pure values and functions, thread-safe; spans point into what was parsed. Bytes that do not decode are
// Fault::corrupt, and what is allocated for them is bounded by the size of a chunk.

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/unit_map.h"

namespace kiln::blocks {

constexpr std::uint8_t min_frame_log2 = 12, max_frame_log2 = 19;
constexpr std::uint8_t default_frame_log2 = 16;
// The map and the frames' lengths, at their longest: 128 runs, and frames of 4 KiB.
constexpr std::size_t max_chunk_payload_bytes = 1 + units_per_chunk * 3 + units_per_chunk * 4 + chunk_bytes;

// One unit that is wanted of a chunk, and the 4 KiB that it goes to.
struct UnitRead {
  std::uint8_t unit = 0;
  std::byte* to = nullptr;
};

struct ChunkPayload {
  UnitMap map;
  std::uint8_t frame_log2 = default_frame_log2;
  std::vector<std::span<const std::byte>> frames;

  std::size_t literals_per_frame() const { return (std::size_t{1} << frame_log2) / unit_bytes; }
  // Of the plaintext of frame number n.
  std::size_t frame_bytes(std::size_t n) const;
};

base::Result<ChunkPayload> parse_chunk_payload(std::span<const std::byte> payload, std::uint8_t frame_log2,
                                               std::size_t bases);

// The units that the payload holds itself, literals or zeros; decodes only the frames they lie in. Fault::not_found
// when one of them is a reference to a base. The order of units ascends.
base::Status read_units(const ChunkPayload& payload, std::span<const UnitRead> units);
// All units of a chunk, of chunk_bytes, but those of bases, which stay as they are.
base::Status fill_chunk(const ChunkPayload& payload, std::span<std::byte> chunk);

// One zstd frame that must hold out.size() bytes exactly; bytes as they are when they are as many.
base::Status decompress(std::span<const std::byte> stored, std::span<std::byte> out);

}  // namespace kiln::blocks
