#pragma once
// A pack: a header, records one after the other, and a footer that lists them (docs/formats/pack.md).
//
//   header 64 | record | record | ... | footer: count, entries by ascending id | SHA-256 | footer length | magic
//
// The SHA-256 covers header and footer, so the index can be rebuilt from the two ends of every pack. Pure functions
// and values; a PackWriter is owned by one thread at a time. A version or an incompatible feature that this program
// does not know is Fault::unsupported and named; anything else that is wrong is Fault::corrupt.

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/key_domain.h"
#include "blocks/pack_id.h"
#include "blocks/pack_store.h"
#include "blocks/record.h"

namespace kiln::blocks {

constexpr std::uint32_t pack_version = 2;
constexpr std::size_t pack_header_bytes = 64;
constexpr std::size_t pack_trailer_bytes = 44;
// A pack is closed when the next record would make it longer than this.
constexpr std::uint64_t pack_target_bytes = 16 << 20;
constexpr std::size_t max_pack_records = 65'536;

// Chunks and nodes lie in separate packs: a walk of a tree then reads little else.
enum class PackKind : std::uint32_t { data = 1, nodes = 2 };
RecordKind record_kind(PackKind kind);

struct PackHeader {
  PackId id;
  PackKind kind = PackKind::data;
  DomainId domain;          // whose keys the records are encrypted with
  std::uint64_t epoch = 0;  // the catalog's, when the pack was begun

  bool operator==(const PackHeader&) const = default;
};

// The XXH3-64 of a unit that a record holds as a literal, kept for one unit in feature_sample: what chunks that share
// content are found by.
using Feature = std::uint64_t;
constexpr Feature feature_sample = 4;
constexpr bool is_feature(std::uint64_t unit_hash) { return unit_hash % feature_sample == 0; }

struct PackEntry {
  base::Digest id;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  std::vector<base::Digest> bases{};
  std::vector<Feature> features{};  // of the chunk's own literals

  bool operator==(const PackEntry&) const = default;
};

struct PackContents {
  PackHeader header;
  std::vector<PackEntry> entries;  // ascending by id
  std::uint64_t size_bytes = 0;    // of the whole pack

  // Whether entries ascend and their records cover everything between header and footer exactly once.
  bool valid() const;
  const PackEntry* find(const base::Digest& id) const;
};

struct WrittenPack {
  PackContents contents;
  base::Bytes bytes;
};

class PackWriter {
 public:
  // memory is what the pack is put together in: 16 MiB of it that were used before cost no page faults.
  explicit PackWriter(const PackHeader& header, base::Bytes memory = {});

  // Takes the bytes of an encoded record, which names its bases. An id may be added once.
  void add(const base::Digest& id, std::span<const std::byte> record, std::vector<Feature> features = {});
  const PackId& id() const { return contents_.header.id; }
  const DomainId& domain() const { return contents_.header.domain; }
  std::size_t records() const { return contents_.entries.size(); }
  // Whether this record still belongs into this pack.
  bool fits(std::span<const std::byte> record, std::size_t features) const;
  // Looks at every record so far.
  bool holds(const base::Digest& id) const;
  WrittenPack finish() &&;

 private:
  PackContents contents_;
  std::size_t footer_bytes_ = 4;
  base::Bytes bytes_;
};

// The contents of a pack that is in memory.
base::Result<PackContents> parse_pack(std::span<const std::byte> pack);
// Reads header and footer only.
base::Result<PackContents> read_pack_contents(PackStore& packs, const PackId& id);

}  // namespace kiln::blocks
