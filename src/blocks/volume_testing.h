#pragma once
// For tests of volumes: finished disks in memory, and disks whose every sector says who wrote it.
//
// Owned by a test. MemoryDisks is thread-safe once its disks are added.

#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "base/digest.h"
#include "base/faulty_files.h"
#include "blocks/disk_source.h"
#include "blocks/volume.h"

namespace kiln::blocks {

class MemoryDisks final : public DiskSource {
 public:
  DiskId add(const base::Bytes& content) {
    base::Sha256 root;
    std::vector<ChunkId> ids;
    bool zeros = true;
    for (std::uint64_t at = 0; at < content.size(); at += chunk_bytes) {
      base::Bytes chunk(chunk_bytes);
      const auto count = std::min<std::uint64_t>(chunk_bytes, content.size() - at);
      std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(at), count, chunk.begin());
      auto id = chunk == base::Bytes(chunk_bytes) ? ChunkId{} : base::sha256(chunk);
      if (!id.is_null()) chunks_[id] = std::make_shared<const base::Bytes>(std::move(chunk));
      zeros = zeros && id.is_null();
      root.add(id.bytes);
      ids.push_back(id);
    }
    const DiskId disk{.root = zeros ? base::Digest{} : root.finish(), .size_bytes = content.size()};
    disks_[disk.root] = std::move(ids);
    return disk;
  }
  base::Result<ChunkId> chunk_id(const DiskId& disk, std::uint64_t chunk_index) override {
    if (disk.root.is_null()) return ChunkId{};
    const auto found = disks_.find(disk.root);
    if (found == disks_.end()) return base::Error(base::Fault::not_found, "no such disk");
    return chunk_index < found->second.size() ? found->second[chunk_index] : ChunkId{};
  }
  base::Result<ChunkBytes> chunk(const ChunkId& id) override {
    const auto found = chunks_.find(id);
    if (found == chunks_.end()) return base::Error(base::Fault::corrupt, "no such chunk");
    return found->second;
  }
  Keyring* keys() override { return &keys_; }

 private:
  Keyring keys_;
  std::map<base::Digest, std::vector<ChunkId>> disks_;
  std::map<ChunkId, ChunkBytes> chunks_;
};

constexpr std::uint64_t sector_bytes = 512;

// count sectors that all say stamp; stamp 0 is zeros.
inline base::Bytes stamped(std::uint64_t stamp, std::uint64_t count) {
  base::Bytes out(count * sector_bytes);
  for (std::size_t at = 0; at < out.size(); at += sizeof stamp) std::memcpy(out.data() + at, &stamp, sizeof stamp);
  return out;
}

// What each sector of content says; a sector that is torn inside says ~0.
inline std::vector<std::uint64_t> stamps_of(std::span<const std::byte> content) {
  std::vector<std::uint64_t> stamps;
  for (std::size_t at = 0; at < content.size(); at += sector_bytes) {
    std::uint64_t stamp = 0;
    std::memcpy(&stamp, content.data() + at, sizeof stamp);
    const auto whole = stamped(stamp, 1);
    stamps.push_back(std::equal(whole.begin(), whole.end(), content.begin() + static_cast<std::ptrdiff_t>(at))
                         ? stamp
                         : ~std::uint64_t{0});
  }
  return stamps;
}

inline base::Bytes content_of(const std::vector<std::uint64_t>& stamps) {
  base::Bytes out;
  for (const auto stamp : stamps) base::append(out, stamped(stamp, 1));
  return out;
}

inline std::uint64_t seed_or(std::uint64_t otherwise) {
  const char* seed = std::getenv("KILN_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : otherwise;
}

// A directory that a power cut does not take away.
inline base::Path durable_directory(base::Files& files) {
  (void)files.make_directories("/disk/volumes");
  (void)files.sync_directory("/");
  (void)files.sync_directory("/disk");
  return "/disk/volumes";
}

inline std::string text_of(const base::Status& status) { return status.ok() ? "success" : status.error().message(); }

}  // namespace kiln::blocks
