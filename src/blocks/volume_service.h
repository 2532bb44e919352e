#pragma once
// What is asked of whoever serves an instance's volumes: the calls of the control protocol.
//
// Two implementations: VolumeTable does it (inside the nbdkit plugin, and in the daemon when no process serves the
// volume), RemoteVolumes asks a plugin over its control socket. Thread-safe. Every call is idempotent: asked again
// after a crash or a lost answer, it finds its own earlier work and answers the same.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "blocks/boot_trace.h"
#include "blocks/disk_id.h"

namespace kiln::blocks {

struct Hello {
  std::string instance;  // what the process was started for; empty in the daemon
  std::uint32_t protocol = 1;
  std::uint32_t volume_format = 1;  // the highest format of volume files that it reads
};

struct OpenVolume {
  std::string volume;       // vol-...: also the name of its directory and of its NBD export
  std::uint64_t epoch = 0;  // refused with Fault::fenced when VOLUME has a higher one
  std::string keys;         // of an encrypted volume and its base (domains_text); in no file and no log
};

struct SealVolume {
  std::string volume;
  std::string snapshot;  // snap-...: names the cut, so that asking twice cuts once
};

// A generation that no write touches any more; its files may be read directly.
struct SealedVolume {
  std::string volume;
  std::string snapshot;
  std::uint64_t generation = 0;
};

struct RebaseVolume {
  std::string volume;
  std::uint64_t generation = 0;  // it and every older one are in base, and their files go
  DiskId base;
};

struct VolumeStats {
  std::string volume;
  std::uint64_t size_bytes = 0;
  std::uint64_t reads = 0, writes = 0, flushes = 0;
  std::uint64_t read_bytes = 0, written_bytes = 0;
  std::uint64_t generation = 0;         // the one that takes writes
  std::uint64_t oldest_generation = 0;  // equal to generation when nothing waits for an upload
  bool failed = false;
  std::string failure;
};

struct PrefetchVolume {
  std::string volume;
  std::vector<std::uint64_t> chunks;   // of its base disk, in this order; empty: all of them
  std::uint64_t bytes_per_second = 0;  // of plaintext; 0: as fast as it goes
};

class VolumeService {
 public:
  virtual ~VolumeService() = default;
  virtual base::Result<Hello> hello() = 0;
  virtual base::Status open(const OpenVolume& what) = 0;
  virtual base::Status close(const std::string& volume) = 0;
  // Cuts all the volumes at one point in time. Answers when the cut is made; sealed() says when it is durable.
  virtual base::Result<std::vector<SealedVolume>> seal(const std::vector<SealVolume>& what) = 0;
  // Waits until the cut named snapshot of volume is durable on disk; an error when it cannot become so.
  virtual base::Status sealed(const SealVolume& what) = 0;
  // The cut is given up; its generation is read through as if it had never been separate.
  virtual base::Status unseal(const SealVolume& what) = 0;
  virtual base::Status rebase(const RebaseVolume& what) = 0;
  virtual base::Status resize(const std::string& volume, std::uint64_t size_bytes) = 0;  // grows only
  virtual base::Result<std::vector<VolumeStats>> stats() = 0;
  // What was read first since the volume was opened.
  virtual base::Result<LaunchTouches> launch_touches(const std::string& volume) = 0;
  // Begins to bring chunks of the base disk near, in the background. Asked again it looks again, and finds them there.
  virtual base::Status prefetch(const PrefetchVolume& what) = 0;
};

}  // namespace kiln::blocks
