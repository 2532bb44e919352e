#include "blocks/disk_source.h"

#include <cassert>
#include <cstring>
#include <string>

namespace kiln::blocks {

base::Status DiskSource::read_chunk(const ChunkId& id, std::uint64_t offset, std::span<std::byte> out) {
  assert(offset <= chunk_bytes && out.size() <= chunk_bytes - offset);
  if (id.is_null()) {
    std::memset(out.data(), 0, out.size());
    return {};
  }
  const auto bytes = chunk(id);
  if (!bytes) return bytes.error();
  if (!*bytes || (*bytes)->size() != chunk_bytes) {
    return base::Error(base::Fault::corrupt, "chunk " + id.hex() + " does not have the size of a chunk");
  }
  std::memcpy(out.data(), (*bytes)->data() + offset, out.size());
  return {};
}

std::vector<std::vector<ChunkId>> DiskSource::together(std::span<const ChunkId> ids) {
  std::vector<std::vector<ChunkId>> batches;
  for (const auto& id : ids) batches.push_back({id});
  return batches;
}

base::Status DiskSource::bring(std::span<const ChunkId> batch) {
  base::Status outcome;
  for (const auto& id : batch) {
    if (const auto bytes = chunk(id); !bytes) outcome = bytes.error();
  }
  return outcome;
}

}  // namespace kiln::blocks
