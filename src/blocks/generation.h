#pragma once
// One generation of a volume: a sparse file with the offsets of the disk, and the log that says which of it counts.
//
// Owned by the volume's list of layers and shared with the reads that are under way, so its files stay open until the
// last of those returns. map() is guarded by the volume's mutex; everything else is thread-safe. After a crash: what
// sync() covered is there, and of anything later each sector is as it was or as it was written.

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "blocks/data_file.h"
#include "blocks/keyring.h"
#include "blocks/map_log.h"
#include "blocks/volume_file.h"

namespace kiln::blocks {

class Generation {
 public:
  // The entry of a generation that does not exist yet.
  static GenerationEntry entry(std::uint64_t number, GenerationState state);
  // Makes the files of entry, synced; leftovers of an earlier try are written over. The directory is not synced.
  static base::Status create_files(base::Files& files, const base::Path& directory, const std::string& volume,
                                   const GenerationEntry& entry, std::uint64_t size_bytes);

  // What of the writes that no COMMIT covers may be believed: after a death of the process all of them, unless a sync
  // had failed, as the kernel may have dropped what it could not write.
  enum class Trust { as_boot_allows, commits_only };
  // For writing, by the owner of the volume's lock: recovers, durably, before it returns.
  static base::Result<std::shared_ptr<Generation>> recover(base::Files& files, const base::Path& directory,
                                                           const VolumeFile& volume, const GenerationEntry& entry,
                                                           const Keyring* keys, Trust trust = Trust::as_boot_allows);
  // For reading one that takes no more writes.
  static base::Result<std::shared_ptr<Generation>> open_finished(base::Files& files, const base::Path& directory,
                                                                 const VolumeFile& volume, const GenerationEntry& entry,
                                                                 const Keyring* keys);

  std::uint64_t number() const { return entry_.number; }
  const GenerationEntry& entry() const { return entry_; }
  DataFile& data() { return *data_; }
  GenerationMap& map() { return map_; }
  const GenerationMap& map() const { return map_; }
  // As found when opened.
  bool ends_in_seal() const { return ends_in_seal_; }
  bool had_units() const { return had_units_; }

  // Says that range has state; the bytes of data are in the file already. Not durable until sync().
  base::Status record(UnitRange range, UnitState state);
  // fdatasync(data); when records were appended since the last COMMIT also COMMIT and fdatasync(map). Calls that arrive
  // while one runs share the next. After an error nothing is known: the volume must be given up.
  base::Status sync();
  // sync, then SEAL. Nothing may be recorded afterwards; asking again is success.
  base::Status seal();
  std::uint64_t log_bytes() { return log_ ? log_->bytes() : 0; }

 private:
  Generation(GenerationEntry entry, std::unique_ptr<DataFile> data, std::unique_ptr<MapLog> log, MapReplay& replayed);
  base::Status sync_now();

  const GenerationEntry entry_;
  const std::unique_ptr<DataFile> data_;
  const std::unique_ptr<MapLog> log_;  // null when opened for reading
  GenerationMap map_;
  const bool ends_in_seal_;
  const bool had_units_;

  base::Mutex sync_mutex_;
  base::Condition sync_ended_;
  std::uint64_t arrived_ KILN_GUARDED_BY(sync_mutex_) = 0;  // calls of sync() so far
  std::uint64_t covered_ KILN_GUARDED_BY(sync_mutex_) = 0;  // of which these are answered
  bool syncing_ KILN_GUARDED_BY(sync_mutex_) = false;
  base::Status outcome_ KILN_GUARDED_BY(sync_mutex_);  // of the last one; an error stays
  std::uint64_t committed_ = 0;                        // touched only by whoever is syncing
  std::atomic<bool> sealed_ = false;
};

// Indexes of the chunks of a disk in which one of the layers has a unit that was written or zeroed; ascending. The maps
// of the layers do not change meanwhile.
std::vector<std::uint64_t> touched_chunks(std::span<const std::shared_ptr<Generation>> layers,
                                          std::uint64_t size_bytes);

}  // namespace kiln::blocks
