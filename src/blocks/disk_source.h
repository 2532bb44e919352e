#pragma once
// Where the chunks of finished disks are read from.
//
// Implemented by Store (packs and their index); lent by reference to volumes, to the importer and to whoever reads a
// snapshot. Thread-safe. What it returns has been verified against the root digest; a chunk that fails its check after
// bounded retries is Fault::corrupt and is never returned.

#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "blocks/disk_id.h"
#include "blocks/keyring.h"

namespace kiln::blocks {

// The bytes of one chunk, always chunk_bytes long, shared with the cache. Null stands for zeros.
using ChunkBytes = std::shared_ptr<const base::Bytes>;

class DiskSource {
 public:
  virtual ~DiskSource() = default;
  // The id of the chunk at chunk_index of the disk; null for zeros and past the end.
  virtual base::Result<ChunkId> chunk_id(const DiskId& disk, std::uint64_t chunk_index) = 0;
  virtual base::Result<ChunkBytes> chunk(const ChunkId& id) = 0;
  // The bytes of a chunk from offset on; offset + out.size() is at most chunk_bytes. A source that keeps chunks on a
  // local disk reads no more of them than this.
  virtual base::Status read_chunk(const ChunkId& id, std::uint64_t offset, std::span<std::byte> out);
  // The chunk if it is in memory anyway, else null; counts as a use of it.
  virtual ChunkBytes held(const ChunkId&) { return nullptr; }
  // The same ids in batches that are fetched best together, in the order of each batch's first.
  virtual std::vector<std::vector<ChunkId>> together(std::span<const ChunkId> ids);
  // The keys of its chunks and of the volumes over its disks; null when it knows none.
  virtual Keyring* keys() { return nullptr; }
  // Fetches a batch to where later reads are fast; of one that is damaged the rest, and says what is wrong.
  virtual base::Status bring(std::span<const ChunkId> batch);
};

}  // namespace kiln::blocks
