#pragma once
// One generation of the chunk index: an LMDB environment with three tables (docs/formats/index.md).
//
//   chunks   id -> pack, offset, length, kind, bases    several values a key: an id may lie in several packs
//   packs    pack -> kind, records, size, epoch
//   similar  feature -> first bytes of the id           of chunks that hold a unit with that hash as a literal
//
// Owned through shared pointers by ChunkIndex. Reads are thread-safe and see the last commit; writes are made by one
// thread at a time. LMDB forbids a process to open an environment twice (the second close would drop the first one's
// locks), so a process that opens a generation again is given the same one. Each commit is synced before it returns,
// unless sync was turned off while nobody names the generation yet. Never on a network file system.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "blocks/pack.h"

struct MDB_env;

namespace kiln::blocks {

struct Location {
  PackId pack;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  RecordKind kind = RecordKind::chunk;
  std::uint8_t bases = 0;  // how many chunks the record refers to

  bool operator==(const Location&) const = default;
};

struct IndexedRecord {
  base::Digest id;
  Location location;
};

struct IndexedPack {
  PackId id;
  PackKind kind = PackKind::data;
  std::uint64_t size_bytes = 0;
  std::uint32_t records = 0;
  std::uint64_t epoch = 0;

  bool operator==(const IndexedPack&) const = default;
};

class IndexGeneration {
 public:
  // The directory exists. With Access::write the tables are made when they are missing.
  static base::Result<std::shared_ptr<IndexGeneration>> open(const base::Path& directory, Access access);
  ~IndexGeneration();
  IndexGeneration(const IndexGeneration&) = delete;
  IndexGeneration& operator=(const IndexGeneration&) = delete;

  // The name of its directory.
  const std::string& name() const { return name_; }

  base::Result<std::vector<Location>> find(const base::Digest& id) const;
  base::Result<std::vector<IndexedPack>> packs() const;
  // Reads the whole table: for a pack whose footer cannot be read.
  base::Result<std::vector<IndexedRecord>> records_in(const PackId& pack) const;
  // The chunks that hold each feature as a literal, as far as is known: a few for each, in the order of features.
  base::Result<std::vector<std::vector<base::Digest>>> similar(std::span<const Feature> features) const;

  base::Status add(const PackContents& pack);
  base::Status forget(const PackId& pack, const PackContents* contents);
  // Off while a generation is built, on again before it is named; turning it on makes everything durable.
  base::Status set_sync(bool on);

 private:
  explicit IndexGeneration(std::string name) : name_(std::move(name)) {}
  base::Status open_environment(const base::Path& directory, Access access);
  base::Result<bool> has(const PackId& pack) const;

  const std::string name_;
  MDB_env* environment_ = nullptr;
  bool writable_ = false;
  unsigned chunks_ = 0;  // table handles
  unsigned packs_ = 0;
  unsigned similar_ = 0;
};

}  // namespace kiln::blocks
