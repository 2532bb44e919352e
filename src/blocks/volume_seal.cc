// Cuts: seal, what makes a cut durable, and what ends it (unseal, rebase).
//
//   prepare   the next generation's files are there and VOLUME lists them: done ahead of the cut by prepare_cut()
//   gate      every volume's gate closes; changes under way end; each switches to its next generation; the gates open
//   finish    the cut generation is synced and sealed in its log, then VOLUME says so
//
// The caller of seal() is answered between gate and finish, and waits for no sync before that: a sync under a guest
// that writes may take seconds, and the cut would be as many seconds late. Until finish nothing in the generation above
// is committed, so after a crash the cut is there with all that it holds or was never made.

#include <algorithm>
#include <list>

#include "base/log.h"
#include "blocks/volume.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;

// Merged generations pile up only when cuts are given up again and again without one that is uploaded.
constexpr std::size_t max_layers = 32;

// More than finishing a cut takes: a new VOLUME, and blocks for two records of the log.
constexpr std::size_t space_of_a_cut = 64 << 10;
// As a replacement that was not finished, so the next open removes what a crash leaves.
constexpr std::string_view space_name = "VOLUME.tmp-space";

// A cut that cannot be finished for want of space would hold up the guest's flushes. The snapshot is refused instead.
Status check_space(base::Files& files, const base::Path& directory) {
  const auto file = files.open(directory / space_name, base::Open::create_or_open);
  if (!file) return file.error();
  const auto written = (*file)->write_at(0, base::Bytes(space_of_a_cut));
  KILN_TRY(files.remove(directory / space_name));
  return written;
}

}  // namespace

// Creates the generation that takes the writes after the next cut.
Status Volume::prepare_next() {
  if (next_) return {};
  auto file = file_;
  file.generations.push_back(Generation::entry(file.generations.back().number + 1, GenerationState::next));
  const auto entry = file.generations.back();
  KILN_TRY(Generation::create_files(files_, directory_, name_, entry, file.size_bytes));
  KILN_TRY(files_.sync_directory(directory_));
  KILN_TRY(replace_file(std::move(file)));
  auto opened = Generation::recover(files_, directory_, file_, entry, source_.keys());
  if (!opened) return opened.error();
  next_ = *opened;
  return {};
}

Status Volume::prepare_cut() {
  base::Lock meta(meta_mutex_);
  KILN_TRY(check_range({}, true));
  KILN_TRY(finish_seal_locked());
  return file_.generations.size() < max_layers ? prepare_next() : Status();
}

Status Volume::drain(std::chrono::steady_clock::time_point deadline) {
  base::Lock lock(mutex_);
  const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration::zero());
  if (changed_.wait_for(mutex_, left, [&]() KILN_REQUIRES(mutex_) { return in_flight_.empty(); })) return {};
  return Error(Fault::busy, name_ + ": " + std::to_string(in_flight_.size()) + " writes did not end in time");
}

void Volume::open_gate() {
  base::Lock lock(mutex_);
  gated_ = false;
  changed_.notify_all();
}

// The point in time of the cut. Its gate is closed and nothing is in flight.
SealedVolume Volume::switch_generation(const std::string& snapshot) {
  base::Lock lock(mutex_);
  const auto cut = layers_.front()->number();
  layers_.insert(layers_.begin(), std::exchange(next_, nullptr));
  pending_snapshot_ = snapshot;
  pending_size_ = size_bytes_;
  return {.volume = name_, .snapshot = snapshot, .generation = cut};
}

// The cuts' volumes are distinct and their meta mutexes are held.
Status Volume::cut_now(std::span<const Cut> cuts, std::vector<SealedVolume>& made) {
  for (const auto& cut : cuts) {
    auto& volume = *cut.volume;
    KILN_TRY(volume.check_range({}, true));
    KILN_TRY(volume.finish_seal_locked());
    const auto& generations = volume.file_.generations;
    const auto waiting = std::count_if(generations.begin(), generations.end(),
                                       [](const auto& entry) { return entry.state == GenerationState::sealed; });
    if (static_cast<std::size_t>(waiting) >= max_pending_cuts || generations.size() >= max_layers) {
      return Error(Fault::busy, volume.name_ + ": " + std::to_string(waiting) + " snapshots wait for their upload");
    }
    KILN_TRY(volume.prepare_next());
    KILN_TRY(check_space(volume.files_, volume.directory_));
  }
  for (const auto& cut : cuts) {
    base::Lock lock(cut.volume->mutex_);
    cut.volume->gated_ = true;
  }
  Status drained;
  const auto deadline = std::chrono::steady_clock::now() + cuts.front().volume->options_.drain_limit;
  for (const auto& cut : cuts) {
    if (drained) drained = cut.volume->drain(deadline);
  }
  if (drained) {
    for (const auto& cut : cuts) made.push_back(cut.volume->switch_generation(cut.snapshot));
  }
  for (const auto& cut : cuts) cut.volume->open_gate();
  return drained;
}

Result<std::vector<SealedVolume>> Volume::seal(std::span<const Cut> cuts) {
  std::vector<SealedVolume> made;
  if (cuts.empty()) return made;
  std::vector<Cut> ordered(cuts.begin(), cuts.end());
  std::sort(ordered.begin(), ordered.end(),
            [](const Cut& a, const Cut& b) { return a.volume->name_ < b.volume->name_; });
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    if (ordered[i].snapshot.empty()) return Error(Fault::invalid, "a cut needs the name of its snapshot");
    if (i > 0 && ordered[i].volume == ordered[i - 1].volume) {
      return Error(Fault::invalid, ordered[i].volume->name_ + " is named twice");
    }
  }
  std::list<base::Lock> held;
  for (const auto& cut : ordered) held.emplace_back(cut.volume->meta_mutex_);

  std::size_t there = 0;
  for (const auto& cut : ordered) there += cut.volume->cut_named(cut.snapshot) != nullptr ? 1 : 0;
  if (there == 0) {
    KILN_TRY(cut_now(ordered, made));
  } else if (there != ordered.size()) {
    return Error(Fault::failed, "a crash lost a part of this cut of several volumes: unseal the rest and cut again");
  }
  // Answered in the order that was asked.
  std::vector<SealedVolume> answer;
  for (const auto& cut : cuts) {
    const auto* entry = cut.volume->cut_named(cut.snapshot);
    answer.push_back({.volume = cut.volume->name_, .snapshot = cut.snapshot, .generation = entry->number});
  }
  return answer;
}

// The generation that snapshot's cut ends, durable or not.
const GenerationEntry* Volume::cut_named(const std::string& snapshot) {
  {
    base::Lock lock(mutex_);
    if (!pending_snapshot_.empty() && pending_snapshot_ == snapshot) return &file_.current();
  }
  return file_.sealed_as(snapshot);
}

Status Volume::finish_seal() {
  base::Lock meta(meta_mutex_);
  return finish_seal_locked();
}

Status Volume::finish_seal_locked() {
  std::shared_ptr<Generation> cut;
  VolumeFile file = file_;
  {
    base::Lock lock(mutex_);
    if (pending_snapshot_.empty()) return {};
    if (!failure_.empty()) return Error(Fault::failed, name_ + " is failed: " + failure_);
    cut = layers_[1];
    auto& sealed = file.generations[file.generations.size() - 2];
    sealed.state = GenerationState::sealed;
    sealed.snapshot = pending_snapshot_;
    sealed.size_bytes = pending_size_;
    file.generations.back().state = GenerationState::current;
  }
  if (auto sealed = cut->seal(); !sealed) return fail(sealed.error());
  KILN_TRY(replace_file(std::move(file)));
  base::Lock lock(mutex_);
  pending_snapshot_.clear();
  return {};
}

Status Volume::sealed(const std::string& snapshot) {
  base::Lock meta(meta_mutex_);
  KILN_TRY(finish_seal_locked());
  if (file_.sealed_as(snapshot) != nullptr) return {};
  return Error(Fault::not_found, name_ + " has no cut " + snapshot);
}

Status Volume::unseal(const std::string& snapshot) {
  base::Lock meta(meta_mutex_);
  KILN_TRY(check_range({}, true));
  KILN_TRY(finish_seal_locked());
  auto file = file_;
  for (auto& entry : file.generations) {
    if (entry.state != GenerationState::sealed || entry.snapshot != snapshot) continue;
    entry.state = GenerationState::merged;
    entry.snapshot.clear();
    entry.size_bytes = 0;
    return replace_file(std::move(file));
  }
  return {};
}

Status Volume::rebase(std::uint64_t generation, const DiskId& base) {
  const auto dropped = drop_generations(generation, base);
  if (!dropped) return dropped.error();
  // VOLUME does not name them any more; what cannot be removed goes when the volume is opened next. Giving back the
  // blocks of a large file takes a while, which nobody else should have to wait for.
  for (const auto& entry : *dropped) {
    auto removed = DataFile::remove(files_, directory_ / entry.data_file);
    if (removed) removed = files_.remove(directory_ / entry.map_file);
    if (!removed && removed.error().fault() != Fault::not_found) {
      base::log_warning("blocks", "{}: {}", name_, removed.error().message());
    }
  }
  return {};
}

// The generations that the base took the place of, durably; none when that was done before.
Result<std::vector<GenerationEntry>> Volume::drop_generations(std::uint64_t generation, const DiskId& base) {
  base::Lock meta(meta_mutex_);
  KILN_TRY(check_range({}, true));
  KILN_TRY(finish_seal_locked());
  auto file = file_;
  const auto found = std::find_if(file.generations.begin(), file.generations.end(),
                                  [&](const auto& entry) { return entry.number == generation; });
  std::vector<GenerationEntry> dropped;
  if (found == file.generations.end() && file.generations.front().number > generation) return dropped;
  if (found == file.generations.end() || found->state != GenerationState::sealed) {
    return Error(Fault::invalid, name_ + " has no sealed generation " + std::to_string(generation));
  }
  if (found->size_bytes != base.size_bytes) {
    return Error(Fault::invalid, name_ + ": the base has " + std::to_string(base.size_bytes) + " bytes, the cut " +
                                     std::to_string(found->size_bytes));
  }
  // The only copy of the data is about to go: the disk that takes its place must at least be there.
  if (const auto readable = source_.chunk_id(base, 0); !readable) return readable.error().in("the base of " + name_);
  dropped.assign(file.generations.begin(), found + 1);
  file.generations.erase(file.generations.begin(), found + 1);
  file.base = base;
  // A cut is stored with the volume's own keys, whatever the disk below it was.
  file.base_domain = file.domain;
  KILN_TRY(replace_file(std::move(file)));
  base::Lock lock(mutex_);
  base_ = base;
  while (layers_.back()->number() <= generation) layers_.pop_back();
  return dropped;
}

}  // namespace kiln::blocks
