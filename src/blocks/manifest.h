#pragma once
// The manifest of a disk: a radix-512 Merkle tree of chunk ids (docs/formats/manifest.md).
//
//   level 3 (root)  512 level-2 ids   64 TiB
//   level 2         512 leaf ids     128 GiB
//   level 1 (leaf)  512 chunk ids    256 MiB
//
// A node's id is the SHA-256 of its type, level and entries; a null entry is zeros. The root is always of level 3, so
// that two disks of different sizes share what they have in common and a disk grows without being rewritten. Nodes are
// immutable. Functions are as thread-safe as the NodeSource that they are lent.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/disk_id.h"

namespace kiln::blocks {

using NodeId = base::Digest;

constexpr unsigned tree_levels = 3;
constexpr std::uint64_t node_fanout = 512;
constexpr std::size_t node_bytes = 2 + node_fanout * 32;
constexpr std::uint64_t max_disk_chunks = max_disk_bytes / chunk_bytes;

struct Node {
  unsigned level = 1;
  std::array<base::Digest, node_fanout> entries{};

  // A node of nothing but zeros is not stored: null stands for it.
  bool valid() const;
};
using NodePtr = std::shared_ptr<const Node>;

base::Bytes encode_node(const Node& node);
base::Result<Node> decode_node(std::span<const std::byte> bytes);

// How many chunks lie below one entry of a node of this level.
constexpr std::uint64_t chunks_per_entry(unsigned level) {
  return level == 1 ? 1 : node_fanout * chunks_per_entry(level - 1);
}

class NodeSource {
 public:
  virtual ~NodeSource() = default;
  // A verified node; id is not null. Fault::corrupt when the node is of another level.
  virtual base::Result<NodePtr> node(const NodeId& id, unsigned level) = 0;
};

base::Result<ChunkId> find_chunk(NodeSource& nodes, const NodeId& root, std::uint64_t chunk_index);

// A new tree made of a parent's and changed chunks; nodes that do not change are shared and not read.
// Owned by one thread at a time. Holds 16 KiB for each 256 MiB of disk with a change.
class TreeBuilder {
 public:
  // parent may be null: a disk of zeros.
  TreeBuilder(NodeSource& nodes, const NodeId& parent) : nodes_(nodes), parent_(parent) {}

  // The last call for an index counts; a null id is zeros. chunk_index is less than max_disk_chunks.
  void set(std::uint64_t chunk_index, const ChunkId& id);

  // Hands every node that is not the parent's to emit, children first, and returns the root. May be called again.
  using Emit = std::function<base::Status(const NodeId& id, const Node& node)>;
  base::Result<NodeId> finish(const Emit& emit);

 private:
  struct LeafChange {
    std::array<base::Digest, node_fanout> ids;
    std::array<bool, node_fanout> set{};
  };
  using Changes = std::map<std::uint64_t, std::unique_ptr<LeafChange>>;

  base::Result<NodeId> build(unsigned level, std::uint64_t first_leaf, const NodeId& parent, const Emit& emit);

  NodeSource& nodes_;
  const NodeId parent_;
  Changes changes_;  // by leaf number
};

struct TreeVisitor {
  // Called for each node before what is below it; false skips it with all that is below (seen before, say).
  std::function<base::Result<bool>(const NodeId& id, unsigned level, std::uint64_t first_chunk)> node;
  std::function<base::Status(const ChunkId& id, std::uint64_t chunk_index)> chunk;  // never with a null id
};

// Depth first, ascending by chunk. Stops at the first error.
base::Status walk_tree(NodeSource& nodes, const NodeId& root, const TreeVisitor& visitor);

struct ChangedChunk {
  std::uint64_t chunk_index = 0;
  ChunkId before;  // null: zeros
  ChunkId after;
};

// Every chunk at or after first_chunk whose id differs, ascending, until changed returns false. Equal subtrees are not
// read. With a null root as before it lists the chunks of after that are not zeros.
base::Status diff_trees(NodeSource& nodes, const NodeId& before, const NodeId& after, std::uint64_t first_chunk,
                        const std::function<base::Result<bool>(const ChangedChunk&)>& changed);

}  // namespace kiln::blocks
