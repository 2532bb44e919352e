#pragma once
// The packs of a store in the order in which their copies count, and what is in each: what marking and usage scan.
//
// A record may lie in several packs. One copy counts, the others are waste: that of a live pack before that of a
// condemned one, then the youngest, so that what compaction moved and what a later store healed is preferred; one that
// is known to be bad only when there is no other. Of a chunk that others are encoded against every good copy in a live
// pack counts: they refer to literals, and what is a literal in one copy may be a reference in the next.
// Reads only. Owned by one thread.

#include <functional>
#include <set>
#include <span>
#include <vector>

#include "base/error.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct KnownPack {
  PackId id;
  bool condemned = false;
};

// Asked between packs and nodes; false stops the walk with Fault::busy.
using GoOn = std::function<bool()>;
base::Status check(const GoOn& go_on);

class PackScan {
 public:
  PackScan(Store& store, std::span<const KnownPack> packs);

  // How many, and each by its place in the order. A place is what tables keep of a pack: 4 bytes for 16.
  std::size_t size() const { return packs_.size(); }
  const KnownPack& pack(std::size_t place) const { return packs_[place]; }
  // Header and entries, from the footer. Of a pack whose footer is damaged what the index knows and the records
  // themselves say; of one that is gone nothing.
  base::Result<PackContents> contents(std::size_t place) const;
  // Whether the record at this entry was found bad before.
  bool is_bad(const PackId& pack, const PackEntry& entry) const;

 private:
  base::Result<PackContents> contents_by_index(const PackId& id) const;

  Store& store_;
  std::vector<KnownPack> packs_;
  std::set<std::pair<PackId, std::uint64_t>> bad_;
};

// Every pack that the index knows, as live.
base::Result<std::vector<KnownPack>> indexed_packs(Store& store);

}  // namespace kiln::blocks
