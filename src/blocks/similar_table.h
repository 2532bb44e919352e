#pragma once
// The table "similar" of the chunk index: from the hash of a 4 KiB unit to chunks that hold it as a literal.
//
// A hint and nothing more: what it names is compared byte by byte before anybody refers to it, so an entry that is
// stale, missing or wrong costs space and never content. It holds the features in the footers of packs, and of one
// feature a few chunks only: one base is enough. Used by IndexGeneration, inside its transactions.

#include <span>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "blocks/lmdb.h"
#include "blocks/pack.h"

namespace kiln::blocks {

base::Status add_features(Transaction& txn, unsigned similar, const PackContents& pack);
// An entry goes although another pack may hold a copy of the chunk: that costs a hint.
base::Status forget_features(Transaction& txn, unsigned similar, const PackContents& pack);

// For each feature the ids of chunks, of those that the table chunks knows.
base::Result<std::vector<std::vector<base::Digest>>> find_similar(Transaction& txn, unsigned similar, unsigned chunks,
                                                                  std::span<const Feature> features);

}  // namespace kiln::blocks
