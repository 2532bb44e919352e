#include "blocks/verify.h"

#include <algorithm>
#include <unordered_set>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

class Verifier {
 public:
  Verifier(Store& store, const std::function<bool(const VerifyProgress&)>& progress)
      : store_(store), progress_(progress) {}

  Status run(const DiskId& disk, std::size_t root) {
    root_ = root;
    if (disk.root.is_null()) return {};
    return check_node(disk.root, tree_levels, 0);
  }

  Verified take() { return std::move(verified_); }

 private:
  // Reads every copy, reports the bad ones, and returns a good one when there is any.
  Result<std::optional<Bytes>> check(const Digest& id, RecordKind kind, std::uint64_t chunk_index) {
    const auto places = store_.locations(id);
    if (!places) return places.error();
    std::vector<BadRecord> bad;
    std::optional<Bytes> good;
    for (const auto& place : *places) {
      if (place.kind != kind) continue;
      auto plain = store_.read_at(place, id);
      // Of a chunk whose key is not at hand what is stored is checked, and nothing else can be.
      if (!plain && plain.error().fault() == Fault::no_key) plain = store_.record_at(place, id);
      if (plain) {
        verified_.done.plain_bytes += plain->size();
        good = *std::move(plain);
      } else {
        bad.push_back({.id = id,
                       .kind = kind,
                       .location = place,
                       .root = root_,
                       .chunk_index = chunk_index,
                       .why = plain.error().message()});
      }
    }
    if (bad.empty() && !good) {
      bad.push_back({.id = id,
                     .kind = kind,
                     .root = root_,
                     .chunk_index = chunk_index,
                     .why = "it is in no pack that the index knows"});
    }
    for (auto& record : bad) {
      record.lost = !good;
      verified_.bad.push_back(std::move(record));
    }
    ++(kind == RecordKind::node ? verified_.done.nodes : verified_.done.chunks);
    if (progress_ && !progress_(verified_.done)) return Error(Fault::busy, "verification was stopped");
    return good;
  }

  // Walks by itself and not by walk_tree(), which takes nodes from the cache and ends at the first bad one.
  Status check_node(const NodeId& id, unsigned level, std::uint64_t first_chunk) {
    if (!seen_.insert(id).second) return {};
    const auto bytes = check(id, RecordKind::node, first_chunk);
    if (!bytes) return bytes.error();
    if (!*bytes) return {};
    const auto node = decode_node(**bytes);
    if (!node || node->level != level) {
      verified_.bad.push_back({.id = id,
                               .kind = RecordKind::node,
                               .lost = true,
                               .root = root_,
                               .chunk_index = first_chunk,
                               .why = "it is no node of level " + std::to_string(level)});
      return {};
    }
    for (std::uint64_t i = 0; i < node_fanout; ++i) {
      const auto& entry = node->entries[i];
      const auto at = first_chunk + i * chunks_per_entry(level);
      if (entry.is_null()) continue;
      if (level > 1) {
        KILN_TRY(check_node(entry, level - 1, at));
      } else if (seen_.insert(entry).second) {
        const auto chunk = check(entry, RecordKind::chunk, at);
        if (!chunk) return chunk.error();
      }
    }
    return {};
  }

  Store& store_;
  const std::function<bool(const VerifyProgress&)>& progress_;
  std::size_t root_ = 0;
  std::unordered_set<Digest> seen_;
  Verified verified_;
};

}  // namespace

Result<Verified> verify(Store& store, std::span<const DiskId> roots,
                        const std::function<bool(const VerifyProgress&)>& progress) {
  Verifier verifier(store, progress);
  for (std::size_t i = 0; i < roots.size(); ++i) KILN_TRY(verifier.run(roots[i], i));
  return verifier.take();
}

Result<std::vector<BadRecord>> verify_pack(Store& store, const PackId& pack) {
  const auto contents = read_pack_contents(store.pack_store(), pack);
  if (!contents) return contents.error();
  const auto kind = record_kind(contents->header.kind);
  std::vector<BadRecord> bad;
  for (const auto& entry : contents->entries) {
    const Location place{.pack = pack, .offset = entry.offset, .length = entry.length, .kind = kind};
    const auto good = store.check_at(place, entry.id);
    if (!good) bad.push_back({.id = entry.id, .kind = kind, .location = place, .why = good.error().message()});
  }
  return bad;
}

}  // namespace kiln::blocks
