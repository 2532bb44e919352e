#pragma once
// Makes the records of chunks and nodes, and makes sure that each decodes to what it was made of.
//
// One encoder belongs to one thread; it keeps its codec and its buffers from call to call. Fault::corrupt when a record
// does not decode to its plaintext: a bug of the codec, or memory that lost a bit. Nothing is stored then.

#include "blocks/record.h"

namespace kiln::blocks {

// A chunk or an encoded node, its name, and a sum taken before the name was. A bit that flips in memory later, wherever
// that is, makes what was encoded disagree with the sum, at a twentieth of what a second SHA-256 costs.
struct Plaintext {
  // content stays the caller's, and so does the domain; a node belongs to none.
  Plaintext(RecordKind of, std::span<const std::byte> content, const KeyDomain* in = nullptr);
  // A chunk that was hashed before. Whoever reads back what was stored hashes it again.
  Plaintext(std::span<const std::byte> chunk, const base::Digest& sha256, const KeyDomain* in);
  RecordKind kind;
  std::span<const std::byte> bytes;
  std::uint64_t sum;        // XXH3-64
  const KeyDomain* domain;  // null: stored as it is
  base::Digest id;          // SHA-256, masked by the domain
};

class RecordEncoder {
 public:
  // keys must hold the domains of what is encoded.
  explicit RecordEncoder(const Keyring* keys = nullptr);
  ~RecordEncoder();
  RecordEncoder(const RecordEncoder&) = delete;
  RecordEncoder& operator=(const RecordEncoder&) = delete;

  // The record of a node, or of a chunk without bases. Compressed only where that saves 6% or more.
  base::Result<base::Bytes> encode(const Plaintext& plain);
  // Of a chunk whose units come from where map says; units gives those of bases for the check.
  base::Result<base::Bytes> encode_chunk(const Plaintext& chunk, const UnitMap& map,
                                         std::span<const base::Digest> bases, BaseUnits* units);

 private:
  // Appends what is stored for some plaintext, compressed or as it is, and says how long that is.
  base::Result<std::size_t> append_compressed(base::Bytes& out, std::span<const std::byte> plain);
  base::Status append_frames(base::Bytes& payload, std::span<const std::byte> chunk, const UnitMap& map);
  // The record, when it decodes to plain.
  base::Result<base::Bytes> checked(const Plaintext& plain, RecordHeader header, BaseUnits* units);

  const Keyring* const keys_;
  void* context_;        // ZSTD_CCtx
  base::Bytes payload_;  // used again by each call, as the others
  base::Bytes compressed_;
  base::Bytes literals_;
  base::Bytes decoded_;
};

}  // namespace kiln::blocks
