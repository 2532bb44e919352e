#include "blocks/ingest.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <system_error>
#include <utility>

#include "blocks/ingest_session.h"
#include "blocks/unit_map.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Lock;
using base::Result;
using base::Status;

// How many bytes of the start are left when the zeros at the end are dropped.
std::size_t bytes_before_zeros(std::span<const std::byte> bytes) {
  if (is_zero(bytes)) return 0;
  auto end = bytes.size();
  while (bytes[end - 1] == std::byte{}) --end;
  return end;
}

}  // namespace

unsigned ingest_threads() { return std::thread::hardware_concurrency() + 1; }

Ingest::Session::Session(Store& store, IngestOptions options)
    : store_(store),
      options_(std::move(options)),
      bases_(
          store, [this](const PackId& pack) { return usable(pack); }, options_.base_cache_bytes, options_.domain.get()),
      tree_(store, options_.parent ? options_.parent->root : NodeId{}) {
  try {
    for (unsigned i = 0; i < options_.threads; ++i) workers_.emplace_back([this] { run_worker(); });
  } catch (const std::system_error&) {
    // The system grants no more threads: those that there are do it, or put() itself does.
  }
}

Ingest::Session::~Session() { abandon(); }

Status Ingest::Session::put(std::uint64_t chunk_index, std::span<const std::byte> bytes) {
  if (chunk_index >= max_disk_chunks)
    return Error(Fault::invalid, "block " + std::to_string(chunk_index) + " is past 64 TiB");
  if (bytes.size() > chunk_bytes) return Error(Fault::invalid, "a block of " + std::to_string(bytes.size()) + " bytes");
  const auto used = bytes_before_zeros(bytes);
  if (used == 0) return put_zero(chunk_index);
  auto whole = std::make_shared<Bytes>();
  whole->reserve(chunk_bytes);
  base::append(*whole, bytes.first(used));
  whole->resize(chunk_bytes);
  return put(Job{.chunk_index = chunk_index, .bytes = std::move(whole)}, bytes.size(), used);
}

Status Ingest::Session::put(std::uint64_t chunk_index, ChunkBytes chunk, const std::optional<Digest>& sha256) {
  if (chunk_index >= max_disk_chunks)
    return Error(Fault::invalid, "block " + std::to_string(chunk_index) + " is past 64 TiB");
  if (chunk->size() != chunk_bytes)
    return Error(Fault::invalid, "a block of " + std::to_string(chunk->size()) + " bytes");
  const auto used = bytes_before_zeros(*chunk);
  if (used == 0) return put_zero(chunk_index);
  return put(Job{.chunk_index = chunk_index, .bytes = std::move(chunk), .sha256 = sha256}, chunk_bytes, used);
}

Status Ingest::Session::put(Job job, std::size_t given_bytes, std::size_t used_bytes) {
  {
    Lock lock(mutex_);
    room_.wait(mutex_, [&]() KILN_REQUIRES(mutex_) {
      return queue_.size() < 2 * workers_.size() + 1 || failure_ || finished_;
    });
    if (failure_) return *failure_;
    if (finished_) return Error(Fault::invalid, "the session is finished");
    job.sequence = ++next_sequence_;
    latest_[job.chunk_index] = job.sequence;
    progress_.bytes_seen += given_bytes;
    data_end_ = std::max(data_end_, job.chunk_index * chunk_bytes + used_bytes);
    if (!workers_.empty()) {
      queue_.push_back(std::move(job));
      work_.notify_one();
      return {};
    }
  }
  RecordEncoder encoder(store_.keys());
  run(job, encoder);
  return failure();
}

Status Ingest::Session::put_zero(std::uint64_t chunk_index) {
  if (chunk_index >= max_disk_chunks)
    return Error(Fault::invalid, "block " + std::to_string(chunk_index) + " is past 64 TiB");
  Lock lock(mutex_);
  if (failure_) return *failure_;
  if (finished_) return Error(Fault::invalid, "the session is finished");
  latest_.erase(chunk_index);
  tree_.set(chunk_index, {});
  progress_.bytes_seen += chunk_bytes;
  progress_.zero_bytes += chunk_bytes;
  return {};
}

void Ingest::Session::run_worker() {
  try {
    RecordEncoder encoder(store_.keys());
    for (;;) {
      Job job;
      {
        Lock lock(mutex_);
        work_.wait(mutex_, [&]() KILN_REQUIRES(mutex_) { return !queue_.empty() || stopping_; });
        if (queue_.empty()) return;
        job = std::move(queue_.front());
        queue_.pop_front();
        ++running_;
      }
      room_.notify_all();
      run(job, encoder);
      {
        Lock lock(mutex_);
        --running_;
      }
      room_.notify_all();
    }
  } catch (const std::bad_alloc&) {
    static_cast<void>(fail(Error(Fault::io, "out of memory")));
  }
}

void Ingest::Session::run(const Job& job, RecordEncoder& encoder) {
  {
    Lock lock(mutex_);
    if (failure_) return;
  }
  const auto* domain = options_.domain.get();
  const auto plain =
      job.sha256 ? Plaintext(*job.bytes, *job.sha256, domain) : Plaintext(RecordKind::chunk, *job.bytes, domain);
  if (const auto stored = resolve(plain, job.bytes, encoder); !stored) {
    static_cast<void>(fail(stored.error().in("block " + std::to_string(job.chunk_index))));
    return;
  }
  Lock lock(mutex_);
  const auto latest = latest_.find(job.chunk_index);
  if (latest == latest_.end() || latest->second != job.sequence) return;
  latest_.erase(latest);
  tree_.set(job.chunk_index, plain.id);
}

Status Ingest::Session::resolve(const Plaintext& plain, const ChunkBytes& chunk, RecordEncoder& encoder) {
  const auto& [kind, bytes, sum, domain, id] = plain;
  const auto count_duplicate = [this, &plain]() KILN_REQUIRES(mutex_) {
    if (plain.kind == RecordKind::chunk) progress_.deduplicated_bytes += plain.bytes.size();
  };
  {
    Lock lock(mutex_);
    if (!known_.try_emplace(id, Known{.kind = kind, .pack = {}}).second) {
      count_duplicate();
      return {};
    }
  }
  const auto places = store_.locations(id);
  if (!places) return places.error();
  const auto copy = usable_copy(id, kind, *places);
  if (!copy) return copy.error();
  if (*copy) {
    Lock lock(mutex_);
    known_[id].pack = **copy;
    count_duplicate();
    return {};
  }
  auto encoded =
      kind == RecordKind::node ? encode(plain, encoder) : encode_chunk(plain, chunk, places->empty(), encoder);
  if (!encoded) return encoded.error();
  KILN_TRY(append(kind, id, *std::move(encoded)));
  Lock lock(mutex_);
  if (kind == RecordKind::chunk) progress_.new_bytes += bytes.size();
  if (kind == RecordKind::node) ++progress_.nodes_written;
  return {};
}

Result<Ingest::Session::Encoded> Ingest::Session::encode(const Plaintext& plain, RecordEncoder& encoder) {
  auto record = encoder.encode(plain);
  if (!record) return record.error();
  return Encoded{.record = *std::move(record), .features = {}};
}

Result<Ingest::Session::Encoded> Ingest::Session::encode_chunk(const Plaintext& plain, const ChunkBytes& chunk,
                                                               bool with_bases, RecordEncoder& encoder) {
  Encoded made;
  const auto units = units_of(plain.bytes);
  FoundBases found{.map = units.map, .bases = {}};
  if (with_bases && options_.base_cache_bytes > 0) found = bases_.find(plain.bytes, units);
  std::vector<Digest> base_ids;
  for (const auto& base : found.bases) base_ids.push_back(base->id);
  made.features = features_of(units, found.map, options_.domain.get());
  HeldBases held(found.bases);
  auto record = encoder.encode_chunk(plain, found.map, base_ids, &held);
  if (!record) return record.error();
  made.record = *std::move(record);
  if (options_.base_cache_bytes > 0) bases_.remember(plain.id, chunk, units, found.map);
  Lock lock(mutex_);
  for (const auto& base : found.bases) {
    if (base->pack) foreign_bases_.emplace(base->id, *base->pack);
  }
  for (const auto& source : found.map) {
    progress_.referenced_bytes += source.kind == UnitSource::Kind::base ? unit_bytes : 0;
  }
  return made;
}

Result<std::optional<PackId>> Ingest::Session::usable_copy(const Digest& id, RecordKind kind,
                                                           std::span<const Location> places) {
  for (const auto& place : places) {
    if (place.kind != kind || store_.bad_records().contains(place)) continue;
    const auto may = usable(place.pack);
    if (!may) return may.error();
    if (!*may) continue;
    const auto whole = bases_usable(id, place);
    if (!whole) return whole.error();
    if (*whole) return std::optional(place.pack);
  }
  return std::optional<PackId>{};
}

// A copy that refers to bases may be shared when every copy of them may: which one it relies on is not known, and one
// that nothing else keeps may be about to go. One that was copied elsewhere as it is may go.
Result<bool> Ingest::Session::bases_usable(const Digest& id, const Location& place) {
  if (place.bases == 0) return true;
  const auto stored = store_.record_at(place, id);
  if (!stored) return stored.error().fault() == Fault::io ? Result<bool>(stored.error()) : Result<bool>(false);
  const auto record = parse_record(*stored);
  if (!record) return false;
  std::vector<std::pair<Digest, PackId>> kept;
  for (const auto& base_id : record->header.bases) {
    const auto copies = store_.locations(base_id);
    if (!copies) return copies.error();
    std::vector<Location> fine, going;
    for (const auto& copy : *copies) {
      if (store_.bad_records().contains(copy)) continue;
      const auto may = usable(copy.pack);
      if (!may) return may.error();
      (*may ? fine : going).push_back(copy);
    }
    if (fine.empty()) return false;
    for (const auto& copy : going) {
      if (!is_among(base_id, copy, fine)) return false;
    }
    for (const auto& copy : fine) kept.emplace_back(base_id, copy.pack);
  }
  Lock lock(mutex_);
  foreign_bases_.insert(kept.begin(), kept.end());
  return true;
}

// Whether the same record lies at one of the other places.
bool Ingest::Session::is_among(const Digest& id, const Location& place, std::span<const Location> others) {
  const auto stored = store_.record_at(place, id);
  return stored && std::ranges::any_of(others, [&](const Location& other) {
           if (other.length != place.length) return false;
           const auto copy = store_.record_at(other, id);
           return copy && *copy == *stored;
         });
}

Result<bool> Ingest::Session::usable(const PackId& pack) {
  if (!options_.usable) return true;
  {
    Lock lock(mutex_);
    if (const auto asked = usable_.find(pack); asked != usable_.end()) return asked->second;
  }
  const bool answer = options_.usable(pack);
  Lock lock(mutex_);
  usable_[pack] = answer;
  return answer;
}

Status Ingest::Session::append(RecordKind kind, const Digest& id, Encoded encoded) {
  std::unique_ptr<PackWriter> full;
  {
    Lock lock(mutex_);
    auto& writer = kind == RecordKind::node ? node_pack_ : data_pack_;
    if (writer && !writer->fits(encoded.record, encoded.features.size())) full = std::move(writer);
    if (!writer) {
      const PackHeader header{
          .id = store_.new_pack_id(),
          .kind = kind == RecordKind::node ? PackKind::nodes : PackKind::data,
          .domain = options_.domain && kind == RecordKind::chunk ? options_.domain->id() : DomainId{},
          .epoch = options_.epoch};
      writer = std::make_unique<PackWriter>(header, std::exchange(pack_memory_, {}));
    }
    writer->add(id, encoded.record, std::move(encoded.features));
  }
  return full ? write_pack(std::move(full)) : Status{};
}

Status Ingest::Session::write_pack(std::unique_ptr<PackWriter> pack) {
  auto written = std::move(*pack).finish();
  const auto& header = written.contents.header;
  {
    Lock lock(mutex_);
    packs_begun_.push_back(header.id);
  }
  if (options_.before_pack) KILN_TRY(options_.before_pack(header.id, header.kind));
  KILN_TRY(store_.publish(written));
  Lock lock(mutex_);
  progress_.stored_bytes += written.bytes.size();
  packs_written_.push_back({.id = header.id,
                            .kind = header.kind,
                            .bytes = written.bytes.size(),
                            .records = static_cast<std::uint32_t>(written.contents.entries.size())});
  if (written.bytes.capacity() > pack_memory_.capacity()) pack_memory_ = std::move(written.bytes);
  return {};
}

Status Ingest::Session::flush() {
  for (auto* writer : {&data_pack_, &node_pack_}) {
    std::unique_ptr<PackWriter> pack;
    {
      Lock lock(mutex_);
      pack = std::move(*writer);
    }
    if (pack) KILN_TRY(write_pack(std::move(pack)));
  }
  return {};
}

// Waits for all that was put. The wait ends because every job ends: each is a bounded amount of work on local files.
Status Ingest::Session::drain() {
  Lock lock(mutex_);
  room_.wait(mutex_, [&]() KILN_REQUIRES(mutex_) { return (queue_.empty() && running_ == 0) || failure_; });
  if (failure_) return *failure_;
  return {};
}

Status Ingest::Session::check_size(std::uint64_t size_bytes) {
  const auto invalid = [&](const std::string& why) {
    return Error(Fault::invalid, "a disk of " + std::to_string(size_bytes) + " bytes: " + why);
  };
  if (size_bytes == 0 || size_bytes > max_disk_bytes || size_bytes % 512 != 0) {
    return invalid("a size is a multiple of 512 and at most 64 TiB");
  }
  if (options_.parent && size_bytes < options_.parent->size_bytes) {
    return invalid("its parent is longer, " + std::to_string(options_.parent->size_bytes));
  }
  Lock lock(mutex_);
  if (data_end_ > size_bytes) return invalid("data was put up to " + std::to_string(data_end_));
  return {};
}

Result<Ingested> Ingest::Session::finish(std::uint64_t size_bytes) {
  KILN_TRY(drain());
  {
    Lock lock(mutex_);
    if (finished_) return Error(Fault::invalid, "the session is finished");
  }
  KILN_TRY(check_size(size_bytes));
  stop();
  RecordEncoder encoder;
  const auto root = tree_.finish([&](const NodeId& id, const Node& node) -> Status {
    const auto encoded = encode_node(node);
    assert(base::sha256(encoded) == id);
    return resolve(Plaintext(RecordKind::node, encoded), nullptr, encoder);
  });
  if (!root) return fail(root.error());
  if (const auto flushed = flush(); !flushed) return fail(flushed.error());
  Lock lock(mutex_);
  finished_ = DiskId{.root = *root, .size_bytes = size_bytes};
  return result();
}

Result<Ingested> Ingest::Session::again() {
  std::vector<std::pair<Digest, Known>> foreign;
  std::set<std::pair<Digest, PackId>> bases;
  {
    Lock lock(mutex_);
    if (failure_) return *failure_;
    if (!finished_) return Error(Fault::invalid, "the session is not finished");
    usable_.clear();
    for (const auto& [id, known] : known_) {
      if (known.pack) foreign.emplace_back(id, known);
    }
    bases.swap(foreign_bases_);
  }
  for (const auto& [id, pack] : bases) {
    if (const auto kept = copy_base(id, pack); !kept) return fail(kept.error());
  }
  RecordEncoder encoder(store_.keys());
  for (const auto& [id, known] : foreign) {
    const auto stays = usable(*known.pack);
    if (!stays) return fail(stays.error());
    if (*stays) continue;
    auto read = read_again(id, known.kind);
    if (!read) return fail(read.error());
    const auto plain = std::make_shared<const Bytes>(*std::move(read));
    {
      Lock lock(mutex_);
      known_.erase(id);
    }
    // As a base it may have been copied a moment ago.
    if (const auto begun = begin_another_pack_if_holding(id); !begun) return fail(begun.error());
    const auto* domain = known.kind == RecordKind::chunk ? options_.domain.get() : nullptr;
    const Plaintext again(known.kind, *plain, domain);
    if (const auto kept = resolve(again, plain, encoder); !kept) return fail(kept.error());
  }
  if (const auto flushed = flush(); !flushed) return fail(flushed.error());
  Lock lock(mutex_);
  return result();
}

// A pack holds an id once.
Status Ingest::Session::begin_another_pack_if_holding(const Digest& id) {
  std::unique_ptr<PackWriter> full;
  {
    Lock lock(mutex_);
    if (data_pack_ && data_pack_->holds(id)) full = std::move(data_pack_);
  }
  return full ? write_pack(std::move(full)) : Status{};
}

// Keeps a copy of a base that others may not rely on any more: in its pack when that stays, else in one of ours.
Status Ingest::Session::copy_base(const Digest& id, const PackId& pack) {
  const auto stays = usable(pack);
  if (!stays) return stays.error();
  if (*stays) {
    Lock lock(mutex_);
    foreign_bases_.emplace(id, pack);
    return {};
  }
  const auto places = store_.locations(id);
  if (!places) return places.error();
  for (const auto& place : *places) {
    if (place.pack != pack || place.kind != RecordKind::chunk) continue;
    auto stored = store_.record_at(place, id);
    if (!stored) return stored.error();
    KILN_TRY(begin_another_pack_if_holding(id));
    return append(RecordKind::chunk, id, {.record = *std::move(stored), .features = {}});
  }
  return Error(Fault::not_found, "base " + id.hex() + " is not in pack " + pack.text() + " any more");
}

// A condemned pack stays readable until a later mark, so what was shared with it is still there.
Result<Bytes> Ingest::Session::read_again(const Digest& id, RecordKind kind) {
  const auto places = store_.locations(id);
  if (!places) return places.error();
  Error failure(Fault::not_found, "record " + id.hex() + " is in no pack any more");
  for (const auto& place : *places) {
    if (place.kind != kind) continue;
    auto plain = store_.read_at(place, id);
    if (plain) return plain;
    failure = plain.error();
  }
  return failure;
}

Ingested Ingest::Session::result() {
  Ingested made{.disk = *finished_, .packs_written = packs_written_, .packs_referenced = {}, .stats = progress_};
  for (const auto& [id, known] : known_) {
    if (known.pack) made.packs_referenced.insert(*known.pack);
  }
  for (const auto& [id, pack] : foreign_bases_) made.packs_referenced.insert(pack);
  // A base may lie in a pack that the session itself has written meanwhile.
  for (const auto& own : packs_begun_) made.packs_referenced.erase(own);
  return made;
}

void Ingest::Session::abandon() {
  {
    Lock lock(mutex_);
    if (!finished_ && !failure_) failure_ = Error(Fault::failed, "session " + options_.session + " was abandoned");
  }
  room_.notify_all();
  stop();
}

void Ingest::Session::stop() {
  {
    Lock lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (auto& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
}

Status Ingest::Session::failure() {
  Lock lock(mutex_);
  if (failure_) return *failure_;
  return {};
}

Error Ingest::Session::fail(Error error) {
  Lock lock(mutex_);
  if (!failure_) failure_ = error.in("session " + options_.session);
  room_.notify_all();
  return *failure_;
}

IngestProgress Ingest::Session::progress() {
  Lock lock(mutex_);
  return progress_;
}

std::vector<PackId> Ingest::Session::packs_begun() {
  Lock lock(mutex_);
  return packs_begun_;
}

Ingest::Ingest(Store& store, IngestOptions options) : session_(std::make_unique<Session>(store, std::move(options))) {}
Ingest::~Ingest() = default;
Status Ingest::put(std::uint64_t chunk_index, std::span<const std::byte> bytes) {
  return session_->put(chunk_index, bytes);
}
Status Ingest::put(std::uint64_t chunk_index, ChunkBytes chunk, const std::optional<Digest>& sha256) {
  return session_->put(chunk_index, std::move(chunk), sha256);
}
Status Ingest::put_zero(std::uint64_t chunk_index) { return session_->put_zero(chunk_index); }
IngestProgress Ingest::progress() const { return session_->progress(); }
std::vector<PackId> Ingest::packs_begun() const { return session_->packs_begun(); }
Result<Ingested> Ingest::finish(std::uint64_t size_bytes) { return session_->finish(size_bytes); }
Result<Ingested> Ingest::again() { return session_->again(); }
void Ingest::abandon() { session_->abandon(); }

}  // namespace kiln::blocks
