#pragma once
// The disks of snapshots that clients write block by block, between StartSnapshot and CompleteSnapshot.
//
// Each is a volume of its own that no instance ever sees, in <region>/started/<snapshot id>/, over the disk of the
// parent snapshot: so a block that was acknowledged is there after a crash of the daemon or of the host, writes that
// arrive side by side share their syncs, the later of two writes of a block counts, and what was written is a sealed
// cut in the end, which is stored like any other. It is opened with the first block and stays open until the snapshot
// is completed or given up.
//
// Owned by the region. Thread-safe; calls wait for the disk. Which snapshots may be written is decided by the rows: who
// opens a head has read them after it got the head, and who ends the writing changes them before it ends the head. So
// nobody opens the files of a snapshot that was completed.
//
// Locks: of a head, open_mutex_ serialises opening and closing, is held across disk calls and taken before mutex_;
// mutex_ guards memory only and is never held across a call.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/digest.h"
#include "base/files.h"
#include "base/mutex.h"
#include "blocks/disk_source.h"
#include "blocks/volume.h"

namespace kiln::control {

class SnapshotHead {
 public:
  SnapshotHead(base::Files& files, blocks::DiskSource& source, base::Clock& clock, base::Path directory);

  // Makes the files where there are none, and opens them. what names the snapshot; success when it is open.
  base::Status open(const blocks::NewVolume& what);

  // The whole block is durable when it returns, in place of what was written there before. fenced: the writing has
  // ended. busy: trying again helps.
  base::Status put(std::uint64_t index, std::span<const std::byte> bytes, const base::Digest& digest);

  struct Expected {
    std::uint64_t blocks = 0;                     // that were written, each counted once
    std::optional<base::Digest> linear_checksum;  // SHA-256 of their digests, in the order of their indexes
  };
  // Ends the writing when what was written is what is expected: a durable cut that has the snapshot's name, of which
  // the generation is returned. invalid: it is not, and the writing goes on. Asking again finds the cut.
  base::Result<std::uint64_t> seal(const Expected& expected);

  // Whether progress is more than was said before: then it is worth writing down.
  bool advances(int progress);
  base::Micros last_put();  // of the monotonic clock; the making of this object counts as one
  bool is_open();
  void close();  // puts are refused from here on

 private:
  class Put;
  base::Result<std::shared_ptr<blocks::Volume>> volume();
  base::Status close_gate();
  base::Status check(blocks::Volume& volume, const Expected& expected);
  std::pair<std::shared_ptr<base::File>, blocks::DomainPtr> digests_file();
  base::Result<base::Digest> linear_checksum(blocks::Volume& volume, const std::vector<bool>& written);
  void give_up(const std::shared_ptr<blocks::Volume>& failed);

  base::Files& files_;
  blocks::DiskSource& source_;
  base::Clock& clock_;
  const base::Path directory_;

  base::Mutex open_mutex_;
  std::shared_ptr<blocks::Volume> volume_ KILN_GUARDED_BY(open_mutex_);
  // The digest of block n at byte 32 n, all zeros where it is not known: memory that does not grow with the disk. What
  // an earlier process wrote there is not trusted.
  std::shared_ptr<base::File> digests_ KILN_GUARDED_BY(open_mutex_);
  blocks::DomainPtr domain_ KILN_GUARDED_BY(open_mutex_);  // null: plain
  bool closed_ KILN_GUARDED_BY(open_mutex_) = false;

  base::Mutex mutex_;
  base::Condition changed_;                                    // a put ended, the gate opened
  std::set<std::uint64_t> in_flight_ KILN_GUARDED_BY(mutex_);  // indexes of blocks that are being written
  std::vector<bool> written_ KILN_GUARDED_BY(mutex_);          // by index, as long as it has to be
  bool gated_ KILN_GUARDED_BY(mutex_) = false;                 // seal() looks at what was written
  bool ended_ KILN_GUARDED_BY(mutex_) = false;
  std::optional<std::uint64_t> sealed_ KILN_GUARDED_BY(mutex_);
  int progress_ KILN_GUARDED_BY(mutex_) = 0;
  base::Micros last_put_ KILN_GUARDED_BY(mutex_);
};

class SnapshotHeads {
 public:
  SnapshotHeads(base::Files& files, blocks::DiskSource& source, base::Clock& clock, base::Path directory);

  base::Path directory_of(const std::string& snapshot_id) const { return directory_ / snapshot_id; }
  // Made when it is not there; touches no file.
  std::shared_ptr<SnapshotHead> of(const std::string& snapshot_id);
  // When a block was last written, as far as this process knows: its own start otherwise.
  base::Micros last_put(const std::string& snapshot_id);
  // Closes it; its files stay.
  void end(const std::string& snapshot_id);
  // A head that nobody opened, because its snapshot is not being written any more. Whoever else holds it will say so.
  void forget(const std::string& snapshot_id, const std::shared_ptr<SnapshotHead>& head);

 private:
  base::Files& files_;
  blocks::DiskSource& source_;
  base::Clock& clock_;
  const base::Path directory_;
  const base::Micros began_;

  base::Mutex mutex_;
  std::map<std::string, std::shared_ptr<SnapshotHead>> heads_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::control
