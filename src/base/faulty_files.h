#pragma once
// A disk in memory that fails on demand: for tests of what must hold when the power goes, the disk fills or a sync
// fails.
//
// It is a fake Files with the guarantees of a journaling Linux file system and none besides:
//   * a write reaches the disk at sync_data() of its file, or at any moment before, sector (512 bytes) by sector;
//   * a name reaches the disk at sync_directory(), or earlier; the names of one directory in the order of their
//   changes;
//   * a crash of the process loses nothing that a call did; a power cut loses any part of what was not synced.
// Calls that change something are numbered from 1, so a test kills at 1, 2, 3 ... until nothing is left to kill.
// Owned by a test; thread-safe. Files that were open at a crash fail every call, as they belong to a process that
// ended.

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"

namespace kiln::base {

class FaultyFiles final : public Files {
 public:
  explicit FaultyFiles(std::uint64_t seed = 1);
  ~FaultyFiles() override;

  enum class Crash { process, power };
  // From the nth changing call from here on (1: the very next) every call fails, as if the process had ended before it.
  void die_before(std::uint64_t nth);
  bool died();
  // What is there after the crash, for a process that starts anew. A power cut changes the boot id.
  void restart(Crash crash);

  // The nth changing call from here on fails once with this errno, and does nothing.
  void fail_call(std::uint64_t nth, int error_number);
  // Every sync_data() of a file whose path ends in suffix fails with EIO; what it should have written stays unsynced.
  void fail_syncs(std::string suffix);
  void repair_syncs();
  // Writes that would allocate more than this in all fail with ENOSPC. 0: no limit.
  void set_capacity(std::uint64_t capacity_bytes);
  std::uint64_t used_bytes();
  std::uint64_t changing_calls();  // so far
  std::uint64_t syncs();           // sync_data() calls so far

  Result<std::unique_ptr<File>> open(const Path& path, Open how) override;
  Status rename(const Path& from, const Path& to) override;
  Status remove(const Path& path) override;
  Status make_directories(const Path& path) override;
  Status sync_directory(const Path& path) override;
  Result<std::vector<std::string>> list(const Path& directory) override;
  Result<bool> exists(const Path& path) override;
  Result<std::string> boot_id() override;

 private:
  class Handle;
  struct Inode;
  struct NameChange;
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  Status begin_change(const std::string& what) KILN_REQUIRES(mutex_);
  Status begin_look(const std::string& what) KILN_REQUIRES(mutex_);
  void change_name(const std::string& path, std::shared_ptr<Inode> inode) KILN_REQUIRES(mutex_);
  void cut_power() KILN_REQUIRES(mutex_);
  std::uint64_t used_locked() KILN_REQUIRES(mutex_);

  Mutex mutex_;
  std::mt19937_64 random_ KILN_GUARDED_BY(mutex_);
  Names names_ KILN_GUARDED_BY(mutex_);                                              // as the running process sees them
  Names durable_ KILN_GUARDED_BY(mutex_);                                            // as they are on the disk
  std::map<std::string, std::vector<NameChange>> unsynced_ KILN_GUARDED_BY(mutex_);  // by directory, oldest first
  std::uint64_t life_ KILN_GUARDED_BY(mutex_) = 1;  // handles of an earlier life are dead
  std::uint64_t calls_ KILN_GUARDED_BY(mutex_) = 0;
  std::uint64_t syncs_ KILN_GUARDED_BY(mutex_) = 0;
  std::uint64_t die_at_ KILN_GUARDED_BY(mutex_) = 0;
  std::uint64_t fail_at_ KILN_GUARDED_BY(mutex_) = 0;
  int fail_errno_ KILN_GUARDED_BY(mutex_) = 0;
  std::string failing_syncs_ KILN_GUARDED_BY(mutex_);
  std::uint64_t capacity_ KILN_GUARDED_BY(mutex_) = 0;
  std::uint64_t boot_ KILN_GUARDED_BY(mutex_) = 1;
  bool dead_ KILN_GUARDED_BY(mutex_) = false;
};

}  // namespace kiln::base
