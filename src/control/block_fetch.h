#pragma once
// Bringing the blocks of a snapshot from another region into an upload session: only those that the store lacks.
//
// The source's list is walked page by page. A block whose digest the store knows, in a pack that may be shared, is
// taken from there unread; of those that are left each content is fetched once, by as many threads as the source
// allows, and put. In memory are one page of the list, and one block for each thread.
//
// Called by a job's thread, which waits and looks after the job meanwhile; on_tick runs on that thread, about once a
// second. A fetch that fails is tried again a few times at short intervals. Throws what the source throws then, what
// on_tick throws, and std::runtime_error; all threads have ended when it does.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "blocks/ingest.h"
#include "control/source_region.h"

namespace kiln::control {

struct FetchProgress {
  std::uint64_t blocks = 0;       // that are done, zeros not counted
  std::uint64_t fetched = 0;      // contents whose bytes came from the source
  std::uint64_t position = 0;     // about where on the disk
  std::uint64_t disk_blocks = 0;  // how many there are on it
};
struct SourceDisk {
  std::uint64_t size_bytes = 0;
  std::optional<base::Digest> root;  // as the source says
};

// progress starts empty, and holds when it throws, too.
SourceDisk fetch_blocks(SourceRegion& source, const std::string& snapshot_id, blocks::Ingest& ingest,
                        FetchProgress& progress, const std::function<void()>& on_tick);

}  // namespace kiln::control
