// Chunks that a session is told of by their ids alone, because the store may have them; and packs before their time.

#include "blocks/ingest_session.h"

namespace kiln::blocks {

using base::Error;
using base::Fault;
using base::Lock;
using base::Result;
using base::Status;

Result<bool> Ingest::Session::put_stored(std::uint64_t chunk_index, const base::Digest& sha256) {
  const auto id = options_.domain ? options_.domain->mask(sha256) : sha256;
  if (chunk_index >= max_disk_chunks)
    return Error(Fault::invalid, "block " + std::to_string(chunk_index) + " is past 64 TiB");
  bool known = false;
  {
    Lock lock(mutex_);
    if (failure_) return *failure_;
    if (finished_) return Error(Fault::invalid, "the session is finished");
    const auto found = known_.find(id);
    known = found != known_.end() && found->second.kind == RecordKind::chunk;
  }
  if (!known) {
    const auto places = store_.locations(id);
    if (!places) return places.error();
    const auto copy = usable_copy(id, RecordKind::chunk, *places);
    if (!copy) return copy.error();
    if (!*copy) return false;
    Lock lock(mutex_);
    known_.try_emplace(id, Known{.kind = RecordKind::chunk, .pack = **copy});
  }
  Lock lock(mutex_);
  latest_.erase(chunk_index);
  tree_.set(chunk_index, id);
  progress_.bytes_seen += chunk_bytes;
  progress_.deduplicated_bytes += chunk_bytes;
  // Not knowing where its zeros begin, the disk is taken to be as long as the block.
  data_end_ = std::max(data_end_, chunk_index * chunk_bytes + 1);
  return true;
}

Status Ingest::Session::write_out() {
  KILN_TRY(drain());
  if (const auto flushed = flush(); !flushed) return fail(flushed.error());
  return {};
}

Result<bool> Ingest::put_stored(std::uint64_t chunk_index, const base::Digest& sha256) {
  return session_->put_stored(chunk_index, sha256);
}
Status Ingest::write_out() { return session_->write_out(); }

}  // namespace kiln::blocks
