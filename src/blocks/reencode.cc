#include "blocks/reencode.h"

namespace kiln::blocks {

using base::Result;
using base::Status;

Status put_disk(Store& store, const DiskId& disk, Ingest& ingest,
                const std::function<bool(std::uint64_t chunk_index)>& wanted) {
  return walk_tree(store, disk.root,
                   {.node = [](const NodeId&, unsigned, std::uint64_t) -> Result<bool> { return true; },
                    .chunk = [&](const ChunkId& id, std::uint64_t chunk_index) -> Status {
                      if (!wanted(chunk_index)) return {};
                      const auto bytes = store.chunk(id);
                      return bytes ? ingest.put(chunk_index, *bytes, {}) : Status(bytes.error());
                    }});
}

}  // namespace kiln::blocks
