#pragma once
// Copying what is alive out of packs that are mostly dead.
//
// Records are copied as they are, never encoded again: a record may be the base of others, which refer to the literals
// in it. Each is checked by its checksum on the way; one that does not match is put on the list of bad records and its
// pack is left alone. What is copied is findable at once, beside the old copies; that the new packs are live and the
// old ones condemned is made true by the caller, in one transaction, in which he also checks that nobody has referred
// to the old ones since they were marked. After a crash the new packs are packs of a session that died.
// Called by the collector, on its thread. Holds one pack in memory.

#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "blocks/ingest.h"
#include "blocks/mark.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct CompactionOptions {
  std::uint64_t epoch = 0;
  // Called before a pack is written; an error ends the compaction.
  std::function<base::Status(const PackId&, PackKind)> before_pack;
  GoOn go_on = {};
};

struct Compacted {
  std::vector<PackId> emptied;  // whose live records have all been copied
  std::vector<IngestedPack> written;
  std::vector<BadPlace> bad;  // records found on the way; their packs are not among the emptied
  std::vector<PackId> bases;  // packs that hold bases of what was copied, none of the emptied or written
  std::uint64_t copied_bytes = 0;
};

// sources are of one kind.
base::Result<Compacted> compact(Store& store, const Marked& marked, std::span<const PackId> sources,
                                const CompactionOptions& options);

}  // namespace kiln::blocks
