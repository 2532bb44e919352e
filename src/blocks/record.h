#pragma once
// A stored record: one chunk or one manifest node as it lies in a pack (docs/formats/pack.md).
//
// A record names itself: the SHA-256 of its plaintext is its id, so a decoder that was asked for an id cannot be given
// anything else. An XXH3-64 over everything that is stored lets a scrub find rot without decoding. Functions are pure
// and thread-safe; an encoder is owned by one thread. Bytes that do not decode are Fault::corrupt; a codec, hash or
// feature that this program does not know is Fault::unsupported and named.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/disk_id.h"

namespace kiln::blocks {

enum class RecordKind : std::uint8_t { chunk = 1, node = 2 };
enum class HashAlgorithm : std::uint8_t { sha256 = 1 };
enum class Codec : std::uint8_t { raw = 0, zstd = 1 };

constexpr std::size_t record_header_bytes = 72;
constexpr std::size_t max_bases = 32;
constexpr std::size_t max_record_bytes = record_header_bytes + max_bases * 32 + chunk_bytes;
// The plaintext is compressed in frames of 2^frame_log2 bytes; 19 is one frame for all of it.
constexpr std::uint8_t whole_frame_log2 = 19;
constexpr int min_zstd_level = 1;
// zstd 1.5.4 has a rare corruption bug in its high modes.
constexpr int max_zstd_level = 9;

struct RecordHeader {
  RecordKind kind = RecordKind::chunk;
  HashAlgorithm hash = HashAlgorithm::sha256;
  Codec codec = Codec::raw;
  std::uint8_t frame_log2 = whole_frame_log2;
  base::Digest id;
  std::array<std::byte, 12> nonce{};  // zeros: not encrypted
  std::uint32_t plain_bytes = 0;
  std::uint32_t stored_bytes = 0;  // of the payload alone
  std::uint64_t checksum = 0;
  std::vector<base::Digest> bases;  // chunks whose literals the payload refers to

  // Whether the fields agree with each other; not whether this program can decode such a record.
  bool valid() const;
};

// A record that is still in the bytes it was parsed from.
struct Record {
  RecordHeader header;
  std::span<const std::byte> payload;
};

// How long the plaintext of a record of this kind is.
std::size_t plain_bytes_of(RecordKind kind);

// The header, the bounds and the checksum of a record that fills stored exactly; the plaintext is not looked at.
base::Result<Record> parse_record(std::span<const std::byte> stored);

// The plaintext, which has been hashed and is what want names.
base::Result<base::Bytes> decode_record(std::span<const std::byte> stored, RecordKind kind, const base::Digest& want);

class RecordEncoder {
 public:
  // level is clamped to min_zstd_level..max_zstd_level.
  explicit RecordEncoder(int level);
  ~RecordEncoder();
  RecordEncoder(const RecordEncoder&) = delete;
  RecordEncoder& operator=(const RecordEncoder&) = delete;

  // The record of plain, whose SHA-256 is id. Compressed only when that saves 6% or more. What is returned has been
  // decoded and hashed again, so neither a bug of the codec nor a flipped bit in memory is stored for good.
  base::Result<base::Bytes> encode(RecordKind kind, const base::Digest& id, std::span<const std::byte> plain);

 private:
  void* context_;  // ZSTD_CCtx
  int level_;
  base::Bytes compressed_;  // used again by each call
};

}  // namespace kiln::blocks
