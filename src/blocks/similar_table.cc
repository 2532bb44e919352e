#include "blocks/similar_table.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace kiln::blocks {
namespace {

using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

// Of an id: enough to find the rest of it by, and short because there are many.
constexpr std::size_t prefix_bytes = 8;
constexpr std::size_t most_chunks_a_feature = 8;

std::span<const std::byte> prefix_of(const Digest& id) { return std::span(id.bytes).first(prefix_bytes); }

std::span<const std::byte> key_of(const Feature& feature) { return std::as_bytes(std::span(&feature, 1)); }

// The first id in the table chunks that begins so.
Result<std::optional<Digest>> id_of(Cursor& chunks, std::span<const std::byte> prefix) {
  Digest least;
  std::ranges::copy(prefix, least.bytes.begin());
  MDB_val key = value_of(least.bytes), value;
  const int code = chunks.get(key, value, MDB_SET_RANGE);
  if (code == MDB_NOTFOUND) return std::optional<Digest>{};
  if (code != 0) return error_of("find an id", code);
  const auto found = bytes_of(key);
  if (found.size() != least.bytes.size()) return Error(Fault::corrupt, "chunk index: an id of another length");
  if (!std::ranges::equal(found.first(prefix_bytes), prefix)) return std::optional<Digest>{};
  std::ranges::copy(found, least.bytes.begin());
  return std::optional(least);
}

}  // namespace

Status add_features(Transaction& txn, unsigned similar, const PackContents& pack) {
  auto cursor = Cursor::open(txn, similar);
  if (!cursor) return cursor.error();
  for (const auto& entry : pack.entries) {
    for (const auto& feature : entry.features) {
      MDB_val key = value_of(key_of(feature)), value;
      if ((*cursor)->get(key, value, MDB_SET) == 0) {
        std::size_t chunks = 0;
        if (const int code = (*cursor)->count(chunks)) return error_of("count", code);
        if (chunks >= most_chunks_a_feature) continue;
      }
      const int code = (*cursor)->put(value_of(key_of(feature)), value_of(prefix_of(entry.id)), MDB_NODUPDATA);
      if (code != 0 && code != MDB_KEYEXIST) return error_of("add a feature", code);
    }
  }
  return {};
}

Status forget_features(Transaction& txn, unsigned similar, const PackContents& pack) {
  auto cursor = Cursor::open(txn, similar);
  if (!cursor) return cursor.error();
  for (const auto& entry : pack.entries) {
    for (const auto& feature : entry.features) {
      MDB_val key = value_of(key_of(feature)), value = value_of(prefix_of(entry.id));
      int code = (*cursor)->get(key, value, MDB_GET_BOTH);
      if (code == MDB_NOTFOUND) continue;
      if (code == 0) code = (*cursor)->erase();
      if (code != 0) return error_of("forget a feature", code);
    }
  }
  return {};
}

Result<std::vector<std::vector<Digest>>> find_similar(Transaction& txn, unsigned similar, unsigned chunks,
                                                      std::span<const Feature> features) {
  auto cursor = Cursor::open(txn, similar);
  if (!cursor) return cursor.error();
  auto ids = Cursor::open(txn, chunks);
  if (!ids) return ids.error();
  std::vector<std::vector<Digest>> found(features.size());
  for (std::size_t i = 0; i < features.size(); ++i) {
    MDB_val key = value_of(key_of(features[i])), value;
    int code = (*cursor)->get(key, value, MDB_SET_KEY);
    for (; code == 0; code = (*cursor)->get(key, value, MDB_NEXT_DUP)) {
      if (value.mv_size != prefix_bytes) return Error(Fault::corrupt, "chunk index: a damaged feature");
      const auto id = id_of(**ids, bytes_of(value));
      if (!id) return id.error();
      if (*id) found[i].push_back(**id);
    }
    if (code != MDB_NOTFOUND) return error_of("find a feature", code);
  }
  return found;
}

}  // namespace kiln::blocks
