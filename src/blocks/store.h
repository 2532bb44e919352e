#pragma once
// The store of finished disks: packs, and the index that finds chunks in them.
//
//   <directory>/FORMAT           "kiln-store 2" and the store's uuid; another version is refused by name
//   <directory>/LOCK             held by the one process that writes
//   <directory>/packs/..         pack_store.h
//   <directory>/index/..         chunk_index.h
//   <directory>/BAD              bad_records.h
//   <directory>/condemned/..     condemned_packs.h
//
// Opened with Access::write by the daemon alone, with Access::read by every plugin (after it forked). Thread-safe;
// waits for the disk. Every chunk and node is hashed when it comes from a pack. A copy that fails is passed over for
// another one; when none is good the answer is Fault::corrupt, with the chunk, the pack and the offset. A chunk of a
// domain that is not in the keyring is Fault::no_key, unless memory still has it. Which packs are
// live is known to the catalog, not here: the store keeps what it is told to keep until forget_pack().

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "blocks/bad_records.h"
#include "blocks/chunk_index.h"
#include "blocks/condemned_packs.h"
#include "blocks/disk_source.h"
#include "blocks/keyring.h"
#include "blocks/manifest.h"
#include "blocks/pack.h"
#include "blocks/pack_store.h"
#include "blocks/shared_cache.h"
#include "blocks/slot_cache.h"
#include "blocks/suspect_packs.h"

namespace kiln::blocks {

constexpr std::uint32_t store_version = 2;

struct StoreOptions {
  base::Files& files;
  base::Path directory;
  Access access = Access::read;
  std::size_t chunk_cache_bytes = 64 << 20;
  std::size_t node_cache_bytes = 8 << 20;
  std::optional<SlotCacheOptions> slots;  // decoded chunks on the local disk, shared with other processes
  std::shared_ptr<Keyring> keys = std::make_shared<Keyring>();  // of the domains that may be read and written
  // Names of new packs. Their order decides which of several copies counts, so a simulation gives names of its own, to
  // run the same way again.
  std::function<PackId()> new_pack_id = PackId::make;
};

class Store final : public DiskSource, public NodeSource {
 public:
  // With Access::write a directory that is empty or missing becomes a store, and a damaged index is rebuilt.
  static base::Result<std::unique_ptr<Store>> open(StoreOptions options);
  ~Store() override;

  base::Result<ChunkId> chunk_id(const DiskId& disk, std::uint64_t chunk_index) override;
  base::Result<ChunkBytes> chunk(const ChunkId& id) override;
  // The same for a reader of whole disks who does not come back: it leaves memory and slots to those who do.
  base::Result<ChunkBytes> chunk_once(const ChunkId& id);
  base::Status read_chunk(const ChunkId& id, std::uint64_t offset, std::span<std::byte> out) override;
  ChunkBytes held(const ChunkId& id) override { return chunks_.find(id); }
  std::vector<std::vector<ChunkId>> together(std::span<const ChunkId> ids) override;
  base::Status bring(std::span<const ChunkId> batch) override;
  base::Result<NodePtr> node(const NodeId& id, unsigned level) override;

  // The bytes of disk from offset on; Fault::invalid past its end.
  base::Status read(const DiskId& disk, std::uint64_t offset, std::span<std::byte> out);

  // Every known place of a chunk or node; empty when there is none. Looks at a switched index too.
  base::Result<std::vector<Location>> locations(const base::Digest& id);
  // The plaintext at one place, past every cache, hashed: what verify reads. Units of bases come from any copy of them.
  base::Result<base::Bytes> read_at(const Location& location, const base::Digest& id);
  // The record at one place as it is stored; its checksum has been checked: what compaction copies.
  base::Result<base::Bytes> record_at(const Location& location, const base::Digest& id);

  // Whether the record at one place is good: read_at(), or its checksum alone when its key is not at hand.
  base::Status check_at(const Location& location, const base::Digest& id);
  // What the copy of a chunk at one place holds itself, past every cache; its checksum has been checked, no hash.
  base::Result<Literals> literals_at(const Location& location, const ChunkId& id);

  // Makes a pack durable and then findable.
  base::Status publish(const WrittenPack& pack);
  // Removes the pack, whose deletion the catalog has decided: from the index first, then its file. Idempotent.
  base::Status forget_pack(const PackId& pack);
  base::Result<std::vector<IndexedPack>> packs() { return index_->packs(); }
  base::Result<IndexRebuild> rebuild_index();

  Keyring* keys() override { return keys_.get(); }
  // The domain leaves the keyring, and what memory holds of it goes.
  void forget_domain(const DomainId& domain);

  PackStore& pack_store() { return *packs_; }
  ChunkIndex& index() { return *index_; }
  BadRecords& bad_records() { return bad_; }
  CondemnedPacks& condemned() { return condemned_; }
  SuspectPacks& suspects() { return suspects_; }
  const std::string& uuid() const { return uuid_; }
  PackId new_pack_id() { return new_pack_id_(); }

 private:
  explicit Store(const StoreOptions& options);
  class Bases;
  base::Status open_format();
  // A stretch of a pack that was read ahead.
  struct Stretch {
    PackId pack;
    std::uint64_t offset = 0;
    base::Bytes bytes;
  };
  base::Result<Decoded> load(const base::Digest& id, RecordKind kind, const Stretch* ahead = nullptr);
  base::Result<base::Bytes> stored_at(const Location& location, const Stretch* ahead = nullptr);
  base::Result<Decoded> decode_at(const Location& location, const base::Digest& id, int depth,
                                  const Stretch* ahead = nullptr);
  Stretch read_ahead(std::span<const ChunkId> batch);
  base::Result<base::Bytes> through_slot(const ChunkId& id, const Stretch* ahead = nullptr);
  std::vector<ChunkId> missing_of(std::span<const ChunkId> batch);
  base::Status read_base(const base::Digest& base, std::span<const UnitRead> units, int depth);

  base::Files& files_;
  const base::Path directory_;
  const Access access_;
  const std::function<PackId()> new_pack_id_;
  const std::shared_ptr<Keyring> keys_;
  std::string uuid_;
  std::unique_ptr<base::File> lock_;
  std::unique_ptr<PackStore> packs_;
  std::unique_ptr<ChunkIndex> index_;
  BadRecords bad_;
  CondemnedPacks condemned_;
  SuspectPacks suspects_;
  std::unique_ptr<SlotCache> slots_;  // null without
  SharedCache<base::Bytes> chunks_;
  SharedCache<Node> nodes_;
};

}  // namespace kiln::blocks
