#pragma once
// Reading a pack again, whole: header, footer, and of each record the checksum, the hash, and that it is the one that
// the footer names.
//
// Reachable or not, live or condemned: what is dead today may be found for deduplication tomorrow. What is bad goes
// onto the store's list of bad records, and what is good again from it. A damaged header or footer is an entry of its
// own, at offset 0 and with a null id: the records are still found by the index, until it has to be rebuilt, so such a
// pack is one that the next collection copies. Called by the scrub's thread and by commands; waits for the disk.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct ScrubbedPack {
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;
  std::vector<BadPlace> bad;
};

// An error is what makes going on senseless: the index or the list cannot be read or written.
base::Result<ScrubbedPack> scrub_pack(Store& store, const PackId& pack);

// Whether an entry of the list says that header or footer are damaged.
inline bool is_pack_damage(const BadPlace& bad) { return bad.id.is_null(); }

}  // namespace kiln::blocks
