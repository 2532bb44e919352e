#pragma once
// Chunks kept decoded on the host's own disk, for all guests of the host: 512 KiB slots in a directory, by chunk id.
// docs/formats/slot-cache.md
//
//   <directory>/slots-2/<first byte of the id, hex>/<id, hex>   4 KiB head (a checksum of each unit), 512 KiB of data
//                                                  /LOCK        held by whoever fills a slot or makes room there
//
// Shared by any number of processes; each has its own SlotCache, which is thread-safe and waits for the disk. Of the
// processes that miss a chunk at once one decodes it and the others wait for it, at most lock_limit. A read takes the
// 4 KiB units that were asked for, no more, and checks each. Data is never mapped: a disk that fails is an error of a
// read, and not a signal.
//
// Everything in it is disposable and nothing is synced. A slot that is cut short, damaged, of another version or of
// another chunk is dropped, never served. A process that is killed leaves a temporary file at most, which whoever fills
// a slot beside it next removes. No error of the cache is an error of its caller: then the chunk is loaded.

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/files.h"
#include "blocks/disk_id.h"
#include "blocks/keyring.h"
#include "blocks/record.h"
#include "blocks/shared_cache.h"

namespace kiln::blocks {

constexpr std::uint32_t slot_version = 2;
constexpr std::size_t slot_head_bytes = 4096;
constexpr std::uint64_t slot_file_bytes = slot_head_bytes + chunk_bytes;
constexpr std::uint64_t slot_groups = 256;  // one for each first byte of an id: the unit of locks and of eviction
constexpr std::uint64_t min_slot_budget_bytes = slot_groups * slot_file_bytes;  // 129 MiB
constexpr std::uint64_t default_slot_budget_bytes = std::uint64_t{4} << 30;

struct SlotCacheOptions {
  base::Path directory;
  std::uint64_t budget_bytes = default_slot_budget_bytes;  // of all slots, at least min_slot_budget_bytes
  std::chrono::milliseconds lock_limit{2000};
};

struct SlotHead {
  ChunkId id;
  DomainId domain;                                    // whose keys the data is encrypted with
  std::array<std::uint64_t, units_per_chunk> sums{};  // XXH3-64 of each 4 KiB of data as it is stored
};
base::Bytes encode_slot_head(const SlotHead& head);
base::Result<SlotHead> decode_slot_head(std::span<const std::byte> bytes);

class SlotCache {
 public:
  // budget_bytes too small is Fault::invalid.
  // keys: a slot of a domain that is not there is none.
  static base::Result<std::unique_ptr<SlotCache>> open(base::Files& files, const SlotCacheOptions& options,
                                                       std::shared_ptr<const Keyring> keys = {});

  enum class Found {
    no,
    yes,
    often,  // as many bytes were read from this slot as it has, since this was last said: worth keeping in memory
  };
  // The bytes of a chunk from offset on, when there is a slot of it. offset + out.size() is at most chunk_bytes.
  Found read(const ChunkId& id, std::uint64_t offset, std::span<std::byte> out);

  // Open slots are closed; one of a domain is opened again only with the domain in the keyring.
  void close_slots() { open_.clear(); }
  // Whether there is a slot of it, whatever its state.
  bool holds(const ChunkId& id);
  // Held by whoever is about to load this chunk and its neighbours together: the next one looks again when it has gone.
  // Null when it cannot be had in time. For chunk() it is no matter.
  std::unique_ptr<base::File> turn(const ChunkId& id) { return take_lock(group_of(id), "AHEAD"); }
  // The whole chunk, from its slot or by load, which must verify it and say whose it is; what load gives is kept,
  // encrypted with the keys of its domain.
  using Load = std::function<base::Result<Decoded>()>;
  base::Result<base::Bytes> chunk(const ChunkId& id, const Load& load);

 private:
  struct OpenSlot {
    std::unique_ptr<base::File> file;
    SlotHead head;
    DomainPtr domain;
    mutable std::atomic<std::uint64_t> read_bytes = 0;
  };
  using OpenSlotPtr = std::shared_ptr<const OpenSlot>;

  SlotCache(base::Files& files, const SlotCacheOptions& options, std::shared_ptr<const Keyring> keys);
  base::Path group_of(const ChunkId& id) const;
  base::Result<OpenSlotPtr> open_slot(const ChunkId& id);
  base::Status read_units(const OpenSlot& slot, std::uint64_t first_unit, std::span<std::byte> out);
  void drop(const ChunkId& id, const base::Error& why);
  std::unique_ptr<base::File> take_lock(const base::Path& group, std::string_view name);
  base::Status make_room(const base::Path& group);
  base::Status write_slot(const base::Path& group, const ChunkId& id, const Decoded& loaded);

  base::Files& files_;
  const SlotCacheOptions options_;
  const std::shared_ptr<const Keyring> keys_;
  const std::uint64_t most_slots_of_a_group_;
  SharedCache<OpenSlot> open_;
};

}  // namespace kiln::blocks
