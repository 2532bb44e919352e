#pragma once
// The change that a durable cut made, read directly from the files of a volume that somebody else may be serving.
//
// kilnd's upload job opens one per cut, oldest first, and composes each touched chunk over the same chunk of the disk
// that the cut before it became (the volume's base for the oldest). A cut consists of its sealed generation and of the
// merged ones right below it. The files stay as they are until rebase() drops them, which is the same job's last step.
// Reading needs no lock: a sealed generation is immutable. const calls are thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "blocks/disk_source.h"
#include "blocks/generation.h"

namespace kiln::blocks {

class SealedGeneration {
 public:
  // not_found when no durable cut of that name is there; no_key when keys lack its domain.
  static base::Result<SealedGeneration> open(base::Files& files, const base::Path& volume_directory,
                                             const std::string& snapshot, const Keyring* keys = nullptr);

  const std::string& volume() const { return volume_; }
  const std::string& snapshot() const { return snapshot_; }
  std::uint64_t generation() const { return generation_; }  // what rebase() is told
  std::uint64_t size_bytes() const { return size_bytes_; }  // of the disk at the cut
  // The disk below: what to compose over. Nothing stands here while an older cut waits for its own upload.
  bool is_oldest() const { return is_oldest_; }
  const DiskId& base() const { return base_; }
  // Whose keys the volume is encrypted with, and its base.
  const DomainId& domain() const { return domain_; }
  const DomainId& base_domain() const { return base_domain_; }

  // Indexes of chunks with a unit that was written or zeroed; ascending.
  std::vector<std::uint64_t> touched_chunks() const;
  // Whether compose() of that chunk looks at the parent's bytes at all.
  bool needs_parent(std::uint64_t chunk_index) const;
  // Whether all of the chunk was zeroed: what compose() would return is known without reading.
  bool is_zero(std::uint64_t chunk_index) const;
  // The chunk as it was at the cut: chunk_bytes long. parent: null stands for zeros.
  base::Result<base::Bytes> compose(std::uint64_t chunk_index, const ChunkBytes& parent) const;

 private:
  SealedGeneration() = default;
  UnitState find(std::uint64_t unit, Generation*& holder) const;

  std::string volume_;
  std::string snapshot_;
  std::uint64_t generation_ = 0;
  std::uint64_t size_bytes_ = 0;
  bool is_oldest_ = false;
  DiskId base_;
  DomainId domain_, base_domain_;
  std::vector<std::shared_ptr<Generation>> layers_;  // newest first
};

// The cuts of a volume that wait for their upload, oldest first, read from its VOLUME without its lock.
base::Result<std::vector<std::string>> waiting_cuts(base::Files& files, const base::Path& volume_directory);

}  // namespace kiln::blocks
