#include "control/snapshot_heads.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace kiln::control {
namespace {

using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::string_view digests_name = "digests";
// How long a put waits for another one of the same block, which is one write and a sync that it shares, and for a
// completion, which may have to read every block: then its client tries again, and its thread is free for others.
constexpr auto most_wait_of_a_put = std::chrono::seconds(3);
// How long seal() waits for the puts in flight, and for another completion.
constexpr auto most_wait_of_a_seal = std::chrono::seconds(30);

Error ended() { return {Fault::fenced, "the writing has ended"}; }

}  // namespace

// A block that is being written: one at a time for each index, and none while the gate is closed.
class SnapshotHead::Put {
 public:
  Put(SnapshotHead& head, std::uint64_t index) : head_(head), index_(index) {
    const base::Lock lock(head.mutex_);
    const auto free = [&]() KILN_REQUIRES(head.mutex_) {
      return head.ended_ || (!head.gated_ && !head.in_flight_.contains(index));
    };
    if (!head.changed_.wait_for(head.mutex_, most_wait_of_a_put, free)) {
      admitted_ =
          Error(Fault::busy, "block " + std::to_string(index) + " is being written, or all are being completed");
    } else if (head.ended_) {
      admitted_ = ended();
    } else {
      head.in_flight_.insert(index);
    }
  }
  ~Put() {
    if (!admitted_) return;
    const base::Lock lock(head_.mutex_);
    head_.in_flight_.erase(index_);
    head_.changed_.notify_all();
  }
  Put(const Put&) = delete;
  Put& operator=(const Put&) = delete;

  const Status& admitted() const { return admitted_; }
  void done() {
    const base::Lock lock(head_.mutex_);
    if (head_.written_.size() <= index_) head_.written_.resize(index_ + 1);
    head_.written_[index_] = true;
    head_.last_put_ = head_.clock_.monotonic();
  }

 private:
  SnapshotHead& head_;
  const std::uint64_t index_;
  Status admitted_;
};

SnapshotHead::SnapshotHead(base::Files& files, blocks::DiskSource& source, base::Clock& clock, base::Path directory)
    : files_(files), source_(source), clock_(clock), directory_(std::move(directory)), last_put_(clock.monotonic()) {}

Status SnapshotHead::open(const blocks::NewVolume& what) {
  const base::Lock opening(open_mutex_);
  if (volume_) return {};
  if (closed_) return ended();
  KILN_TRY(files_.make_directories(directory_.parent_path()));
  KILN_TRY(files_.sync_directory(directory_.parent_path().parent_path()));
  KILN_TRY(blocks::Volume::create(files_, directory_, what));
  auto opened = blocks::Volume::open(files_, directory_, source_, {.epoch = what.epoch});
  if (!opened) return opened.error();
  if (!what.domain.is_plain()) {
    auto domain = source_.keys()->find(what.domain);
    if (!domain) return domain.error();
    domain_ = *std::move(domain);
  }
  // The daemon died between a cut and the rows that speak of it: the client was not answered, and may go on writing.
  if (auto undone = (*opened)->unseal(what.volume); !undone && undone.error().fault() != Fault::not_found) {
    return undone;
  }
  auto digests = files_.open(directory_ / digests_name, base::Open::create_or_open);
  if (!digests) return digests.error();
  KILN_TRY((*digests)->truncate(0));
  volume_ = std::move(*opened);
  digests_ = std::move(*digests);
  const auto touched = volume_->touched_chunks();
  const base::Lock lock(mutex_);
  written_.assign(touched.empty() ? 0 : touched.back() + 1, false);
  for (const auto index : touched) written_[index] = true;
  return {};
}

Result<std::shared_ptr<blocks::Volume>> SnapshotHead::volume() {
  const base::Lock lock(open_mutex_);
  if (closed_) return ended();
  if (!volume_) return Error(Fault::busy, directory_.string() + " is being opened again");
  return volume_;
}

// The hashes of an encrypted snapshot's blocks lie in it as ids do, masked.
std::pair<std::shared_ptr<base::File>, blocks::DomainPtr> SnapshotHead::digests_file() {
  const base::Lock lock(open_mutex_);
  return {digests_, domain_};
}

// A volume whose sync failed takes no more writes until it is opened again, which the next call does.
void SnapshotHead::give_up(const std::shared_ptr<blocks::Volume>& failed) {
  const base::Lock lock(open_mutex_);
  if (volume_ == failed) volume_.reset();
}

Status SnapshotHead::put(std::uint64_t index, std::span<const std::byte> bytes, const Digest& digest) {
  Put put(*this, index);
  if (!put.admitted()) return put.admitted();
  const auto volume = this->volume();
  if (!volume) return volume.error();
  const auto [digests, domain] = digests_file();
  const auto place = index * digest.bytes.size();
  // Unknown while the block is neither what it was nor what it will be, and after a write that failed.
  KILN_TRY(digests->write_at(place, Digest{}.bytes));
  auto written = (*volume)->write(index * blocks::chunk_bytes, bytes, blocks::Fua::yes);
  if (!written) {
    if (written.error().fault() != Fault::no_space) give_up(*volume);
    return written;
  }
  KILN_TRY(digests->write_at(place, (domain ? domain->mask(digest) : digest).bytes));
  put.done();
  return {};
}

Status SnapshotHead::close_gate() {
  const base::Lock lock(mutex_);
  const auto open = [&]() KILN_REQUIRES(mutex_) { return ended_ || !gated_; };
  if (!changed_.wait_for(mutex_, most_wait_of_a_seal, open)) return Error(Fault::busy, "it is being completed");
  if (ended_ && !sealed_) return ended();
  gated_ = true;
  if (changed_.wait_for(mutex_, most_wait_of_a_seal, [&]() KILN_REQUIRES(mutex_) { return in_flight_.empty(); }))
    return {};
  gated_ = false;
  changed_.notify_all();
  return Error(Fault::busy, std::to_string(in_flight_.size()) + " blocks are being written");
}

Result<Digest> SnapshotHead::linear_checksum(blocks::Volume& volume, const std::vector<bool>& written) {
  const auto [digests, domain] = digests_file();
  base::Sha256 all;
  base::Bytes block(blocks::chunk_bytes);
  for (std::uint64_t index = 0; index < written.size(); ++index) {
    if (!written[index]) continue;
    Digest digest;
    const auto read = digests->read_at(index * digest.bytes.size(), digest.bytes);
    if (!read) return read.error();
    if (*read != digest.bytes.size() || digest.is_null()) {
      KILN_TRY(volume.read(index * blocks::chunk_bytes, block));
      digest = base::sha256(block);
    } else if (domain) {
      digest = domain->unmask(digest);
    }
    all.add(digest.bytes);
  }
  return all.finish();
}

// The gate is closed.
Status SnapshotHead::check(blocks::Volume& volume, const Expected& expected) {
  std::vector<bool> written;
  {
    const base::Lock lock(mutex_);
    written = written_;
  }
  std::uint64_t count = 0;
  for (const bool each : written) count += each ? 1 : 0;
  if (count != expected.blocks) {
    return Error(Fault::invalid, "Blocks were written: " + std::to_string(count) + ", and not " +
                                     std::to_string(expected.blocks) + ", as the request says.");
  }
  if (!expected.linear_checksum) return {};
  const auto checksum = linear_checksum(volume, written);
  if (!checksum) return checksum.error();
  if (*checksum == *expected.linear_checksum) return {};
  return Error(Fault::invalid, "The aggregated checksum of the blocks that were written is " +
                                   base::to_base64(base::as_text(checksum->bytes)) + ", not that of the request.");
}

Result<std::uint64_t> SnapshotHead::seal(const Expected& expected) {
  const auto volume = this->volume();
  if (!volume) return volume.error();
  KILN_TRY(close_gate());
  Result<std::uint64_t> sealed = [&]() -> Result<std::uint64_t> {
    KILN_TRY(check(**volume, expected));
    const blocks::Volume::Cut cut{.volume = volume->get(), .snapshot = (*volume)->name()};
    const auto made = blocks::Volume::seal({&cut, 1});
    if (!made) return made.error();
    KILN_TRY((*volume)->sealed(cut.snapshot));
    return made->front().generation;
  }();
  const base::Lock lock(mutex_);
  gated_ = false;
  if (sealed) {
    sealed_ = *sealed;
    ended_ = true;
  }
  changed_.notify_all();
  return sealed;
}

bool SnapshotHead::advances(int progress) {
  const base::Lock lock(mutex_);
  if (progress <= progress_) return false;
  progress_ = progress;
  return true;
}

base::Micros SnapshotHead::last_put() {
  const base::Lock lock(mutex_);
  return last_put_;
}

bool SnapshotHead::is_open() {
  const base::Lock lock(open_mutex_);
  return volume_ != nullptr;
}

void SnapshotHead::close() {
  {
    const base::Lock lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  const base::Lock lock(open_mutex_);
  closed_ = true;
  if (!volume_) return;
  if (auto closed = volume_->close(); !closed) {
    base::log_warning("control", "closing {}: {}", directory_.string(), closed.error().message());
  }
  volume_.reset();
}

SnapshotHeads::SnapshotHeads(base::Files& files, blocks::DiskSource& source, base::Clock& clock, base::Path directory)
    : files_(files), source_(source), clock_(clock), directory_(std::move(directory)), began_(clock.monotonic()) {}

std::shared_ptr<SnapshotHead> SnapshotHeads::of(const std::string& snapshot_id) {
  const base::Lock lock(mutex_);
  auto& head = heads_[snapshot_id];
  if (!head) head = std::make_shared<SnapshotHead>(files_, source_, clock_, directory_of(snapshot_id));
  return head;
}

base::Micros SnapshotHeads::last_put(const std::string& snapshot_id) {
  std::shared_ptr<SnapshotHead> head;
  {
    const base::Lock lock(mutex_);
    const auto found = heads_.find(snapshot_id);
    if (found != heads_.end()) head = found->second;
  }
  return head ? head->last_put() : began_;
}

void SnapshotHeads::end(const std::string& snapshot_id) {
  std::shared_ptr<SnapshotHead> head;
  {
    const base::Lock lock(mutex_);
    const auto found = heads_.find(snapshot_id);
    if (found == heads_.end()) return;
    head = found->second;
  }
  // Before it goes from the table: another head of the same snapshot would meet the lock of this one.
  head->close();
  const base::Lock lock(mutex_);
  heads_.erase(snapshot_id);
}

void SnapshotHeads::forget(const std::string& snapshot_id, const std::shared_ptr<SnapshotHead>& head) {
  const base::Lock lock(mutex_);
  const auto found = heads_.find(snapshot_id);
  constexpr long table_and_caller = 2;
  if (found == heads_.end() || found->second != head || head.use_count() > table_and_caller) return;
  heads_.erase(found);
}

}  // namespace kiln::control
