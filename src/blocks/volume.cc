#include "blocks/volume.h"

#include <algorithm>
#include <cassert>

#include "base/log.h"
#include "blocks/failure_mark.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Path;
using base::Result;
using base::Status;

constexpr std::string_view lock_name = "LOCK";

Result<std::unique_ptr<base::File>> take_lock(base::Files& files, const Path& directory) {
  auto lock = files.open(directory / lock_name, base::Open::create_or_open);
  if (!lock) return lock.error();
  if (auto locked = (*lock)->lock(); !locked) {
    return locked.error().fault() == Fault::busy
               ? Error(Fault::busy, directory.filename().string() + " is open in another process")
               : locked.error();
  }
  return std::move(*lock);
}

bool belongs_to_a_generation(const std::string& name) { return name.starts_with("gen-"); }
bool left_by_a_replace(const std::string& name) { return name.starts_with("VOLUME.tmp-"); }

}  // namespace

Status Volume::create(base::Files& files, const Path& directory, const NewVolume& what) {
  VolumeFile made;
  made.volume = what.volume;
  made.size_bytes = what.size_bytes;
  made.base = what.base;
  made.epoch = what.epoch;
  made.domain = what.domain;
  made.base_domain = what.base_domain;
  made.generations.push_back(Generation::entry(1, GenerationState::current));
  if (auto sound = made.valid(); !sound) return Error(Fault::invalid, sound.error().message());

  KILN_TRY(files.make_directories(directory));
  const auto lock = take_lock(files, directory);
  if (!lock) return lock.error();
  const auto there = files.exists(volume_file_path(directory));
  if (!there) return there.error();
  if (*there) {
    const auto found = read_volume_file(files, directory);
    if (!found) return found.error();
    if (found->volume == what.volume && found->size_bytes == what.size_bytes && found->base == what.base &&
        found->domain == what.domain) {
      // Whoever wrote it may have ended before its name was durable.
      KILN_TRY(files.sync_directory(directory));
      return files.sync_directory(directory.parent_path());
    }
    return Error(Fault::exists, what.volume + " is there already, with another size or base");
  }
  KILN_TRY(Generation::create_files(files, directory, what.volume, made.current(), what.size_bytes));
  // The directory first: a VOLUME that is there names files that are there.
  KILN_TRY(files.sync_directory(directory));
  KILN_TRY(files.sync_directory(directory.parent_path()));
  return write_volume_file(files, directory, made);
}

Status Volume::remove(base::Files& files, const Path& directory) {
  const auto there = files.exists(directory);
  if (!there) return there.error();
  if (!*there) return {};
  const auto lock = take_lock(files, directory);
  if (!lock) return lock.error();
  // VOLUME goes first, so a crash leaves a whole volume or none; what it leaves besides is removed by asking again.
  const auto gone = files.remove(volume_file_path(directory));
  if (!gone && gone.error().fault() != Fault::not_found) return gone;
  KILN_TRY(files.sync_directory(directory));
  const auto names = files.list(directory);
  if (!names) return names.error();
  for (const auto& name : *names) {
    if (name == lock_name) continue;
    // A rebase that was under way when the volume was closed may be removing files, too.
    const auto removed = files.remove(directory / name);
    if (!removed && removed.error().fault() != Fault::not_found) return removed;
  }
  KILN_TRY(files.remove(directory / lock_name));
  KILN_TRY(files.remove(directory));
  return files.sync_directory(directory.parent_path());
}

Result<std::unique_ptr<Volume>> Volume::open(base::Files& files, const Path& directory, DiskSource& source,
                                             const VolumeOptions& options) {
  const auto there = files.exists(volume_file_path(directory));
  if (!there) return there.error();
  if (!*there) return Error(Fault::not_found, "there is no volume at " + directory.string());
  auto lock = take_lock(files, directory);
  if (!lock) return lock.error();
  auto file = read_volume_file(files, directory);
  if (!file) return file.error();
  // Its writer may have ended before the name was durable, and what follows relies on this VOLUME.
  KILN_TRY(files.sync_directory(directory));
  if (file->epoch > options.epoch) {
    return Error(Fault::fenced, file->volume + " is at epoch " + std::to_string(file->epoch) + ", the caller at " +
                                    std::to_string(options.epoch));
  }
  std::unique_ptr<Volume> volume(new Volume(files, directory, source, options, std::move(*file), std::move(*lock)));
  if (auto loaded = volume->load(); !loaded) return loaded.error().in(volume->name_);
  return volume;
}

Volume::Volume(base::Files& files, Path directory, DiskSource& source, const VolumeOptions& options, VolumeFile file,
               std::unique_ptr<base::File> lock)
    : files_(files),
      directory_(std::move(directory)),
      source_(source),
      options_(options),
      name_(file.volume),
      file_(std::move(file)),
      base_(file_.base),
      size_bytes_(file_.size_bytes),
      lock_(std::move(lock)) {}

Volume::~Volume() = default;

// Opens the generations oldest first, because nothing may become durable in one before all below it is.
Status Volume::load() {
  base::Lock meta(meta_mutex_);
  remove_strays();
  const auto failed = read_failure_mark(files_, directory_);
  if (!failed) return failed.error();
  const auto trust = failed->empty() ? Generation::Trust::as_boot_allows : Generation::Trust::commits_only;
  auto file = file_;
  std::vector<std::shared_ptr<Generation>> layers;
  for (const auto& entry : file.generations) {
    const bool finished = entry.state == GenerationState::sealed || entry.state == GenerationState::merged;
    auto generation = finished ? Generation::open_finished(files_, directory_, file_, entry, source_.keys())
                               : Generation::recover(files_, directory_, file_, entry, source_.keys(), trust);
    if (!generation) return generation.error();
    if (entry.state == GenerationState::next) {
      next_ = *generation;
    } else {
      layers.insert(layers.begin(), *generation);
    }
  }
  // A cut was made whose durable end was not reached: it never was, and both generations are read as one.
  if (layers.front()->ends_in_seal() || (next_ && next_->had_units())) {
    if (!next_) return Error(Fault::corrupt, "its current generation is sealed and there is none to follow");
    file.generations.back().state = GenerationState::current;
    file.generations[file.generations.size() - 2].state = GenerationState::merged;
    layers.insert(layers.begin(), std::exchange(next_, nullptr));
  }
  file.epoch = std::max(file.epoch, options_.epoch);
  if (!(file == file_)) KILN_TRY(replace_file(file));
  if (layers.front()->log_bytes() > options_.checkpoint_log_bytes) KILN_TRY(checkpoint(layers.front()));
  if (options_.mended) KILN_TRY(remove_failure_mark(files_, directory_));
  base::Lock lock(mutex_);
  layers_ = std::move(layers);
  if (!options_.mended) failure_ = *failed;
  return {};
}

// Rewrites the log of generation as one record a run, when that makes it less than half as long.
Status Volume::checkpoint(std::shared_ptr<Generation>& generation) {
  const auto& map = generation->map();
  std::uint64_t runs = 0;
  for (std::uint64_t unit = 0; unit < map.units(); unit = map.run_end(unit, map.units())) ++runs;
  if (runs * map_record_bytes * 2 > generation->log_bytes()) return {};
  const auto boot_id = files_.boot_id();
  if (!boot_id) return boot_id.error();
  auto file = file_;
  const auto found = std::find_if(file.generations.begin(), file.generations.end(),
                                  [&](const auto& entry) { return entry.number == generation->number(); });
  const auto old_name = found->map_file;
  // Two names take turns; the one that VOLUME does not list is a stray.
  const auto plain_name = "gen-" + std::to_string(found->number) + ".map";
  found->map_file = old_name == plain_name ? "gen-" + std::to_string(found->number) + ".b.map" : plain_name;
  KILN_TRY(MapLog::create_checkpoint(files_, directory_ / found->map_file,
                                     {.volume = name_, .generation = found->number}, *boot_id, map));
  KILN_TRY(files_.sync_directory(directory_));
  const auto entry = *found;
  KILN_TRY(replace_file(std::move(file)));
  auto reopened = Generation::recover(files_, directory_, file_, entry, source_.keys());
  if (!reopened) return reopened.error();
  generation = *reopened;
  return files_.remove(directory_ / old_name);
}

// Removes files of generations that VOLUME does not name. Failing to is no harm: the next open tries again.
void Volume::remove_strays() {
  const auto names = files_.list(directory_);
  if (!names) return;
  for (const auto& name : *names) {
    const bool named = std::any_of(file_.generations.begin(), file_.generations.end(), [&](const auto& entry) {
      return DataFile::is_part(name, entry.data_file) || name == entry.map_file;
    });
    if (named || !(belongs_to_a_generation(name) || left_by_a_replace(name))) continue;
    if (auto removed = files_.remove(directory_ / name); !removed) {
      base::log_warning("blocks", "{}: {}", name_, removed.error().message());
    }
  }
}

// Makes file durable and then ours. With no space left nothing has changed; after any other failure it is not known
// which of the two is on the disk, so the volume is given up.
Status Volume::replace_file(VolumeFile file) {
  if (auto written = write_volume_file(files_, directory_, file); !written) return fail(written.error());
  file_ = std::move(file);
  return {};
}

Status Volume::fail(const Error& error) {
  if (error.fault() == Fault::no_space) return error;
  std::string why;
  {
    base::Lock lock(mutex_);
    if (!failure_.empty()) return Error(Fault::failed, name_ + " is failed: " + failure_);
    why = failure_ = error.message();
  }
  base::log_error("blocks", "{} is failed: {}", name_, why);
  if (auto marked = write_failure_mark(files_, directory_, why); !marked) {
    base::log_error("blocks", "{}: {}", name_, marked.error().message());
  }
  return Error(Fault::failed, name_ + " is failed: " + why);
}

std::uint64_t Volume::size_bytes() {
  base::Lock lock(mutex_);
  return size_bytes_;
}

DiskId Volume::base() {
  base::Lock lock(mutex_);
  return base_;
}

std::uint64_t Volume::epoch() {
  base::Lock meta(meta_mutex_);
  return file_.epoch;
}

VolumeStats Volume::stats() {
  VolumeStats stats;
  stats.volume = name_;
  stats.reads = reads_;
  stats.writes = writes_;
  stats.flushes = flushes_;
  stats.read_bytes = read_bytes_;
  stats.written_bytes = written_bytes_;
  base::Lock lock(mutex_);
  stats.size_bytes = size_bytes_;
  stats.generation = layers_.front()->number();
  stats.oldest_generation = layers_.back()->number();
  stats.failed = !failure_.empty();
  stats.failure = failure_;
  return stats;
}

Status Volume::grow(std::uint64_t size_bytes) {
  base::Lock meta(meta_mutex_);
  KILN_TRY(check_range({}, true));
  // A cut generation has no files for what is added, so it must not be opened as one that takes writes.
  KILN_TRY(finish_seal_locked());
  auto file = file_;
  if (size_bytes == file.size_bytes) return {};
  if (size_bytes < file.size_bytes) {
    return Error(Fault::invalid, name_ + " has " + std::to_string(file.size_bytes) + " bytes and cannot shrink to " +
                                     std::to_string(size_bytes));
  }
  file.size_bytes = size_bytes;
  if (auto sound = file.valid(); !sound) return Error(Fault::invalid, sound.error().message());
  std::shared_ptr<Generation> current;
  {
    base::Lock lock(mutex_);
    current = layers_.front();
  }
  // Files first: a VOLUME that says so large a disk names files that are there.
  KILN_TRY(current->data().grow(files_, size_bytes));
  if (next_) KILN_TRY(next_->data().grow(files_, size_bytes));
  KILN_TRY(files_.sync_directory(directory_));
  KILN_TRY(replace_file(std::move(file)));
  if (next_) next_->map().grow(size_bytes);
  base::Lock lock(mutex_);
  layers_.front()->map().grow(size_bytes);
  size_bytes_ = size_bytes;
  return {};
}

Status Volume::raise_epoch(std::uint64_t epoch) {
  base::Lock meta(meta_mutex_);
  if (epoch < file_.epoch) {
    return Error(Fault::fenced,
                 name_ + " is at epoch " + std::to_string(file_.epoch) + ", the caller at " + std::to_string(epoch));
  }
  if (epoch == file_.epoch) return {};
  auto file = file_;
  file.epoch = epoch;
  return replace_file(std::move(file));
}

Status Volume::close() {
  base::Lock meta(meta_mutex_);
  {
    base::Lock lock(mutex_);
    if (closed_) return {};
    gated_ = true;
  }
  if (auto drained = drain(std::chrono::steady_clock::now() + options_.drain_limit); !drained) {
    open_gate();
    return drained;
  }
  // Of a failed volume nothing may be committed any more. Otherwise what was acknowledged is in the page cache.
  Status flushed;
  std::shared_ptr<Generation> current;
  {
    base::Lock lock(mutex_);
    if (failure_.empty()) current = layers_.front();
  }
  if (current) flushed = finish_seal_locked();
  if (current && flushed) {
    if (auto synced = current->sync(); !synced) flushed = fail(synced.error());
  }
  base::Lock lock(mutex_);
  closed_ = true;
  gated_ = false;
  lock_.reset();
  changed_.notify_all();
  return flushed;
}

}  // namespace kiln::blocks
