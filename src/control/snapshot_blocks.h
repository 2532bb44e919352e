#pragma once
// The blocks of completed snapshots, as the EBS direct APIs give them out: listed, compared, read.
//
// A block is a chunk of the store: 512 KiB, named by its SHA-256, also where the store names it by another (encrypted
// snapshots). Its index times 512 KiB is its place on the disk;
// blocks of zeros are not listed. Whoever lists blocks gets a token for each, without which a block is not read, and a
// token for the next page. Nothing is kept of either: a token says when it ends, and a MAC under a secret of the region
// says that it was given out, and for what. The secret is a file, so tokens outlive a restart.
//
// Called on request threads. Throws ApiError with the codes and reasons of the EBS direct APIs' reference.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "blocks/disk_source.h"
#include "control/region.h"

namespace kiln::control {

constexpr int least_blocks_a_page = 100, most_blocks_a_page = 10'000;

struct BlockQuery {
  std::string snapshot_id;
  // Those are listed in which snapshot_id differs from it; none: all that are written.
  std::optional<std::string> since_snapshot_id = {};
  std::uint64_t first_index = 0;
  int most = most_blocks_a_page;
  std::string page_token = {};  // empty: the first page
};
struct ListedBlock {
  std::uint64_t index = 0;
  std::string token;        // to read it from snapshot_id; empty where that has zeros
  std::string since_token;  // to read it from since_snapshot_id; empty where that has zeros
  base::Digest digest;      // of its content in snapshot_id: the SHA-256 that GetSnapshotBlock answers with it
};
struct BlockPage {
  std::vector<ListedBlock> blocks;  // ascending
  base::Micros tokens_end = 0;
  std::string next_page;  // empty: there are no more
  std::int64_t size_gib = 0;
  blocks::DiskId disk;     // of snapshot_id
  bool encrypted = false;  // then the tree of another copy of the same blocks is another one
};
BlockPage list_blocks(Region& region, const Principal& caller, const BlockQuery& query);

struct BlockContent {
  base::Digest digest;
  blocks::ChunkBytes bytes;
};
BlockContent read_block(Region& region, const Principal& caller, const std::string& snapshot_id, std::uint64_t index,
                        const std::string& token);

}  // namespace kiln::control
