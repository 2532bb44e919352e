#include "blocks/manifest.h"

#include <unordered_map>

#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using base::Result;
using base::Status;
using namespace testing;

constexpr std::uint64_t gib_chunks = 2048;

// Nodes in memory, counting what is read.
class NodesInMemory final : public NodeSource {
 public:
  Result<NodePtr> node(const NodeId& id, unsigned level) override {
    ++reads;
    const auto found = nodes.find(id);
    if (found == nodes.end()) return base::Error(Fault::not_found, "no node " + id.hex());
    if (found->second->level != level) return base::Error(Fault::corrupt, "a node of another level");
    return found->second;
  }
  TreeBuilder::Emit keep() {
    return [this](const NodeId& id, const Node& node) -> Status {
      EXPECT_EQ(id, base::sha256(encode_node(node)));
      nodes[id] = std::make_shared<const Node>(node);
      ++emitted;
      return {};
    };
  }
  NodeId build(const NodeId& parent, const std::map<std::uint64_t, ChunkId>& chunks) {
    TreeBuilder builder(*this, parent);
    for (const auto& [index, id] : chunks) builder.set(index, id);
    emitted = reads = 0;
    const auto root = builder.finish(keep());
    EXPECT_TRUE(root) << why(root);
    return root ? *root : NodeId{};
  }

  std::unordered_map<NodeId, NodePtr> nodes;
  std::size_t reads = 0, emitted = 0;
};

ChunkId chunk_named(std::uint64_t n) { return base::sha256(std::to_string(n)); }

TEST(Node, is_bytes_and_back_and_nothing_else_is_a_node) {
  Node node{.level = 2};
  node.entries[511] = chunk_named(1);
  const auto bytes = encode_node(node);
  ASSERT_EQ(bytes.size(), 16386u);
  EXPECT_EQ(decode_node(bytes)->entries, node.entries);
  EXPECT_EQ(decode_node(bytes)->level, 2u);
  auto bad = bytes;
  bad[0] = std::byte{'X'};
  EXPECT_EQ(decode_node(bad).error().fault(), Fault::unsupported);
  for (const auto level : {0, 4, 255}) {
    bad = bytes;
    bad[1] = static_cast<std::byte>(level);
    EXPECT_EQ(decode_node(bad).error().fault(), Fault::corrupt);
  }
  EXPECT_FALSE(decode_node(std::span(bytes).first(16385)));
  EXPECT_FALSE(decode_node(base::Bytes(node_bytes)));
}

TEST(Manifest, a_disk_of_zeros_has_no_nodes) {
  NodesInMemory nodes;
  EXPECT_TRUE(nodes.build({}, {}).is_null());
  EXPECT_TRUE(nodes.build({}, {{5, ChunkId{}}}).is_null());
  EXPECT_EQ(nodes.emitted, 0u);
}

TEST(Manifest, one_changed_block_rewrites_three_nodes_and_reads_three) {
  NodesInMemory nodes;
  std::map<std::uint64_t, ChunkId> chunks;
  for (std::uint64_t i = 0; i < 4 * gib_chunks; ++i) chunks[i] = chunk_named(i);
  const auto parent = nodes.build({}, chunks);
  EXPECT_EQ(nodes.emitted, 16u + 1 + 1);
  const auto child = nodes.build(parent, {{1234, chunk_named(99)}});
  EXPECT_EQ(nodes.emitted, 3u);
  EXPECT_EQ(nodes.reads, 3u);
  EXPECT_EQ(*find_chunk(nodes, child, 1234), chunk_named(99));
  EXPECT_EQ(*find_chunk(nodes, child, 1235), chunk_named(1235));
  EXPECT_EQ(*find_chunk(nodes, parent, 1234), chunk_named(1234));
}

TEST(Manifest, the_root_depends_on_content_and_not_on_history) {
  NodesInMemory nodes;
  const auto direct = nodes.build({}, {{1, chunk_named(1)}, {700, chunk_named(2)}});
  auto stepwise = nodes.build({}, {{700, chunk_named(9)}, {90'000'000, chunk_named(3)}});
  stepwise = nodes.build(stepwise, {{1, chunk_named(1)}, {700, chunk_named(2)}});
  stepwise = nodes.build(stepwise, {{90'000'000, ChunkId{}}});
  EXPECT_EQ(stepwise, direct);
  EXPECT_EQ(nodes.build(direct, {{1, chunk_named(1)}}), direct);
  EXPECT_EQ(nodes.emitted, 0u) << "writing what is there already makes no nodes";
  EXPECT_TRUE(nodes.build(direct, {{1, ChunkId{}}, {700, ChunkId{}}}).is_null());
}

TEST(Manifest, reaches_the_last_chunk_of_64_tib) {
  NodesInMemory nodes;
  const auto root = nodes.build({}, {{max_disk_chunks - 1, chunk_named(1)}, {0, chunk_named(2)}});
  EXPECT_EQ(*find_chunk(nodes, root, max_disk_chunks - 1), chunk_named(1));
  EXPECT_EQ(*find_chunk(nodes, root, 0), chunk_named(2));
  EXPECT_TRUE(find_chunk(nodes, root, max_disk_chunks / 2)->is_null());
  EXPECT_TRUE(find_chunk(nodes, root, max_disk_chunks)->is_null());
}

TEST(Manifest, a_walk_visits_every_chunk_in_order_and_skips_what_it_is_told_to) {
  NodesInMemory nodes;
  const std::map<std::uint64_t, ChunkId> chunks{
      {0, chunk_named(1)}, {511, chunk_named(2)}, {512, chunk_named(3)}, {99'000'000, chunk_named(4)}};
  const auto root = nodes.build({}, chunks);
  std::map<std::uint64_t, ChunkId> seen;
  std::uint64_t last = 0;
  const auto chunk = [&](const ChunkId& id, std::uint64_t index) -> Status {
    EXPECT_GE(index, last);
    seen[last = index] = id;
    return {};
  };
  ASSERT_TRUE(walk_tree(nodes, root, {.node = [](auto&&...) -> Result<bool> { return true; }, .chunk = chunk}));
  EXPECT_EQ(seen, chunks);
  seen.clear();
  last = 0;
  const auto not_the_first_leaf = [](const NodeId&, unsigned level, std::uint64_t first) -> Result<bool> {
    return level != 1 || first != 0;
  };
  ASSERT_TRUE(walk_tree(nodes, root, {.node = not_the_first_leaf, .chunk = chunk}));
  EXPECT_EQ(seen.size(), 2u);
}

TEST(Manifest, a_missing_node_is_an_error_of_find_walk_diff_and_build) {
  NodesInMemory nodes;
  const auto root = nodes.build({}, {{0, chunk_named(1)}});
  nodes.nodes.erase(root);
  EXPECT_FALSE(find_chunk(nodes, root, 0));
  EXPECT_FALSE(walk_tree(
      nodes, root,
      {.node = [](auto&&...) -> Result<bool> { return true; }, .chunk = [](auto&&...) -> Status { return {}; }}));
  EXPECT_FALSE(diff_trees(nodes, {}, root, 0, [](const auto&) -> Result<bool> { return true; }));
  TreeBuilder builder(nodes, root);
  builder.set(1, chunk_named(2));
  EXPECT_FALSE(builder.finish(nodes.keep()));
}

TEST(Manifest, a_diff_of_one_block_in_64_tib_reads_six_nodes) {
  NodesInMemory nodes;
  std::map<std::uint64_t, ChunkId> chunks;
  for (std::uint64_t i = 0; i < 200; ++i) chunks[i * 600'000] = chunk_named(i);
  const auto before = nodes.build({}, chunks);
  const auto after = nodes.build(before, {{600'001, chunk_named(1)}});
  nodes.reads = 0;
  std::vector<ChangedChunk> found;
  ASSERT_TRUE(diff_trees(nodes, before, after, 0, [&](const ChangedChunk& changed) -> Result<bool> {
    found.push_back(changed);
    return true;
  }));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].chunk_index, 600'001u);
  EXPECT_TRUE(found[0].before.is_null());
  EXPECT_EQ(found[0].after, chunk_named(1));
  EXPECT_LE(nodes.reads, 6u);
}

TEST(Manifest, random_changes_agree_with_a_map) {
  const auto seed = test_seed();
  std::mt19937_64 random(seed);
  const auto index_near = [&] {
    constexpr std::uint64_t places[] = {0, 500, 262'000, 134'217'000};
    return places[random() % 4] + random() % 700 % 728;
  };
  NodesInMemory nodes;
  std::map<std::uint64_t, ChunkId> model;  // without nulls
  NodeId root;
  for (int round = 0; round < 60; ++round) {
    const auto old_model = model;
    const auto old_root = root;
    std::map<std::uint64_t, ChunkId> changes;
    for (auto count = random() % 20; count > 0; --count) {
      changes[std::min(index_near(), max_disk_chunks - 1)] = random() % 3 == 0 ? ChunkId{} : chunk_named(random() % 5);
    }
    root = nodes.build(root, changes);
    for (const auto& [index, id] : changes) {
      model.erase(index);
      if (!id.is_null()) model[index] = id;
    }
    ASSERT_EQ(root, NodesInMemory().build({}, model)) << "round " << round;
    const auto from = random() % 2 == 0 ? 0 : index_near();
    std::map<std::uint64_t, ChunkId> want, found;
    for (const auto& [index, id] : model) want[index] = id;
    for (const auto& [index, id] : old_model) want.try_emplace(index);
    std::erase_if(want, [&](const auto& item) {
      const auto old = old_model.find(item.first);
      return item.first < from || (old == old_model.end() ? ChunkId{} : old->second) == item.second;
    });
    ASSERT_TRUE(diff_trees(nodes, old_root, root, from, [&](const ChangedChunk& changed) -> Result<bool> {
      found[changed.chunk_index] = changed.after;
      return true;
    }));
    ASSERT_EQ(found, want) << "round " << round;
  }
}

}  // namespace
}  // namespace kiln::blocks
