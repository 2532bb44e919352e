#pragma once
// A finished disk put into an upload session chunk by chunk: how it gets other keys.
//
// Called by a job, on its thread; waits for the disk and for the session. Holds one chunk. The store has the keys of
// the disk, or it is Fault::no_key.

#include <functional>

#include "blocks/ingest.h"
#include "blocks/store.h"

namespace kiln::blocks {

// Each chunk that is not zeros, ascending, and that wanted says yes to; wanted is asked for every one of them.
base::Status put_disk(Store& store, const DiskId& disk, Ingest& ingest,
                      const std::function<bool(std::uint64_t chunk_index)>& wanted);

}  // namespace kiln::blocks
