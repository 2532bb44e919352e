#include "blocks/record_encoder.h"

#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;
using Kind = UnitSource::Kind;

// For frames of 64 KiB of what disks hold: 3% more bytes than level 3 in half of its time. A table of 2^12 places lies
// in the processor's first cache (docs/decisions/references-between-chunks.md).
constexpr std::pair<ZSTD_cParameter, int> parameters[] = {
    {ZSTD_c_windowLog, 16}, {ZSTD_c_hashLog, 12}, {ZSTD_c_minMatch, 6}, {ZSTD_c_strategy, ZSTD_fast}};

// The units of the literals that begin at `first`, when the chunk has them in one piece too: where that begins.
const std::byte* in_one_piece(std::span<const std::byte> chunk, std::span<const std::uint8_t> literals,
                              std::size_t first, std::size_t count) {
  if (literals[first + count - 1] != literals[first] + count - 1) return nullptr;
  return chunk.data() + literals[first] * unit_bytes;
}

}  // namespace

Plaintext::Plaintext(RecordKind of, std::span<const std::byte> content, const KeyDomain* in)
    : kind(of), bytes(content), sum(base::xxh3_64(content)), domain(in), id(base::sha256(content)) {
  if (domain != nullptr) id = domain->mask(id);
}

Plaintext::Plaintext(std::span<const std::byte> chunk, const Digest& sha256, const KeyDomain* in)
    : kind(RecordKind::chunk),
      bytes(chunk),
      sum(base::xxh3_64(chunk)),
      domain(in),
      id(in == nullptr ? sha256 : in->mask(sha256)) {}

RecordEncoder::RecordEncoder(const Keyring* keys) : keys_(keys), context_(ZSTD_createCCtx()) {
  if (context_ == nullptr) throw std::bad_alloc();
  for (const auto& [parameter, value] : parameters) {
    ZSTD_CCtx_setParameter(static_cast<ZSTD_CCtx*>(context_), parameter, value);
  }
}

RecordEncoder::~RecordEncoder() { ZSTD_freeCCtx(static_cast<ZSTD_CCtx*>(context_)); }

Result<std::size_t> RecordEncoder::append_compressed(Bytes& out, std::span<const std::byte> plain) {
  compressed_.resize(ZSTD_compressBound(plain.size()));
  const auto size = ZSTD_compress2(static_cast<ZSTD_CCtx*>(context_), compressed_.data(), compressed_.size(),
                                   plain.data(), plain.size());
  if (ZSTD_isError(size) != 0) return Error(Fault::io, std::string("zstd: ") + ZSTD_getErrorName(size));
  const bool saves = size <= plain.size() - plain.size() * 6 / 100;
  const auto stored = saves ? std::span<const std::byte>(compressed_).first(size) : plain;
  base::append(out, stored);
  return stored.size();
}

// The frames' lengths, then the frames.
Status RecordEncoder::append_frames(Bytes& payload, std::span<const std::byte> chunk, const UnitMap& map) {
  std::array<std::uint8_t, units_per_chunk> literals{};
  std::size_t count = 0;
  for (std::size_t unit = 0; unit < map.size(); ++unit) {
    if (map[unit].kind == Kind::literal) literals[count++] = static_cast<std::uint8_t>(unit);
  }
  constexpr std::size_t per_frame = (std::size_t{1} << default_frame_log2) / unit_bytes;
  auto length_at = payload.size();
  payload.resize(length_at + (count + per_frame - 1) / per_frame * sizeof(std::uint32_t));
  for (std::size_t first = 0; first < count; first += per_frame) {
    const auto units = std::min(per_frame, count - first);
    const auto* bytes = in_one_piece(chunk, literals, first, units);
    if (bytes == nullptr) {
      literals_.clear();
      for (std::size_t i = 0; i < units; ++i) {
        base::append(literals_, chunk.subspan(literals[first + i] * unit_bytes, unit_bytes));
      }
      bytes = literals_.data();
    }
    const auto stored = append_compressed(payload, {bytes, units * unit_bytes});
    if (!stored) return stored.error();
    const auto length = static_cast<std::uint32_t>(*stored);
    std::memcpy(payload.data() + length_at, &length, sizeof length);
    length_at += sizeof length;
  }
  return {};
}

Result<Bytes> RecordEncoder::encode(const Plaintext& plain) {
  if (plain.bytes.size() != plain_bytes_of(plain.kind)) {
    return Error(Fault::invalid, "a record of " + std::to_string(plain.bytes.size()) + " bytes of plaintext");
  }
  if (plain.kind == RecordKind::chunk) return encode_chunk(plain, units_of(plain.bytes).map, {}, nullptr);
  payload_.clear();
  const auto stored = append_compressed(payload_, plain.bytes);
  if (!stored) return stored.error();
  const auto codec = *stored < plain.bytes.size() ? Codec::zstd : Codec::raw;
  return checked(plain, {.kind = RecordKind::node, .codec = codec, .frame_log2 = max_frame_log2, .id = plain.id},
                 nullptr);
}

Result<Bytes> RecordEncoder::encode_chunk(const Plaintext& chunk, const UnitMap& map, std::span<const Digest> bases,
                                          BaseUnits* units) {
  payload_.clear();
  append_unit_map(payload_, map);
  KILN_TRY(append_frames(payload_, chunk.bytes, map));
  RecordHeader header{.kind = RecordKind::chunk, .id = chunk.id};
  header.bases.assign(bases.begin(), bases.end());
  return checked(chunk, std::move(header), units);
}

Result<Bytes> RecordEncoder::checked(const Plaintext& plain, RecordHeader header, BaseUnits* units) {
  auto record = encode_record(std::move(header), payload_, plain.domain);
  decoded_.resize(plain.bytes.size());
  if (const auto again = decode_unhashed(record, plain.kind, plain.id, decoded_, units, keys_); !again) {
    return again.error().in("a record does not decode after it was encoded");
  }
  if (base::xxh3_64(decoded_) != plain.sum) {
    return Error(Fault::corrupt, "the record of " + plain.id.hex() + " does not decode to what was encoded");
  }
  return record;
}

}  // namespace kiln::blocks
