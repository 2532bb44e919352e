#pragma once
// What is alive: the walk from roots that the collector is made of.
//
// Alive is every node and chunk that a root reaches, every base chunk that one of those is encoded against, and, for
// as long as a pack stays at all, the bases of its other records too: an upload may find such a record and bring it
// back to life, and it must be readable then. Of several copies of a record one counts, of a base all that are in live
// packs (pack_scan.h). So a pack has live bytes when something needs this very pack, and may be condemned when it has
// none.
//
// Reads nodes, and the footers of all packs twice or three times; the index is asked only about a pack whose footer is
// damaged. Takes minutes on a large store and 32 to 64 bytes of memory for each distinct live record. Called by the
// collector, on its thread. A node or chunk that cannot be found is an error and never "nothing": a mark that is not
// complete must not condemn anything. Which packs may go, and when, is decided by the caller, who read the roots in the
// transaction that raised the epoch.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "blocks/pack_scan.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct PackUse {
  PackKind kind = PackKind::data;
  std::uint64_t total_bytes = 0;
  std::uint64_t record_bytes = 0;  // of all records, without header and footer
  std::uint64_t live_bytes = 0;    // of the records that are alive
  std::uint64_t records = 0;
  std::uint64_t live_records = 0;
  std::uint64_t required_records = 0;  // of those, what roots need: not only dead records of packs that stay
  // Of a pack without live records: the packs, without live records too, that hold bases of its dead ones. When it
  // stays for a reason that the mark could not know, they must stay with it.
  std::vector<PackId> needs;
};

struct Marked {
  std::map<PackId, PackUse> packs;  // all that were given, also those with nothing live
  std::uint64_t chunks = 0;         // distinct ones that roots or live records reach
  std::uint64_t nodes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t live_bytes = 0;

  // What of a pack is alive there: what compaction has to copy.
  std::vector<PackEntry> live_entries(const PackContents& pack) const;
  // The pack whose copy of this record counts, of a base the youngest; none when the record is dead.
  std::optional<PackId> pack_of(const base::Digest& id) const;

  class Table;
  std::shared_ptr<const Table> table;
};

struct MarkRequest {
  std::span<const DiskId> roots;
  std::span<const KnownPack> packs;  // those that may hold the copy that counts
  GoOn go_on = {};
};
base::Result<Marked> mark(Store& store, const MarkRequest& request);
// With every pack that the index knows.
base::Result<Marked> mark(Store& store, std::span<const DiskId> roots);

}  // namespace kiln::blocks
