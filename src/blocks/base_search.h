#pragma once
// Finds the chunks that a new chunk shares 4 KiB units with, so that it is stored as references to them and literals.
//
// Owned by one upload session, called by all of its workers. Candidates come from the index of sampled unit hashes
// (similar_table.h) and from what the session itself stored last, which is in no index yet. The most voted for are
// decoded and compared byte by byte, so a hash that collides finds nothing and breaks nothing. Only units that a
// candidate holds itself are referred to: reading a chunk never leads further than its bases.
//
// Holds at most cache_bytes of decoded bases. What cannot be read is passed over: a base is a saving, not a need.

#include <bitset>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "blocks/shared_cache.h"
#include "blocks/store.h"
#include "blocks/unit_map.h"

namespace kiln::blocks {

// What a stored chunk holds itself.
struct BaseChunk {
  ChunkId id;
  std::optional<PackId> pack;  // none: a pack of this session
  ChunkBytes bytes;  // of the chunk, where they are right for the units that it holds and may be anything elsewhere
  std::bitset<units_per_chunk> units;
  std::vector<std::pair<std::uint64_t, std::uint8_t>> found;  // the XXH3-64 of each of them, ascending, and which it is
};
using BasePtr = std::shared_ptr<const BaseChunk>;

struct FoundBases {
  UnitMap map;
  std::vector<BasePtr> bases;
};

class BaseSearch {
 public:
  using Usable = std::function<base::Result<bool>(const PackId&)>;

  // domain: of the chunks and their bases; null is the plain one.
  BaseSearch(Store& store, Usable usable, std::size_t cache_bytes, const KeyDomain* domain = nullptr);

  // The map of a chunk whose units are summed up in units.
  FoundBases find(std::span<const std::byte> chunk, const ChunkUnits& units);
  // A chunk that the session has just stored so is a candidate from here on.
  void remember(const ChunkId& id, const ChunkBytes& chunk, const ChunkUnits& units, const UnitMap& map);

 private:
  using Votes = std::unordered_map<ChunkId, std::bitset<units_per_chunk>>;

  Votes votes_for(const ChunkUnits& units);
  base::Result<BasePtr> load(const ChunkId& id);

  Store& store_;
  const Usable usable_;
  const KeyDomain* const domain_;
  const std::size_t most_recent_;
  SharedCache<BaseChunk> cache_;

  base::Mutex mutex_;
  std::deque<std::pair<ChunkId, std::vector<Feature>>> recent_ KILN_GUARDED_BY(mutex_);  // the latest first
  std::unordered_map<Feature, ChunkId> recent_features_ KILN_GUARDED_BY(mutex_);
};

// The features of what a record with this map holds itself, masked by the domain.
std::vector<Feature> features_of(const ChunkUnits& units, const UnitMap& map, const KeyDomain* domain = nullptr);

// Gives the encoder of a record its bases' units, to check what it made.
class HeldBases final : public BaseUnits {
 public:
  explicit HeldBases(std::span<const BasePtr> bases) : bases_(bases) {}
  base::Status read(const base::Digest& base, std::span<const UnitRead> units) override;

 private:
  std::span<const BasePtr> bases_;
};

}  // namespace kiln::blocks
