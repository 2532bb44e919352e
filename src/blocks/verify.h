#pragma once
// Reading everything again: each copy of each record that roots reach, past every cache.
//
// Reads only, and repairs nothing. Called by jobs of the daemon. A bad record is reported, not an error; an error is
// what makes going on senseless.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "blocks/store.h"

namespace kiln::blocks {

struct BadRecord {
  base::Digest id;
  RecordKind kind = RecordKind::chunk;
  std::optional<Location> location;  // none: the index knows no place
  bool lost = false;                 // no other copy is good
  std::size_t root = 0;              // the first root, by its place in the call, that reaches it
  std::uint64_t chunk_index = 0;     // in that disk; of a node the first chunk below it
  std::string why;
};

struct VerifyProgress {
  std::uint64_t chunks = 0;
  std::uint64_t nodes = 0;
  std::uint64_t plain_bytes = 0;
};

struct Verified {
  VerifyProgress done;
  std::vector<BadRecord> bad;
};

// progress is called after each record; false stops with Fault::busy.
base::Result<Verified> verify(Store& store, std::span<const DiskId> roots,
                              const std::function<bool(const VerifyProgress&)>& progress = {});

// A pack by itself, reachable or not: footer, and each record's checksum and hash. Empty when all is well.
base::Result<std::vector<BadRecord>> verify_pack(Store& store, const PackId& pack);

}  // namespace kiln::blocks
