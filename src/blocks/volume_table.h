#pragma once
// The open volumes of one process: in the nbdkit plugin those of one instance, in the daemon those that no plugin serves.
//
// Owned by its process's wiring; files and source are lent and must outlive it. Thread-safe. With a state file the set
// of open volumes outlives the process: reopen() opens them again, so a disk server that was killed and started again
// serves its guest without anybody's help. Volumes lie in <directory>/<volume id>/ and are made by Volume::create.
// A thread of the table's own makes cuts durable and prepares each volume's next one, so that seal() waits for no disk.

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/mutex.h"
#include "blocks/prefetcher.h"
#include "blocks/volume.h"
#include "blocks/volume_service.h"

namespace kiln::blocks {

class VolumeTable final : public VolumeService {
 public:
  struct Options {
    base::Path directory;        // the volumes
    std::string instance;        // for hello()
    base::Path state_file = {};  // empty: the set of open volumes is not kept
    VolumeOptions volume = {};   // its epoch is not used
  };
  VolumeTable(base::Files& files, DiskSource& source, Options options);
  ~VolumeTable() override;

  // Opens what the state file names. A volume that cannot be opened is logged and left out; busy ones are tried again
  // for a few seconds, because the kernel may still be ending the process that held them. Encrypted ones wait for an
  // open() with their keys.
  base::Status reopen();
  // The volume that an NBD export names; null when it is not open, whatever the name is.
  std::shared_ptr<Volume> find(const std::string& export_name);
  std::vector<std::string> names();
  // Flushes and closes all of them; the state file stays.
  void close_all();

  base::Result<Hello> hello() override;
  base::Status open(const OpenVolume& what) override;
  base::Status close(const std::string& volume) override;
  base::Result<std::vector<SealedVolume>> seal(const std::vector<SealVolume>& what) override;
  base::Status sealed(const SealVolume& what) override;
  base::Status unseal(const SealVolume& what) override;
  base::Status rebase(const RebaseVolume& what) override;
  base::Status resize(const std::string& volume, std::uint64_t size_bytes) override;
  base::Result<std::vector<VolumeStats>> stats() override;
  base::Result<LaunchTouches> launch_touches(const std::string& volume) override;
  base::Status prefetch(const PrefetchVolume& what) override;

 private:
  base::Result<std::shared_ptr<Volume>> get(const std::string& volume);
  base::Status write_state() KILN_REQUIRES(change_mutex_);
  void finish_in_background(std::vector<std::shared_ptr<Volume>> volumes);
  void finish_until_stopped();

  base::Files& files_;
  DiskSource& source_;
  const Options options_;
  Prefetcher prefetcher_;

  base::Mutex change_mutex_;  // one open, close or rewrite of the state file at a time; held across disk calls
  // Encrypted volumes that reopen() found in the state file, with their epochs, until open() brings their keys.
  std::map<std::string, std::uint64_t> without_keys_ KILN_GUARDED_BY(change_mutex_);
  base::Mutex mutex_;
  base::Condition work_;
  std::map<std::string, std::shared_ptr<Volume>> volumes_ KILN_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Volume>> to_finish_ KILN_GUARDED_BY(mutex_);
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
  std::thread finisher_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
