#include "blocks/chunk_payload.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;
using Kind = UnitSource::Kind;

Error corrupt(std::string message) { return {Fault::corrupt, std::move(message)}; }

// Decodes the frames of one payload as they are asked for, each once when the literals asked for ascend.
class LiteralReader {
 public:
  explicit LiteralReader(const ChunkPayload& payload) : payload_(payload) {}

  Status copy(std::size_t literal, std::byte* to) {
    const auto frame = literal / payload_.literals_per_frame();
    if (frame >= payload_.frames.size()) return corrupt("a literal behind the last frame");
    if (frame != held_) {
      plain_.resize(payload_.frame_bytes(frame));
      held_ = none;
      KILN_TRY(decompress(payload_.frames[frame], plain_));
      held_ = frame;
    }
    std::memcpy(to, plain_.data() + literal % payload_.literals_per_frame() * unit_bytes, unit_bytes);
    return {};
  }

 private:
  static constexpr std::size_t none = SIZE_MAX;
  const ChunkPayload& payload_;
  Bytes plain_;
  std::size_t held_ = none;
};

// The units of the literals of a frame, when they are neighbours in the chunk too: the first one, or -1.
int place_of_frame(const ChunkPayload& payload, std::span<const std::uint8_t> unit_of_literal, std::size_t frame) {
  const auto first = frame * payload.literals_per_frame();
  const auto count = payload.frame_bytes(frame) / unit_bytes;
  const auto unit = unit_of_literal[first];
  return unit_of_literal[first + count - 1] == unit + count - 1 ? unit : -1;
}

}  // namespace

std::size_t ChunkPayload::frame_bytes(std::size_t n) const {
  const auto all = count_literals(map) * unit_bytes;
  return std::min<std::size_t>(std::size_t{1} << frame_log2, all - (n << frame_log2));
}

Status decompress(std::span<const std::byte> stored, std::span<std::byte> out) {
  if (stored.size() == out.size()) {
    std::ranges::copy(stored, out.begin());
    return {};
  }
  if (ZSTD_getFrameContentSize(stored.data(), stored.size()) != out.size()) {
    return corrupt("the zstd frame does not hold " + std::to_string(out.size()) + " bytes");
  }
  // A context is 150 KiB: one a thread.
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (context == nullptr) throw std::bad_alloc();
  const auto got = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), stored.data(), stored.size());
  if (ZSTD_isError(got) != 0) return corrupt(std::string("zstd: ") + ZSTD_getErrorName(got));
  if (got != out.size()) return corrupt("the zstd frame ends early");
  return {};
}

Result<ChunkPayload> parse_chunk_payload(std::span<const std::byte> payload, std::uint8_t frame_log2,
                                         std::size_t bases) {
  base::Reader reader(payload);
  auto map = read_unit_map(reader, bases);
  if (!map) return map.error();
  ChunkPayload parsed{.map = *map, .frame_log2 = frame_log2, .frames = {}};
  const auto per_frame = parsed.literals_per_frame();
  parsed.frames.resize((count_literals(*map) + per_frame - 1) / per_frame);
  std::vector<std::uint32_t> lengths;
  for (std::size_t i = 0; i < parsed.frames.size(); ++i) lengths.push_back(reader.read_int<std::uint32_t>());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] == 0 || lengths[i] > parsed.frame_bytes(i)) return corrupt("a frame of a length that cannot be");
    parsed.frames[i] = reader.read(lengths[i]);
  }
  if (!reader.ok() || reader.remaining() != 0) return corrupt("the payload is not as long as its frames");
  return parsed;
}

Status read_units(const ChunkPayload& payload, std::span<const UnitRead> units) {
  const auto numbers = literal_numbers(payload.map);
  LiteralReader literals(payload);
  for (const auto& [unit, to] : units) {
    if (unit >= units_per_chunk) return Error(Fault::invalid, "unit " + std::to_string(unit) + " of a chunk");
    const auto kind = payload.map[unit].kind;
    if (kind == Kind::base) return Error(Fault::not_found, "this copy holds the unit by reference");
    if (kind == Kind::zero) {
      std::memset(to, 0, unit_bytes);
    } else {
      KILN_TRY(literals.copy(numbers[unit], to));
    }
  }
  return {};
}

Status fill_chunk(const ChunkPayload& payload, std::span<std::byte> chunk) {
  std::array<std::uint8_t, units_per_chunk> unit_of_literal{};
  std::size_t literals = 0;
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    if (payload.map[unit].kind == Kind::literal) unit_of_literal[literals++] = static_cast<std::uint8_t>(unit);
  }
  Bytes scratch;
  for (std::size_t frame = 0; frame < payload.frames.size(); ++frame) {
    const auto bytes = payload.frame_bytes(frame);
    if (const int unit = place_of_frame(payload, unit_of_literal, frame); unit >= 0) {
      KILN_TRY(decompress(payload.frames[frame], chunk.subspan(static_cast<std::size_t>(unit) * unit_bytes, bytes)));
      continue;
    }
    scratch.resize(bytes);
    KILN_TRY(decompress(payload.frames[frame], scratch));
    const auto first = frame * payload.literals_per_frame();
    for (std::size_t i = 0; i < bytes / unit_bytes; ++i) {
      std::memcpy(chunk.data() + unit_of_literal[first + i] * unit_bytes, scratch.data() + i * unit_bytes, unit_bytes);
    }
  }
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    const auto to = chunk.subspan(unit * unit_bytes, unit_bytes);
    if (payload.map[unit].kind == Kind::zero) std::ranges::fill(to, std::byte{});
    if (payload.map[unit].kind != Kind::own) continue;
    std::memcpy(to.data(), chunk.data() + payload.map[unit].unit * unit_bytes, unit_bytes);
  }
  return {};
}

}  // namespace kiln::blocks
