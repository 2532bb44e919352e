#pragma once
// The append-only log of a generation: which units it holds, and up to where that is durable. docs/formats/map-log.md
//
//   header | SESSION boot 1 | DATA 8..9 | ZERO 100..199 | COMMIT through 3 | DATA 10..10 | ...      32 bytes each
//
// Every record has a sequence number and a checksum chained through all records before it and the generation's
// identity, so the log ends at its first gap, and bytes of another file or of an older tail are never taken for it.
//
// A DATA record is appended after its bytes are in the data file's page cache and before the write is acknowledged. A
// COMMIT through S is appended after a sync of the data file that began when S was the last record, so whatever a
// COMMIT covers is durable. After another boot only what is covered counts: recovery appends VOID, which takes back
// every record not covered. After a crash of the process alone the page cache still holds all of it, QEMU does not send
// acknowledged writes again, and so every record counts.
//
// Appends are ordered by one mutex that is held across the 32-byte write: that order is the meaning of the log.
// Thread-safe after replay(). A failed append leaves the log as it was.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/files.h"
#include "base/mutex.h"
#include "blocks/generation_map.h"

namespace kiln::blocks {

constexpr std::uint32_t map_log_version = 1;
constexpr std::uint64_t map_record_bytes = 32;

enum class MapRecordType : std::uint8_t { data = 1, zero = 2, commit = 3, session = 4, void_rest = 5, seal = 6 };

struct MapRecord {
  MapRecordType type = MapRecordType::data;
  std::uint64_t sequence = 0;
  std::uint64_t first = 0;   // data, zero: first unit. commit, void, seal: through. session: first half of the boot id
  std::uint64_t second = 0;  // data, zero: count of units. session: second half of the boot id
};

// Which log a file must be: the seed of its checksums.
struct MapLogName {
  std::string volume;
  std::uint64_t generation = 0;
};

// What the bytes of a log say. Pure: the fuzz target and the golden test call it.
struct MapReplay {
  GenerationMap map;
  bool any_units = false;    // a DATA or ZERO record counts
  bool sealed = false;       // the last record is SEAL
  bool same_boot = false;    // the last SESSION is of the boot that was asked for
  bool uncommitted = false;  // records after the last COMMIT's reach were applied
  std::uint64_t last_sequence = 0;
  std::uint64_t last_unit_sequence = 0;  // of the last DATA or ZERO record that counts
  std::uint64_t good_bytes = 0;          // the log ends here; what follows is torn
  std::uint64_t torn_bytes = 0;
  std::uint64_t chain = 0;
};

enum class Replay {
  committed,       // only what a COMMIT covers: a sealed generation, or its reader in another process
  as_boot_allows,  // everything when the last SESSION is of this boot, else what a COMMIT covers
};

// read(offset, out) gives bytes of the file, fewer at its end.
using ReadBytes = std::function<base::Result<std::size_t>(std::uint64_t, std::span<std::byte>)>;
base::Result<MapReplay> replay_map_log(const ReadBytes& read, const MapLogName& name, std::uint64_t size_bytes,
                                       std::string_view boot_id, Replay how);

class MapLog {
 public:
  // Writes a log with its first SESSION, synced. The directory is the caller's to sync.
  static base::Status create(base::Files& files, const base::Path& path, const MapLogName& name,
                             std::string_view boot_id);
  // A log of the units of map, all covered by a COMMIT: takes the place of one that grew long.
  static base::Status create_checkpoint(base::Files& files, const base::Path& path, const MapLogName& name,
                                        std::string_view boot_id, const GenerationMap& map);

  MapLog(std::unique_ptr<base::File> file, const MapReplay& replayed);

  base::Status append(MapRecordType type, std::uint64_t first, std::uint64_t second);
  base::Status append_session(std::string_view boot_id);
  // Removes what lies behind the last good record. Before the first append.
  base::Status cut_torn_tail();
  std::uint64_t last_unit_sequence();  // of the last DATA or ZERO record
  std::uint64_t bytes();
  base::Status sync() { return file_->sync_data(); }

 private:
  std::unique_ptr<base::File> file_;
  base::Mutex mutex_;
  std::uint64_t end_ KILN_GUARDED_BY(mutex_);
  std::uint64_t last_sequence_ KILN_GUARDED_BY(mutex_);
  std::uint64_t last_unit_sequence_ KILN_GUARDED_BY(mutex_);
  std::uint64_t chain_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
