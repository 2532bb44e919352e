#include "blocks/mark.h"

#include <unordered_map>
#include <unordered_set>

namespace kiln::blocks {
namespace {

using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

// Where a reachable record lies; a record without a place is damage, so the walk must end.
Result<std::vector<Location>> places_of(Store& store, const Digest& id, RecordKind kind) {
  auto places = store.locations(id);
  if (!places) return places;
  std::erase_if(*places, [&](const Location& place) { return place.kind != kind; });
  if (places->empty()) {
    return Error(Fault::corrupt, std::string(kind == RecordKind::node ? "node " : "chunk ") + id.hex() +
                                     " is reachable and in no pack that the index knows");
  }
  return places;
}

class Marker {
 public:
  explicit Marker(Store& store) : store_(store) {}

  Result<Marked> run(std::span<const DiskId> roots) {
    const auto packs = store_.packs();
    if (!packs) return packs.error();
    for (const auto& pack : *packs) {
      marked_.packs[pack.id] = {.kind = pack.kind, .total_bytes = pack.size_bytes, .records = pack.records};
      marked_.total_bytes += pack.size_bytes;
    }
    for (const auto& root : roots) KILN_TRY(walk_tree(store_, root.root, visitor_));
    return std::move(marked_);
  }

 private:
  // Whether id is seen for the first time.
  Result<bool> reach(const Digest& id, RecordKind kind) {
    if (!seen_.insert(id).second) return false;
    const auto places = places_of(store_, id, kind);
    if (!places) return places.error();
    for (const auto& place : *places) {
      const auto pack = marked_.packs.find(place.pack);
      if (pack == marked_.packs.end()) continue;  // written after the walk began, so it has no reason to be condemned
      pack->second.live_bytes += place.length;
      ++pack->second.live_records;
      marked_.live_bytes += place.length;
    }
    ++(kind == RecordKind::node ? marked_.nodes : marked_.chunks);
    return true;
  }

  Store& store_;
  Marked marked_;
  std::unordered_set<Digest> seen_;
  const TreeVisitor visitor_{
      .node = [this](const NodeId& id, unsigned, std::uint64_t) { return reach(id, RecordKind::node); },
      .chunk = [this](const ChunkId& id, std::uint64_t) -> Status {
        const auto reached = reach(id, RecordKind::chunk);
        if (!reached) return reached.error();
        return {};
      }};
};

// A record as usage() counts it.
struct Counted {
  std::uint32_t stored_bytes = 0;
  std::size_t root = 0;  // the only one that reaches it, unless shared
  bool shared = false;
};

class UsageCounter {
 public:
  explicit UsageCounter(Store& store) : store_(store) {}

  Status count(const DiskId& disk, std::size_t root, RootUsage& usage) {
    usage.logical_bytes = disk.size_bytes;
    std::unordered_set<Digest> seen;
    const auto reach = [&](const Digest& id, RecordKind kind) -> Status {
      if (!seen.insert(id).second) return {};
      auto& counted = records_[id];
      if (counted.stored_bytes == 0) {
        const auto places = places_of(store_, id, kind);
        if (!places) return places.error();
        counted = {.stored_bytes = places->front().length, .root = root};
      } else if (counted.root != root) {
        counted.shared = true;
      }
      usage.stored_bytes += counted.stored_bytes;
      return {};
    };
    return walk_tree(store_, disk.root,
                     {.node = [&](const NodeId& id, unsigned, std::uint64_t) -> Result<bool> {
                        KILN_TRY(reach(id, RecordKind::node));
                        return true;
                      },
                      .chunk = [&](const ChunkId& id, std::uint64_t) -> Status {
                        usage.data_bytes += chunk_bytes;
                        return reach(id, RecordKind::chunk);
                      }});
  }

  void add_exclusive(std::vector<RootUsage>& usages) const {
    for (const auto& [id, counted] : records_) {
      if (!counted.shared) usages[counted.root].exclusive_bytes += counted.stored_bytes;
    }
  }

 private:
  Store& store_;
  std::unordered_map<Digest, Counted> records_;
};

}  // namespace

Result<Marked> mark(Store& store, std::span<const DiskId> roots) { return Marker(store).run(roots); }

Result<std::vector<RootUsage>> usage(Store& store, std::span<const DiskId> roots) {
  std::vector<RootUsage> usages(roots.size());
  UsageCounter counter(store);
  for (std::size_t i = 0; i < roots.size(); ++i) KILN_TRY(counter.count(roots[i], i, usages[i]));
  counter.add_exclusive(usages);
  return usages;
}

}  // namespace kiln::blocks
