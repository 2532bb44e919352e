#pragma once
// The inside of Ingest: the queue, its workers, and what the session knows of ids and packs. Only ingest.cc and
// ingest_stored.cc use it.
//
// One mutex guards everything that the workers share. Hashing, compression, callbacks and the disk run without it.

#include <deque>
#include <optional>
#include <thread>
#include <unordered_map>

#include "base/mutex.h"
#include "blocks/base_search.h"
#include "blocks/ingest.h"
#include "blocks/record_encoder.h"

namespace kiln::blocks {

class Ingest::Session {
 public:
  Session(Store& store, IngestOptions options);
  ~Session();

  base::Status put(std::uint64_t chunk_index, std::span<const std::byte> bytes);
  base::Status put(std::uint64_t chunk_index, ChunkBytes chunk, const std::optional<base::Digest>& sha256);
  base::Status put_zero(std::uint64_t chunk_index);
  base::Result<bool> put_stored(std::uint64_t chunk_index, const base::Digest& sha256);
  base::Status write_out();
  base::Result<Ingested> finish(std::uint64_t size_bytes);
  base::Result<Ingested> again();
  void abandon();
  IngestProgress progress();
  std::vector<PackId> packs_begun();

 private:
  struct Job {
    std::uint64_t chunk_index = 0;
    std::uint64_t sequence = 0;
    ChunkBytes bytes;
    std::optional<base::Digest> sha256 = {};  // as who put it says
  };
  base::Status put(Job job, std::size_t given_bytes, std::size_t used_bytes);
  // Where a chunk or node that the tree may refer to lies.
  struct Known {
    RecordKind kind = RecordKind::chunk;
    std::optional<PackId> pack;  // of others; none: this session writes it
  };

  void run_worker();
  void run(const Job& job, RecordEncoder& encoder);
  // A record that is ready to be written.
  struct Encoded {
    base::Bytes record;
    std::vector<Feature> features;
  };

  // Makes sure that a record is in a usable pack or in one of this session.
  // chunk owns the plaintext, which may be kept as a base; null for a node.
  base::Status resolve(const Plaintext& plain, const ChunkBytes& chunk, RecordEncoder& encoder);
  base::Result<Encoded> encode(const Plaintext& plain, RecordEncoder& encoder);
  base::Result<Encoded> encode_chunk(const Plaintext& plain, const ChunkBytes& chunk, bool with_bases,
                                     RecordEncoder& encoder);
  base::Result<std::optional<PackId>> usable_copy(const base::Digest& id, RecordKind kind,
                                                  std::span<const Location> places);
  base::Result<bool> bases_usable(const base::Digest& id, const Location& place);
  bool is_among(const base::Digest& id, const Location& place, std::span<const Location> others);
  base::Result<bool> usable(const PackId& pack);
  base::Status append(RecordKind kind, const base::Digest& id, Encoded encoded);
  base::Status write_pack(std::unique_ptr<PackWriter> pack);
  base::Status flush();
  base::Status drain();
  base::Status check_size(std::uint64_t size_bytes);
  base::Result<base::Bytes> read_again(const base::Digest& id, RecordKind kind);
  base::Status begin_another_pack_if_holding(const base::Digest& id);
  base::Status copy_base(const base::Digest& id, const PackId& pack);
  Ingested result() KILN_REQUIRES(mutex_);
  base::Status failure();
  base::Error fail(base::Error error);
  void stop();

  Store& store_;
  const IngestOptions options_;
  BaseSearch bases_;
  std::vector<std::thread> workers_;

  base::Mutex mutex_;
  base::Condition work_;  // there is a job, or no more will come
  base::Condition room_;  // a job was taken or done
  std::deque<Job> queue_ KILN_GUARDED_BY(mutex_);
  std::size_t running_ KILN_GUARDED_BY(mutex_) = 0;
  bool stopping_ KILN_GUARDED_BY(mutex_) = false;
  std::optional<base::Error> failure_ KILN_GUARDED_BY(mutex_);
  // The latest put of each index that is still on its way: an earlier one that ends later must not win.
  std::unordered_map<std::uint64_t, std::uint64_t> latest_ KILN_GUARDED_BY(mutex_);
  std::uint64_t next_sequence_ KILN_GUARDED_BY(mutex_) = 0;
  TreeBuilder tree_;  // guarded by mutex_ until finish(), which is the owner's alone
  std::unordered_map<base::Digest, Known> known_ KILN_GUARDED_BY(mutex_);
  // The copies of bases in packs of others that records of this session, or records that it shares, rely on.
  std::set<std::pair<base::Digest, PackId>> foreign_bases_ KILN_GUARDED_BY(mutex_);
  std::unordered_map<PackId, bool> usable_ KILN_GUARDED_BY(mutex_);
  std::unique_ptr<PackWriter> data_pack_ KILN_GUARDED_BY(mutex_);
  std::unique_ptr<PackWriter> node_pack_ KILN_GUARDED_BY(mutex_);
  base::Bytes pack_memory_ KILN_GUARDED_BY(mutex_);  // of the pack that was written last, for the next one
  std::vector<PackId> packs_begun_ KILN_GUARDED_BY(mutex_);
  std::vector<IngestedPack> packs_written_ KILN_GUARDED_BY(mutex_);
  std::uint64_t data_end_ KILN_GUARDED_BY(mutex_) = 0;  // behind the last byte put that is not zero
  IngestProgress progress_ KILN_GUARDED_BY(mutex_);
  std::optional<DiskId> finished_ KILN_GUARDED_BY(mutex_);
};

}  // namespace kiln::blocks
