#pragma once
// The records of a store that were read and found bad, so that nothing new is built on them.
//
//   <store>/BAD   "kiln-bad 1", then a line each: pack, offset, length, kind, id, what is wrong
//
// A record on the list is not found for deduplication, so the next store of its content writes a good copy; it counts
// as the copy that keeps a pack alive only when there is no other. It goes from the list with its pack. Written by
// scrub, verify and compaction, in the one process that has the store open for writing; a reader has no use for the
// list, for it verifies whatever it reads. Thread-safe. After a crash the list is the old or the new one. A list that
// is damaged or lost is begun anew: the next pass of the scrub finds the same again.

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "base/mutex.h"
#include "blocks/index_generation.h"

namespace kiln::blocks {

struct BadPlace {
  Location location;
  base::Digest id;
  std::string why;
};

class BadRecords {
 public:
  BadRecords(base::Files& files, base::Path file);

  // Those that are on the list already change nothing.
  base::Status add(std::span<const BadPlace> found);
  // What was read again and is good after all.
  base::Status remove(std::span<const Location> good);
  base::Status forget_pack(const PackId& pack);
  bool contains(const Location& location);
  std::vector<BadPlace> list();

 private:
  using Key = std::pair<PackId, std::uint64_t>;
  void read();
  base::Status write() KILN_REQUIRES(writer_);

  base::Files& files_;
  const base::Path file_;

  base::Mutex writer_;  // held across the disk; taken before mutex_
  base::Mutex mutex_;
  std::map<Key, BadPlace> places_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
