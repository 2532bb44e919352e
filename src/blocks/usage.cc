#include "blocks/usage.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "blocks/record_table.h"

namespace kiln::blocks {
namespace {

using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

using SetId = std::uint32_t;  // 0: the empty set

// The distinct sets of roots that reach something. Each is kept once, and each union is made once.
class RootSets {
 public:
  SetId of(std::vector<std::uint32_t> roots) {
    const auto [at, fresh] = ids_.try_emplace(std::move(roots), static_cast<SetId>(sets_.size()));
    if (fresh) sets_.push_back(&at->first);
    return at->second;
  }
  SetId join(SetId a, SetId b) {
    if (a == b || b == 0) return a;
    if (a == 0) return b;
    if (a > b) std::swap(a, b);
    const auto [at, fresh] = joins_.try_emplace(std::uint64_t{a} << 32 | b);
    if (!fresh) return at->second;
    std::vector<std::uint32_t> both;
    std::ranges::set_union(*sets_[a], *sets_[b], std::back_inserter(both));
    const auto joined = of(std::move(both));
    joins_[std::uint64_t{a} << 32 | b] = joined;
    return joined;
  }
  const std::vector<std::uint32_t>& roots(SetId set) const { return *sets_[set]; }
  std::size_t size() const { return sets_.size(); }

 private:
  std::map<std::vector<std::uint32_t>, SetId> ids_{{{}, 0}};
  std::vector<const std::vector<std::uint32_t>*> sets_{&ids_.begin()->first};
  std::unordered_map<std::uint64_t, SetId> joins_;
};

struct ReachedNode {
  SetId set = 0;
  std::uint64_t chunks = 0;  // below it that are not zeros
};
// A node or chunk: whose it is, and which copy counts.
struct Owned {
  SetId set = 0;    // who need it, or copies of it that others are encoded against
  SetId whole = 0;  // who read it as it is, and so its bases too
  bool base = false;
  std::uint32_t pack = 0;  // its place in the scan, and one
};

class UsageCounter {
 public:
  UsageCounter(Store& store, const UsageRequest& request)
      : store_(store), request_(request), scan_(store, request.packs) {}

  Result<StoreUsage> run() {
    std::unordered_map<Digest, std::vector<std::uint32_t>> roots;
    for (std::uint32_t i = 0; i < request_.roots.size(); ++i) {
      const auto& root = request_.roots[i].root;
      if (!root.is_null()) roots[root].push_back(i);
    }
    for (const auto& [root, places] : roots) {
      KILN_TRY(find_nodes(root, tree_levels));
      nodes_[root].set = sets_.of(places);
    }
    for (unsigned level = tree_levels; level > 0; --level) KILN_TRY(hand_down(level));
    KILN_TRY(find_copies());
    bytes_of_set_.resize(sets_.size());
    KILN_TRY(add_up());
    KILN_TRY(check_nothing_is_missing());
    return result();
  }

 private:
  // Lists each distinct node below id by level, and counts the chunks below it.
  Status find_nodes(const NodeId& id, unsigned level) {
    if (nodes_.contains(id)) return {};
    KILN_TRY(check(request_.go_on));
    const auto node = store_.node(id, level);
    if (!node) return node.error();
    std::uint64_t chunks = 0;
    for (const auto& entry : (*node)->entries) {
      if (entry.is_null()) continue;
      if (level > 1) KILN_TRY(find_nodes(entry, level - 1));
      chunks += level > 1 ? nodes_[entry].chunks : 1;
    }
    nodes_[id].chunks = chunks;
    by_level_[level].push_back(id);
    return {};
  }

  // All parents of a node are of the level above, so when that level is done its own set is complete.
  Status hand_down(unsigned level) {
    for (const auto& id : by_level_[level]) {
      KILN_TRY(check(request_.go_on));
      const auto set = nodes_[id].set;
      own(id, set);
      const auto node = store_.node(id, level);
      if (!node) return node.error();
      for (const auto& entry : (*node)->entries) {
        if (entry.is_null()) continue;
        if (level == 1) {
          own(entry, set);
        } else {
          auto& below = nodes_[entry].set;
          below = sets_.join(below, set);
        }
      }
    }
    return {};
  }

  void own(const Digest& id, SetId set) {
    auto& owned = *records_.insert(id).first;
    owned.set = sets_.join(owned.set, set);
    owned.whole = sets_.join(owned.whole, set);
  }
  // Whether that changed anything.
  bool own_base(const Digest& id, SetId set) {
    auto& owned = *records_.insert(id).first;
    const auto joined = sets_.join(owned.set, set);
    const bool changed = !owned.base || joined != owned.set;
    owned.base = true;
    owned.set = joined;
    return changed;
  }

  // The same copies as those that marking keeps.
  bool counts(const Owned& owned, std::uint32_t place, const PackEntry& entry) const {
    if (owned.pack == place + 1) return true;
    const auto& pack = scan_.pack(place);
    return owned.base && !pack.condemned && !scan_.is_bad(pack.id, entry);
  }

  // A base is owned by all who read a record that is encoded against it.
  Status find_copies() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::uint32_t place = 0; place < scan_.size(); ++place) {
        KILN_TRY(check(request_.go_on));
        const auto contents = scan_.contents(place);
        if (!contents) return contents.error();
        for (const auto& entry : contents->entries) {
          auto* owned = records_.find(entry.id);
          if (owned == nullptr) continue;
          if (owned->pack == 0 && !scan_.is_bad(scan_.pack(place).id, entry)) owned->pack = place + 1;
          if (owned->whole == 0 || !counts(*owned, place, entry)) continue;
          const auto set = owned->whole;  // own_base() may move the table
          for (const auto& base : entry.bases) changed = own_base(base, set) || changed;
        }
      }
    }
    return {};
  }

  Status add_up() {
    for (std::uint32_t place = 0; place < scan_.size(); ++place) {
      KILN_TRY(check(request_.go_on));
      const auto contents = scan_.contents(place);
      if (!contents) return contents.error();
      for (const auto& entry : contents->entries) {
        auto* owned = records_.find(entry.id);
        if (owned == nullptr) continue;
        if (owned->pack == 0) owned->pack = place + 1;  // every copy is bad; it takes space all the same
        if (counts(*owned, place, entry)) bytes_of_set_[owned->set] += entry.length;
      }
    }
    return {};
  }

  Status check_nothing_is_missing() {
    std::uint64_t missing = 0;
    records_.for_each([&](const Owned& owned) { missing += owned.pack == 0 ? 1 : 0; });
    if (missing == 0) return {};
    return Error(Fault::corrupt, std::to_string(missing) + " reachable nodes and chunks are in no pack that is known");
  }

  StoreUsage result() {
    StoreUsage answer{.roots = std::vector<RootUsage>(request_.roots.size()),
                      .groups = std::vector<RootUsage>(request_.groups.size())};
    for (std::size_t i = 0; i < request_.roots.size(); ++i) {
      const auto& root = request_.roots[i];
      answer.roots[i].logical_bytes = root.size_bytes;
      if (!root.root.is_null()) answer.roots[i].data_bytes = nodes_[root.root].chunks * chunk_bytes;
    }
    std::vector<std::vector<bool>> in_group;
    for (std::size_t g = 0; g < request_.groups.size(); ++g) {
      auto& members = in_group.emplace_back(request_.roots.size());
      for (const auto root : request_.groups[g]) {
        members[root] = true;
        answer.groups[g].logical_bytes += answer.roots[root].logical_bytes;
        answer.groups[g].data_bytes += answer.roots[root].data_bytes;
      }
    }
    for (SetId set = 1; set < bytes_of_set_.size(); ++set) {
      const auto bytes = bytes_of_set_[set];
      if (bytes == 0) continue;
      const auto& roots = sets_.roots(set);
      answer.live_bytes += bytes;
      for (const auto root : roots) answer.roots[root].stored_bytes += bytes;
      if (roots.size() == 1) answer.roots[roots.front()].exclusive_bytes += bytes;
      for (std::size_t g = 0; g < in_group.size(); ++g) {
        const auto inside = std::ranges::count_if(roots, [&](auto root) { return in_group[g][root]; });
        if (inside > 0) answer.groups[g].stored_bytes += bytes;
        if (static_cast<std::size_t>(inside) == roots.size()) answer.groups[g].exclusive_bytes += bytes;
      }
    }
    return answer;
  }

  Store& store_;
  const UsageRequest& request_;
  const PackScan scan_;
  RootSets sets_;
  std::unordered_map<Digest, ReachedNode> nodes_;
  std::vector<NodeId> by_level_[tree_levels + 1];
  RecordTable<Owned> records_;
  std::vector<std::uint64_t> bytes_of_set_;
};

}  // namespace

Result<StoreUsage> usage(Store& store, const UsageRequest& request) { return UsageCounter(store, request).run(); }

Result<std::vector<RootUsage>> usage(Store& store, std::span<const DiskId> roots) {
  const auto packs = indexed_packs(store);
  if (!packs) return packs.error();
  auto used = usage(store, UsageRequest{.roots = roots, .packs = *packs});
  if (!used) return used.error();
  return std::move(used->roots);
}

Result<std::uint64_t> data_bytes(NodeSource& nodes, const DiskId& disk) {
  std::uint64_t bytes = 0;
  KILN_TRY(walk_tree(nodes, disk.root,
                     {.node = [](const NodeId&, unsigned, std::uint64_t) -> Result<bool> { return true; },
                      .chunk = [&](const ChunkId&, std::uint64_t) -> Status {
                        bytes += chunk_bytes;
                        return {};
                      }}));
  return bytes;
}

}  // namespace kiln::blocks
