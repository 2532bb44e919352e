#pragma once
// How much of the store is whose: logical, stored and exclusive bytes of disks, and of groups of disks.
//
// A record counts for every disk that reaches it: its nodes, its chunks, and the base chunks that those are encoded
// against. It is exclusive to a disk, or to a group of disks, when nothing else of the call reaches it: that is what
// would be freed if only that one were deleted. Of several copies those that marking keeps are counted (pack_scan.h),
// so a copy that is waste is nobody's.
//
// Each distinct node is read twice, and the footers of all packs twice or three times, however many disks share them.
// Memory: 32 to 64 bytes for each distinct record, 64 for each node, and the distinct sets of disks that share
// something, which are few: disks share by descent. Reads only. A node that cannot be read is an error.

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "blocks/pack_scan.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct RootUsage {
  std::uint64_t logical_bytes = 0;    // the size of the disk
  std::uint64_t data_bytes = 0;       // of chunks that are not zeros, before deduplication
  std::uint64_t stored_bytes = 0;     // of the distinct records it reaches
  std::uint64_t exclusive_bytes = 0;  // of those that nothing else reaches
};

struct UsageRequest {
  std::span<const DiskId> roots;
  std::vector<std::vector<std::size_t>> groups = {};  // of roots, by their place; a root may be in several
  std::span<const KnownPack> packs;
  GoOn go_on = {};
};
struct StoreUsage {
  std::vector<RootUsage> roots;   // in order
  std::vector<RootUsage> groups;  // logical and data: the sum of its roots'; stored: what any of them reaches
  std::uint64_t live_bytes = 0;   // of all that is reached
};
base::Result<StoreUsage> usage(Store& store, const UsageRequest& request);
// With every pack that the index knows and no groups.
base::Result<std::vector<RootUsage>> usage(Store& store, std::span<const DiskId> roots);

// data_bytes of one disk, which is all that can be said without the packs' footers.
base::Result<std::uint64_t> data_bytes(NodeSource& nodes, const DiskId& disk);

}  // namespace kiln::blocks
