#pragma once
// One upload session: chunks in, packs and a tree out.
//
// Made by a job of the daemon, which owns it. put() may be called from several threads; finish(), again() and
// abandon() by the owner when no put() runs. Chunks are hashed, looked up, compressed and written by a few workers;
// put() waits when they fall behind. The first error is kept: every later call returns it.
//
// A chunk that is new is stored as references to similar chunks, its bases, and its own literals (base_search.h). One
// of which the index knows a copy already, though it may not be shared, is stored without bases: of every chunk that
// others refer to there is then always a copy that holds the units they saw.
//
// What the caller does around it, in this order:
//   1. the session row, and a root row of kind session for the parent, so that what the new tree inherits stays;
//   2. before_pack writes the pack's row as "uploading"; its bytes come after;
//   3. finish() returns when every pack is durable and indexed;
//   4. one transaction: every pack of packs_referenced is live, those of packs_written become live, the root is
//      inserted. When one was condemned meanwhile: roll back, call again(), and commit what that returns.
// After a crash nothing is left but packs in state "uploading", which the collector removes with Store::forget_pack().

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "blocks/disk_id.h"
#include "blocks/pack.h"
#include "blocks/store.h"

namespace kiln::blocks {

// As many as processors, and one more: now and then one of them waits for a pack to be durable.
unsigned ingest_threads();

struct IngestOptions {
  std::string session;           // for messages
  std::optional<DiskId> parent;  // what is not put is the parent's; zeros without one
  DomainPtr domain = nullptr;    // whose keys; null: none. The parent is of the same domain, and the store has it
  std::uint64_t epoch = 0;       // the catalog's, written into the packs
  unsigned threads = ingest_threads();
  // Of decoded chunks that new ones may refer to; 0: new chunks are stored whole.
  std::size_t base_cache_bytes = 64 << 20;
  // Whether chunks of a pack may be shared: it is live in the catalog, or uploading in this very session. May be asked
  // often and from several threads; answers are kept until again(). Without it every indexed pack may.
  std::function<bool(const PackId&)> usable;
  // Called from a worker before a pack is written; an error ends the session.
  std::function<base::Status(const PackId&, PackKind)> before_pack;
};

struct IngestProgress {
  std::uint64_t bytes_seen = 0;  // of all chunks put, zeros included
  std::uint64_t zero_bytes = 0;
  std::uint64_t deduplicated_bytes = 0;  // plaintext that was in the store or came before in this session
  std::uint64_t new_bytes = 0;           // plaintext that was not
  std::uint64_t referenced_bytes = 0;    // of new_bytes, what is stored as references to similar chunks
  std::uint64_t stored_bytes = 0;        // of packs written, nodes included
  std::uint64_t nodes_written = 0;
};

struct IngestedPack {
  PackId id;
  PackKind kind = PackKind::data;
  std::uint64_t bytes = 0;
  std::uint32_t records = 0;
};

struct Ingested {
  DiskId disk;
  std::vector<IngestedPack> packs_written;  // by this session, all of them, also those that again() added
  // Of others: each holds a chunk or node that the tree newly refers to, or a base of such a chunk.
  std::set<PackId> packs_referenced;
  IngestProgress stats;
};

class Ingest {
 public:
  Ingest(Store& store, IngestOptions options);
  ~Ingest();  // abandons what was not finished

  // The content of one chunk: at most chunk_bytes, continued with zeros. The last put of an index counts.
  base::Status put(std::uint64_t chunk_index, std::span<const std::byte> bytes);
  // A whole chunk, whose bytes the session shares instead of copying them; sha256 of a caller that has hashed it.
  base::Status put(std::uint64_t chunk_index, ChunkBytes chunk, const std::optional<base::Digest>& sha256);
  base::Status put_zero(std::uint64_t chunk_index);
  // The chunk of which this is the SHA-256, when the store has a copy of it that may be shared: nothing is read. false:
  // it has to be put.
  base::Result<bool> put_stored(std::uint64_t chunk_index, const base::Digest& sha256);
  // Makes durable what was put so far, in packs that may be short ones. For a session that may be ended early and be
  // taken over by another; called by the owner when no put() runs.
  base::Status write_out();

  IngestProgress progress() const;
  // The packs that have been begun so far, in whatever state.
  std::vector<PackId> packs_begun() const;

  // The disk is size_bytes long, a multiple of 512 bytes; no shorter than the parent and than what was put.
  base::Result<Ingested> finish(std::uint64_t size_bytes);
  // After finish(), when the commit found a referenced pack condemned: asks usable() again, and stores again what lies
  // in no usable pack, reading it from where it still is. Nothing has to be put again.
  base::Result<Ingested> again();
  // Stops the workers. What was written stays for the collector.
  void abandon();

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace kiln::blocks
