#pragma once
// A stored record: one chunk or one manifest node as it lies in a pack (docs/formats/pack.md).
//
// A record names itself: its id is the SHA-256 of its plaintext, masked by its domain, so a decoder is given that or
// nothing. An XXH3-64 over everything that is stored lets a scrub find rot without decoding. Functions are pure
// and thread-safe; an encoder is owned by one thread. Bytes that do not decode are Fault::corrupt; a codec, hash or
// feature that this program does not know is Fault::unsupported and named.
//
// A node is stored whole. A chunk is stored as a map of its units (unit_map.h) and its literals, which are compressed
// in frames of 64 KiB, so that whoever reads some units of a base decodes little more than those.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/chunk_payload.h"
#include "blocks/disk_id.h"
#include "blocks/keyring.h"
#include "blocks/unit_map.h"

namespace kiln::blocks {

enum class RecordKind : std::uint8_t { chunk = 1, node = 2 };
enum class HashAlgorithm : std::uint8_t { sha256 = 1 };
// raw and zstd: the plaintext of a node. units: a chunk.
enum class Codec : std::uint8_t { raw = 0, zstd = 1, units = 2 };

constexpr std::size_t record_header_bytes = 72;
// What encryption adds to a payload: the id of the domain before it, the tag behind it.
constexpr std::size_t encrypted_overhead_bytes = sizeof(DomainId) + sealed_overhead_bytes;
constexpr std::size_t max_record_bytes =
    record_header_bytes + max_bases * 32 + max_chunk_payload_bytes + encrypted_overhead_bytes;

struct RecordHeader {
  RecordKind kind = RecordKind::chunk;
  HashAlgorithm hash = HashAlgorithm::sha256;
  Codec codec = Codec::units;
  std::uint8_t frame_log2 = default_frame_log2;
  base::Digest id;
  Nonce nonce{};  // zeros: not encrypted
  std::uint32_t plain_bytes = 0;
  std::uint32_t stored_bytes = 0;  // of the payload alone
  std::uint64_t checksum = 0;
  std::vector<base::Digest> bases{};  // chunks whose units the payload refers to

  bool encrypted() const { return nonce != Nonce{}; }
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

// Where a decoder gets the units of bases from. The bytes need no check: the chunk made of them is hashed.
class BaseUnits {
 public:
  virtual ~BaseUnits() = default;
  virtual base::Status read(const base::Digest& base, std::span<const UnitRead> units) = 0;
};

// The domain whose keys a record needs; the plain one when it is not encrypted.
DomainId domain_of(const Record& record);

// The record of a payload, encrypted when there is a domain; the header's lengths, nonce and checksum are set here.
base::Bytes encode_record(RecordHeader header, std::span<const std::byte> payload, const KeyDomain* domain = nullptr);

// Decodes into out, which is as long as the plaintext, and does not hash it: for an encoder that knows what must come.
base::Status decode_unhashed(std::span<const std::byte> stored, RecordKind kind, const base::Digest& want,
                             std::span<std::byte> out, BaseUnits* bases, const Keyring* keys = nullptr);

struct Decoded {
  base::Bytes bytes;
  DomainPtr domain = nullptr;  // null: it was not encrypted
};
// The plaintext, which has been hashed and is what want names. bases may be null for a record without any; a record
// that has some is Fault::unsupported then. One whose domain is not in keys is Fault::no_key.
base::Result<Decoded> decode(std::span<const std::byte> stored, RecordKind kind, const base::Digest& want,
                             BaseUnits* bases, const Keyring* keys);
base::Result<base::Bytes> decode_record(std::span<const std::byte> stored, RecordKind kind, const base::Digest& want,
                                        BaseUnits* bases = nullptr, const Keyring* keys = nullptr);

// Units of the chunk want that this copy of it holds itself, as literals or zeros; decodes only the frames they lie in
// and hashes nothing. Fault::not_found when the copy has one of them by reference only.
base::Status decode_units(std::span<const std::byte> stored, const base::Digest& want, std::span<const UnitRead> units,
                          const Keyring* keys = nullptr);

// What a chunk record holds itself: the units, ascending, and their bytes one after the other.
struct Literals {
  DomainId domain;
  std::vector<std::uint8_t> units;
  base::Bytes bytes;
};
base::Result<Literals> decode_literals(std::span<const std::byte> stored, const base::Digest& want,
                                       const Keyring* keys = nullptr);

}  // namespace kiln::blocks
