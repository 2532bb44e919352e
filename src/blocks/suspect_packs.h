#pragma once
// The packs of a store in which somebody met damage while reading for a guest or a snapshot.
//
//   <store>/suspects/<pack>   read this pack again, now
//
// A disk server has neither a catalog nor the list of bad records (bad_records.h), and its log is read by nobody until
// a guest has failed. So it leaves a file here, and the scrub reads that pack before all others, says what is wrong
// with it and puts it on the list. Each process reports a pack once. Nothing has to be synced: what a crash leaves out
// is reported by the next read, and what it leaves over costs one more look. Thread-safe.

#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/mutex.h"
#include "blocks/pack_id.h"

namespace kiln::blocks {

class SuspectPacks {
 public:
  SuspectPacks(base::Files& files, base::Path directory) : files_(files), directory_(std::move(directory)) {}

  // By readers. What goes wrong is only logged: the read has an error to return already.
  void report(const PackId& pack);

  // By the scrub.
  base::Result<std::vector<PackId>> list();
  base::Status remove(const PackId& pack);

 private:
  base::Files& files_;
  const base::Path directory_;

  base::Mutex mutex_;
  std::set<PackId> reported_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
