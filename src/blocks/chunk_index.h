#pragma once
// The chunk index: in which packs a chunk or a node lies (docs/formats/index.md).
//
// LMDB, one environment a generation; the file CURRENT names the generation. Only the daemon writes; plugins open it
// read-only, after they forked. It may be lost at any time: everything in it is in the packs' footers, and what it
// points at is verified by whoever reads it, so it can be incomplete but never make anybody read wrong bytes.
//
// Thread-safe. Writes take writer_, which is held across disk access: a rebuild makes other writers wait, readers
// never. Order of locks: writer_, then mutex_. After a crash: every add() and forget() that returned is there (each
// commit is synced); a rebuild that was cut short leaves a generation that nobody names and the next rebuild removes.

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/mutex.h"
#include "blocks/index_generation.h"
#include "blocks/pack.h"

namespace kiln::blocks {

struct UnreadablePack {
  PackId id;
  base::Error why;
};

struct IndexRebuild {
  std::uint64_t packs = 0;
  std::uint64_t records = 0;
  std::vector<UnreadablePack> unreadable;  // left out of the index, left alone on disk
};

class ChunkIndex {
 public:
  // With Access::write an index that is missing or damaged is rebuilt from packs.
  static base::Result<std::unique_ptr<ChunkIndex>> open(base::Files& files, base::Path directory, Access access,
                                                        PackStore& packs);
  ~ChunkIndex();

  // Every place that is known; empty when there is none.
  base::Result<std::vector<Location>> find(const base::Digest& id);
  // For each feature, chunks that hold a unit of that hash as a literal; a hint, see similar_table.h.
  base::Result<std::vector<std::vector<base::Digest>>> similar(std::span<const Feature> features);
  // Every pack that is indexed, ascending by id.
  base::Result<std::vector<IndexedPack>> packs();
  // Slow: for a pack whose footer cannot be read.
  base::Result<std::vector<IndexedRecord>> records_in(const PackId& pack);
  // Reads CURRENT again: true when it names another generation, which is used from here on.
  base::Result<bool> reopen();

  // Adding what is there already changes nothing; so does forgetting what is not.
  base::Status add(const PackContents& pack);
  // contents may be null when the pack's footer cannot be read: the whole index is searched then.
  base::Status forget(const PackId& pack, const PackContents* contents);
  // Builds another generation from the footers of all packs and switches to it; readers go on meanwhile.
  base::Result<IndexRebuild> rebuild(PackStore& packs);

 private:
  ChunkIndex(base::Files& files, base::Path directory, Access access);
  std::shared_ptr<IndexGeneration> current();
  base::Result<std::string> current_name();
  base::Result<std::shared_ptr<IndexGeneration>> open_current();
  void remove_other_generations(const std::string& keep);
  base::Result<IndexRebuild> rebuild_locked(PackStore& packs) KILN_REQUIRES(writer_);

  base::Files& files_;
  const base::Path directory_;
  const Access access_;

  base::Mutex writer_;  // one writing transaction at a time
  base::Mutex mutex_;
  std::shared_ptr<IndexGeneration> generation_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
