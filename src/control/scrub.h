#pragma once
// The scrub: every pack and every archive of a region is read again within 30 days, slowly, and what is bad is said and
// marked. An encrypted archive whose key is not at hand is read as far as its checksums tell.
//
// A pack in which a reader met damage (blocks/suspect_packs.h) is read within seconds, before all others.
// <region>/scrub keeps where it is, so a restart goes on. A pack is due when its share of the time has passed since the
// pass began; after each one the scrub rests for 19 times as long as it read, so it takes at most 5% of the disk, also
// when it is late. What it finds is an error in the log, a line of `kiln usage` and `kiln scrub`, and an entry of the
// store's list of bad records, from where the next store of that content heals it (blocks/bad_records.h), or a word in
// the archive's row.
// Owned by the daemon: start() begins a thread of its own, stop() ends it, step() is one pack of one region.

#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "blocks/bad_records.h"
#include "control/region.h"
#include "control/snapshot_tiers.h"

namespace kiln::control {

struct ScrubState {
  std::optional<blocks::PackId> after;          // the last pack that was read in this pass
  std::string after_archive;                    // or, after all packs, the last archive: its snapshot
  base::Micros began = 0;                       // 0: no pass has begun yet
  base::Micros finished = 0;                    // the last whole pass; 0: none yet
  std::uint64_t packs = 0, bytes = 0, bad = 0;  // of this pass; archives count as packs
};
// As it is on disk; that of a scrub which has not begun when the file is missing or damaged.
ScrubState scrub_state(Region& region);

struct ScrubProgress {
  std::uint64_t packs = 0, bytes = 0, records = 0;
};
struct Scrubbed {
  std::vector<blocks::BadPlace> bad;
  std::vector<ArchiveCheck> bad_archives;
};
// A whole pass at once, at full speed, beside the slow one. on_pack is told after each pack and archive; false stops.
// Throws std::runtime_error.
Scrubbed scrub_now(Region& region, const std::function<bool(const ScrubProgress&)>& on_pack = {});

class Scrubber {
 public:
  struct Options {
    base::Micros period = base::seconds(30 * 86'400);
    unsigned rest = 19;  // for so many times the time that a pack took
  };
  Scrubber(Regions& regions, Options options) : regions_(regions), options_(options) {}
  ~Scrubber() { stop(); }

  void start();
  void stop();
  struct Step {
    bool read = false;      // a pack
    base::Micros wait = 0;  // to rest from that, or until the next one is due, at most five seconds
  };
  // Reads a pack of the region that was reported, or else the next one if it is due.
  Step step(Region& region);

 private:
  void run();
  bool stopping();

  Regions& regions_;
  const Options options_;
  std::thread thread_;
  base::Mutex mutex_;
  base::Condition changed_;
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::control
