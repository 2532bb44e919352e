#include "blocks/manifest.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::byte node_type{'N'};

constexpr std::uint64_t leaves_per_entry(unsigned level) { return chunks_per_entry(level) / node_fanout; }

Status walk(NodeSource& nodes, const NodeId& id, unsigned level, std::uint64_t first_chunk,
            const TreeVisitor& visitor) {
  const auto enter = visitor.node(id, level, first_chunk);
  if (!enter) return enter.error();
  if (!*enter) return {};
  const auto node = nodes.node(id, level);
  if (!node) return node.error();
  for (std::uint64_t i = 0; i < node_fanout; ++i) {
    const auto& entry = (*node)->entries[i];
    if (entry.is_null()) continue;
    const auto at = first_chunk + i * chunks_per_entry(level);
    KILN_TRY(level == 1 ? visitor.chunk(entry, at) : walk(nodes, entry, level - 1, at, visitor));
  }
  return {};
}

class Diff {
 public:
  Diff(NodeSource& nodes, std::uint64_t first_chunk, const std::function<Result<bool>(const ChangedChunk&)>& changed)
      : nodes_(nodes), first_chunk_(first_chunk), changed_(changed) {}

  // Whether to go on.
  Result<bool> run(const NodeId& before, const NodeId& after, unsigned level, std::uint64_t at) {
    const auto left = entries_of(before, level);
    if (!left) return left.error();
    const auto right = entries_of(after, level);
    if (!right) return right.error();
    const auto step = chunks_per_entry(level);
    for (std::uint64_t i = 0; i < node_fanout; ++i) {
      const auto& old_id = (*left)->entries[i];
      const auto& new_id = (*right)->entries[i];
      const auto index = at + i * step;
      if (old_id == new_id || index + step <= first_chunk_) continue;
      const auto go_on = level == 1 ? changed_({.chunk_index = index, .before = old_id, .after = new_id})
                                    : run(old_id, new_id, level - 1, index);
      if (!go_on || !*go_on) return go_on;
    }
    return true;
  }

 private:
  Result<NodePtr> entries_of(const NodeId& id, unsigned level) {
    if (id.is_null()) return zeros_;
    return nodes_.node(id, level);
  }

  NodeSource& nodes_;
  const std::uint64_t first_chunk_;
  const std::function<Result<bool>(const ChangedChunk&)>& changed_;
  const NodePtr zeros_ = std::make_shared<Node>();
};

}  // namespace

bool Node::valid() const {
  return level >= 1 && level <= tree_levels && !std::ranges::all_of(entries, &Digest::is_null);
}

Bytes encode_node(const Node& node) {
  assert(node.valid());
  Bytes out(node_bytes);
  out[0] = node_type;
  out[1] = static_cast<std::byte>(node.level);
  static_assert(sizeof node.entries == node_fanout * 32);
  std::memcpy(out.data() + 2, node.entries.data(), sizeof node.entries);
  return out;
}

Result<Node> decode_node(std::span<const std::byte> bytes) {
  if (bytes.size() != node_bytes) return Error(Fault::corrupt, "a node of " + std::to_string(bytes.size()) + " bytes");
  if (bytes[0] != node_type) {
    return Error(Fault::unsupported, "a node of type " + std::to_string(std::to_integer<int>(bytes[0])));
  }
  Node node;
  node.level = std::to_integer<unsigned>(bytes[1]);
  std::memcpy(node.entries.data(), bytes.data() + 2, sizeof node.entries);
  if (!node.valid()) return Error(Fault::corrupt, "a node of level " + std::to_string(node.level) + " that is no node");
  return node;
}

Result<ChunkId> find_chunk(NodeSource& nodes, const NodeId& root, std::uint64_t chunk_index) {
  if (chunk_index >= max_disk_chunks) return ChunkId{};
  NodeId id = root;
  for (unsigned level = tree_levels; level > 0 && !id.is_null(); --level) {
    const auto node = nodes.node(id, level);
    if (!node) return node.error();
    id = (*node)->entries[chunk_index / chunks_per_entry(level) % node_fanout];
  }
  return id;
}

void TreeBuilder::set(std::uint64_t chunk_index, const ChunkId& id) {
  assert(chunk_index < max_disk_chunks);
  auto& change = changes_[chunk_index / node_fanout];
  if (!change) change = std::make_unique<LeafChange>();
  change->ids[chunk_index % node_fanout] = id;
  change->set[chunk_index % node_fanout] = true;
}

Result<NodeId> TreeBuilder::finish(const Emit& emit) { return build(tree_levels, 0, parent_, emit); }

// The node of this level whose first leaf is first_leaf: the parent's own when nothing below it changes.
Result<NodeId> TreeBuilder::build(unsigned level, std::uint64_t first_leaf, const NodeId& parent, const Emit& emit) {
  const auto last_leaf = first_leaf + (level == 1 ? 1 : leaves_per_entry(level) * node_fanout);
  const auto first = changes_.lower_bound(first_leaf);
  if (first == changes_.end() || first->first >= last_leaf) return parent;
  Node node;
  if (!parent.is_null()) {
    const auto old = nodes_.node(parent, level);
    if (!old) return old.error();
    node = **old;
  }
  node.level = level;
  if (level == 1) {
    for (std::size_t i = 0; i < node_fanout; ++i) {
      if (first->second->set[i]) node.entries[i] = first->second->ids[i];
    }
  } else {
    const auto step = leaves_per_entry(level);
    // Jumps from change to change: a level-3 node has 512 children, few of which change.
    for (auto at = first; at != changes_.end() && at->first < last_leaf;) {
      const auto child = (at->first - first_leaf) / step;
      const auto built = build(level - 1, first_leaf + child * step, node.entries[child], emit);
      if (!built) return built;
      node.entries[child] = *built;
      at = changes_.lower_bound(first_leaf + (child + 1) * step);
    }
  }
  if (!node.valid()) return NodeId{};
  const auto id = base::sha256(encode_node(node));
  if (id != parent) KILN_TRY(emit(id, node));
  return id;
}

Status walk_tree(NodeSource& nodes, const NodeId& root, const TreeVisitor& visitor) {
  if (root.is_null()) return {};
  return walk(nodes, root, tree_levels, 0, visitor);
}

Status diff_trees(NodeSource& nodes, const NodeId& before, const NodeId& after, std::uint64_t first_chunk,
                  const std::function<Result<bool>(const ChangedChunk&)>& changed) {
  if (before == after) return {};
  const auto done = Diff(nodes, first_chunk, changed).run(before, after, tree_levels, 0);
  if (!done) return done.error();
  return {};
}

}  // namespace kiln::blocks
