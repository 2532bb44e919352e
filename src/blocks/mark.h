#pragma once
// What is alive: the walk from roots that the collector and `usage` are made of.
//
// Reads only. Called by jobs of the daemon; takes minutes on a large store. A node or chunk that cannot be found is an
// error and never "nothing": a mark that is not complete must not condemn anything. Which packs may go, and when, is
// decided by the caller, who read the roots in the transaction that raised the epoch.

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/error.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct PackUse {
  PackKind kind = PackKind::data;
  std::uint64_t total_bytes = 0;
  std::uint64_t live_bytes = 0;  // of records that a root reaches; every copy of one counts
  std::uint64_t records = 0;
  std::uint64_t live_records = 0;
};

struct Marked {
  std::map<PackId, PackUse> packs;  // every indexed pack, also those with nothing live
  std::uint64_t chunks = 0;         // distinct ones that are reached
  std::uint64_t nodes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t live_bytes = 0;
};

base::Result<Marked> mark(Store& store, std::span<const DiskId> roots);

struct RootUsage {
  std::uint64_t logical_bytes = 0;    // the size of the disk
  std::uint64_t data_bytes = 0;       // of chunks that are not zeros, before deduplication
  std::uint64_t stored_bytes = 0;     // of the distinct records it reaches, nodes included
  std::uint64_t exclusive_bytes = 0;  // of those that no other root of the call reaches
};

// One answer a root, in order.
base::Result<std::vector<RootUsage>> usage(Store& store, std::span<const DiskId> roots);

}  // namespace kiln::blocks
