#pragma once
// Which packs of a store are condemned, as readers see it, and which of those somebody read all the same.
//
//   <store>/condemned/<pack>        the catalog has condemned this pack: nothing is meant to read it
//   <store>/condemned/<pack>.read   somebody did
//
// The catalog is what decides; this directory is how disk servers, which have no catalog, come to know. The collector
// writes it after each change of the catalog and sets it right at the start of each round, so a file that a crash left
// out or left over does not stay so, and nothing has to be synced. A reader prefers other copies, and says it when it
// has to take a condemned one: the collector does not delete a pack that was read, and tells the operator, for that is
// a fault of the marking found before it does harm. Thread-safe.

#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "blocks/pack_id.h"

namespace kiln::blocks {

class CondemnedPacks {
 public:
  CondemnedPacks(base::Files& files, base::Path directory) : files_(files), directory_(std::move(directory)) {}

  // By the collector.
  base::Status set(const std::set<PackId>& condemned);  // these and no others
  base::Status add(const PackId& pack);
  base::Status remove(const PackId& pack);  // with the report of its having been read
  base::Result<std::set<PackId>> read_ones();

  // By readers.
  bool contains(const PackId& pack);
  void report_read(const PackId& pack);
  std::uint64_t reads() const { return reads_; }  // of condemned packs, by this process

 private:
  base::Path path_of(const PackId& pack) const { return directory_ / pack.text(); }
  base::Result<std::vector<std::string>> names();

  base::Files& files_;
  const base::Path directory_;
  std::atomic<std::uint64_t> reads_ = 0;
};

}  // namespace kiln::blocks
