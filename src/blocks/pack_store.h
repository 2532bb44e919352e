#pragma once
// Where packs lie: a directory here, an object store elsewhere.
//
// A pack is written once, whole, and never changed. Thread-safe; waits for the disk. After a crash a pack is there
// whole, or not there: put() returns when it is durable under its name. A name is never used again.

#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/mutex.h"
#include "blocks/pack_id.h"

namespace kiln::blocks {

// Who opens a store: the daemon writes, everybody else only reads.
enum class Access { read, write };

class PackStore {
 public:
  virtual ~PackStore() = default;
  // Fault::exists when there is such a pack.
  virtual base::Status put(const PackId& id, std::span<const std::byte> bytes) = 0;
  // Exactly out.size() bytes; not_found when there is no such pack, corrupt when it is shorter.
  virtual base::Status read(const PackId& id, std::uint64_t offset, std::span<std::byte> out) = 0;
  virtual base::Result<std::uint64_t> size(const PackId& id) = 0;
  // not_found when it is not there.
  virtual base::Status remove(const PackId& id) = 0;
  // For rebuilding the index and for people. What is alive is never decided by a listing.
  virtual base::Result<std::vector<PackId>> list() = 0;
};

// <directory>/<last two digits of the id>/<id>.pack
class DirectoryPackStore final : public PackStore {
 public:
  // With Access::write the directory is made, and temporary files that a crash left are removed.
  static base::Result<std::unique_ptr<DirectoryPackStore>> open(base::Files& files, base::Path directory,
                                                                Access access);

  base::Status put(const PackId& id, std::span<const std::byte> bytes) override;
  base::Status read(const PackId& id, std::uint64_t offset, std::span<std::byte> out) override;
  base::Result<std::uint64_t> size(const PackId& id) override;
  base::Status remove(const PackId& id) override;
  base::Result<std::vector<PackId>> list() override;

  base::Path path_of(const PackId& id) const;

 private:
  struct OpenPack {
    std::shared_ptr<base::File> file;
    std::list<PackId>::iterator use;
  };

  DirectoryPackStore(base::Files& files, base::Path directory);
  base::Status remove_temporary_files();
  base::Status make_fan_out(const base::Path& directory);
  base::Result<std::shared_ptr<base::File>> file_of(const PackId& id);

  base::Files& files_;
  const base::Path directory_;

  base::Mutex mutex_;
  std::unordered_map<PackId, OpenPack> open_ KILN_GUARDED_BY(mutex_);
  std::list<PackId> used_ KILN_GUARDED_BY(mutex_);          // the latest first
  std::set<std::string> fan_outs_ KILN_GUARDED_BY(mutex_);  // directories whose names are durable
};

}  // namespace kiln::blocks
