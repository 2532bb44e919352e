#pragma once
// A disk that can be written: generations of 4 KiB units over a finished disk (DiskId). docs/formats/volume.md
//
//      write                      read
//        |                          |
//   +----v------+   current     +---v-------+     Files in <volumes>/<volume id>/: VOLUME, LOCK,
//   | gen 4     |               | gen 4     |     gen-N.data (sparse) and gen-N.map (a log).
//   +-----------+   sealed      | gen 3     |
//                   cut of snap | gen 2     |     A seal makes the next generation take the writes: its price
//                   waiting for | base disk |     does not depend on the size of the disk.
//                   its upload  +-----------+
//
// Owned by whoever serves it (VolumeTable); it holds a flock on LOCK from open() to close(). All calls are thread-safe
// and may wait for the disk. Overlapping writes run one after the other; reads run beside writes.
//
// After a crash of the process every acknowledged write is there. After a crash of the host every write that a flush
// covered, or that was FUA, is there; of any later one each 512-byte sector is as before or as written. A cut is there
// as a whole or not at all. After a failed sync the volume is failed: writes and flushes are refused, reads go on,
// until it is opened again. Errors: no_space leaves the volume as it was; corrupt and io on reads concern that read
// alone.
//
// Of an encrypted volume no plaintext is written to a file (docs/decisions/encryption.md).
//
// Locks: meta_mutex_ serialises what replaces VOLUME, is held across disk calls and taken before mutex_ (those of
// several volumes in the order of their ids); mutex_ guards memory only and is never held across a call.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "blocks/chunk_memo.h"
#include "blocks/disk_source.h"
#include "blocks/generation.h"
#include "blocks/volume_file.h"
#include "blocks/volume_service.h"

namespace kiln::blocks {

struct NewVolume {
  std::string volume;
  std::uint64_t size_bytes = 0;  // a multiple of 512, not smaller than base
  DiskId base;
  std::uint64_t epoch = 0;
  DomainId domain = {};       // whose keys what is written is encrypted with
  DomainId base_domain = {};  // and the base
};

struct VolumeOptions {
  std::uint64_t epoch = 0;
  std::chrono::milliseconds drain_limit{2000};   // how long a seal waits for the writes in flight
  std::uint64_t checkpoint_log_bytes = 8 << 20;  // open() rewrites a log longer than this and than its content needs
  // Who opens it knows that a sync may have failed in this boot, and that the disk is whole again: the volume takes
  // writes. Otherwise one that failed stays failed when its process is started again.
  bool mended = true;
};

constexpr std::size_t max_pending_cuts = 5;  // reads look at no more than 1 + 5 generations

enum class Fua { no, yes };  // force unit access: durable before the call returns

struct VolumeExtent {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool zero = false;  // a hole that reads as zeros; otherwise there may be data
};

class Volume {
 public:
  // Makes the directory and its files, durably. Finding that the same volume is there already is success.
  static base::Status create(base::Files& files, const base::Path& directory, const NewVolume& what);
  // busy: somebody else has it open. fenced: VOLUME has a higher epoch. A higher epoch is written down. no_key: the
  // source does not have the keys of its domain.
  static base::Result<std::unique_ptr<Volume>> open(base::Files& files, const base::Path& directory, DiskSource& source,
                                                    const VolumeOptions& options);
  // busy while it is open. Nothing there is success.
  static base::Status remove(base::Files& files, const base::Path& directory);

  ~Volume();
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  const std::string& name() const { return name_; }
  std::uint64_t size_bytes();
  DiskId base();
  std::uint64_t epoch();
  VolumeStats stats();

  base::Status read(std::uint64_t offset, std::span<std::byte> out);
  base::Status write(std::uint64_t offset, std::span<const std::byte> bytes, Fua fua);
  base::Status zero(base::Extent range, Fua fua);  // reads as zeros afterwards
  base::Status trim(base::Extent range, Fua fua);  // whole units read as zeros afterwards, ragged edges stay
  base::Status flush();
  base::Status prefetch(base::Extent range);  // brings chunks of the base disk into the source's cache
  // What is where, starting at range.offset, contiguous, clamped to range; may stop early but covers something.
  base::Result<std::vector<VolumeExtent>> extents(base::Extent range);
  // The chunks of the base disk that were read first since this was opened.
  LaunchTouches launch_touches() { return touches_.touches(); }
  // Indexes of the chunks in which something was written, zeroed or trimmed since base(); ascending. Writes wait.
  std::vector<std::uint64_t> touched_chunks();

  base::Status grow(std::uint64_t size_bytes);    // durable; the size it has is success, a smaller one is invalid
  base::Status raise_epoch(std::uint64_t epoch);  // fenced when it is lower than the volume's

  // Makes the files of the next cut ahead of it, so that seal() waits for no disk. seal() does it where nobody did.
  base::Status prepare_cut();
  struct Cut {
    Volume* volume = nullptr;
    std::string snapshot;
  };
  // Cuts all of them at one point in time and answers; finish_seal() of each makes it durable (a flush does that too).
  static base::Result<std::vector<SealedVolume>> seal(std::span<const Cut> cuts) KILN_NOT_ANALYSED;
  base::Status finish_seal();
  // Success when the cut is durable; not_found when there is none, as after a host crash that lost it.
  base::Status sealed(const std::string& snapshot);
  base::Status unseal(const std::string& snapshot);
  base::Status rebase(std::uint64_t generation, const DiskId& base);

  // Drains what is in flight, flushes, and gives the lock back. Later calls are refused. Asking again is success.
  base::Status close();

 private:
  class InFlight;
  struct Piece;

  Volume(base::Files& files, base::Path directory, DiskSource& source, const VolumeOptions& options, VolumeFile file,
         std::unique_ptr<base::File> lock);
  base::Status load();
  base::Status checkpoint(std::shared_ptr<Generation>& generation) KILN_REQUIRES(meta_mutex_);
  void remove_strays() KILN_REQUIRES(meta_mutex_);

  base::Status check_range(base::Extent range, bool writing);
  base::Status admits(base::Extent range, bool writing) KILN_REQUIRES(mutex_);
  Piece piece(std::uint64_t offset, std::uint64_t end) KILN_REQUIRES(mutex_);
  std::vector<Piece> pieces(base::Extent range) KILN_REQUIRES(mutex_);
  base::Status read_pieces(std::span<const Piece> pieces, std::uint64_t offset, std::span<std::byte> out);
  base::Result<ChunkMemo::Known> base_chunk(const DiskId& base, std::uint64_t chunk_index);
  base::Status read_base(const DiskId& base, std::uint64_t offset, std::span<std::byte> out);
  base::Status write_units(Generation& generation, std::uint64_t offset, std::span<const std::byte> bytes);
  base::Status zero_units(Generation& generation, UnitRange range);
  base::Status zero_range(Generation& generation, base::Extent range);
  base::Status make_durable();
  base::Status fail(const base::Error& error);

  base::Status replace_file(VolumeFile file) KILN_REQUIRES(meta_mutex_);
  base::Status prepare_next() KILN_REQUIRES(meta_mutex_);
  base::Result<std::vector<GenerationEntry>> drop_generations(std::uint64_t generation, const DiskId& base);
  base::Status finish_seal_locked() KILN_REQUIRES(meta_mutex_);
  base::Status drain(std::chrono::steady_clock::time_point deadline);
  void open_gate();
  SealedVolume switch_generation(const std::string& snapshot) KILN_REQUIRES(meta_mutex_);
  const GenerationEntry* cut_named(const std::string& snapshot) KILN_REQUIRES(meta_mutex_);
  static base::Status cut_now(std::span<const Cut> cuts, std::vector<SealedVolume>& made) KILN_NOT_ANALYSED;

  base::Files& files_;
  const base::Path directory_;
  DiskSource& source_;
  const VolumeOptions options_;
  const std::string name_;
  ChunkMemo base_chunks_;
  TouchRecorder touches_;

  base::Mutex meta_mutex_;
  VolumeFile file_ KILN_GUARDED_BY(meta_mutex_);
  std::shared_ptr<Generation> next_ KILN_GUARDED_BY(meta_mutex_);

  base::Mutex mutex_;
  base::Condition changed_;                                                  // a range was left, the gate opened
  std::vector<std::shared_ptr<Generation>> layers_ KILN_GUARDED_BY(mutex_);  // newest first; the first takes writes
  DiskId base_ KILN_GUARDED_BY(mutex_);
  std::uint64_t size_bytes_ KILN_GUARDED_BY(mutex_);
  std::vector<UnitRange> in_flight_ KILN_GUARDED_BY(mutex_);
  std::string pending_snapshot_ KILN_GUARDED_BY(mutex_);  // the cut that layers_[1] ends and that is not durable yet
  std::uint64_t pending_size_ KILN_GUARDED_BY(mutex_) = 0;
  bool gated_ KILN_GUARDED_BY(mutex_) = false;
  bool closed_ KILN_GUARDED_BY(mutex_) = false;
  std::string failure_ KILN_GUARDED_BY(mutex_);  // not empty: failed
  std::unique_ptr<base::File> lock_ KILN_GUARDED_BY(mutex_);

  std::atomic<std::uint64_t> reads_ = 0, writes_ = 0, flushes_ = 0, read_bytes_ = 0, written_bytes_ = 0;
};

}  // namespace kiln::blocks
