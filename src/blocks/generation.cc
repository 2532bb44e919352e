#include "blocks/generation.h"

#include <algorithm>

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;

// A crash of the process can tear only the append that was under way.
constexpr std::uint64_t most_torn_by_a_process = map_record_bytes;

Result<MapReplay> replay_file(base::File& map, const VolumeFile& volume, const GenerationEntry& entry,
                              std::string_view boot_id, Replay how) {
  auto replay = replay_map_log([&](std::uint64_t offset, std::span<std::byte> out) { return map.read_at(offset, out); },
                               {.volume = volume.volume, .generation = entry.number}, volume.size_bytes, boot_id, how);
  if (!replay) return replay.error().in(volume.volume + " " + entry.map_file);
  return replay;
}

// Null for a plain volume.
Result<std::shared_ptr<const UnitCipher>> cipher_of(const VolumeFile& volume, const GenerationEntry& entry,
                                                    const Keyring* keys) {
  if (volume.domain.is_plain()) return std::shared_ptr<const UnitCipher>();
  if (keys == nullptr) return Error(Fault::no_key, volume.volume + " is encrypted, and there are no keys");
  const auto domain = keys->find(volume.domain);
  if (!domain) return domain.error().in(volume.volume);
  return (*domain)->head(volume.volume, entry.number);
}

// A failed sync may have lost any of the writes before it, so it is never "no space, try again".
Error lost(const Error& error) { return error.fault() == Fault::no_space ? Error(Fault::io, error.message()) : error; }

}  // namespace

GenerationEntry Generation::entry(std::uint64_t number, GenerationState state) {
  GenerationEntry made;
  made.number = number;
  made.state = state;
  made.data_file = "gen-" + std::to_string(number) + ".data";
  made.map_file = "gen-" + std::to_string(number) + ".map";
  return made;
}

Status Generation::create_files(base::Files& files, const base::Path& directory, const std::string& volume,
                                const GenerationEntry& entry, std::uint64_t size_bytes) {
  auto boot_id = files.boot_id();
  if (!boot_id) return boot_id.error();
  KILN_TRY(DataFile::create(files, directory / entry.data_file, size_bytes));
  return MapLog::create(files, directory / entry.map_file, {.volume = volume, .generation = entry.number}, *boot_id);
}

Result<std::shared_ptr<Generation>> Generation::recover(base::Files& files, const base::Path& directory,
                                                        const VolumeFile& volume, const GenerationEntry& entry,
                                                        const Keyring* keys, Trust trust) {
  auto cipher = cipher_of(volume, entry, keys);
  if (!cipher) return cipher.error();
  auto boot_id = files.boot_id();
  if (!boot_id) return boot_id.error();
  auto data =
      DataFile::open(files, directory / entry.data_file, base::Open::read_write, volume.size_bytes, *std::move(cipher));
  if (!data) return data.error();
  auto map = files.open(directory / entry.map_file, base::Open::read_write);
  if (!map) return map.error();
  // No session names the empty boot, so the log is read as after another one.
  const std::string_view boot = trust == Trust::commits_only ? std::string_view() : *boot_id;
  auto replay = replay_file(**map, volume, entry, boot, Replay::as_boot_allows);
  if (!replay) return replay.error();
  if (replay->same_boot && replay->torn_bytes > most_torn_by_a_process) {
    return Error(Fault::corrupt, volume.volume + " " + entry.map_file + ": bad record at byte " +
                                     std::to_string(replay->good_bytes) + " of a log that no power cut can have torn");
  }
  auto log = std::make_unique<MapLog>(std::move(*map), *replay);
  // The bytes are durable before the COMMIT that covers them, and everything is before the first read is answered: what
  // a guest has read once must not change with the next crash.
  KILN_TRY((*data)->sync());
  if (!replay->sealed) {
    KILN_TRY(log->cut_torn_tail());
    if (replay->uncommitted) KILN_TRY(log->append(MapRecordType::commit, replay->last_unit_sequence, 0));
    if (!replay->same_boot) KILN_TRY(log->append(MapRecordType::void_rest, replay->last_unit_sequence, 0));
    KILN_TRY(log->append_session(*boot_id));
  }
  KILN_TRY(log->sync());
  return std::shared_ptr<Generation>(new Generation(entry, std::move(*data), std::move(log), *replay));
}

Result<std::shared_ptr<Generation>> Generation::open_finished(base::Files& files, const base::Path& directory,
                                                              const VolumeFile& volume, const GenerationEntry& entry,
                                                              const Keyring* keys) {
  auto cipher = cipher_of(volume, entry, keys);
  if (!cipher) return cipher.error();
  auto data =
      DataFile::open(files, directory / entry.data_file, base::Open::read, volume.size_bytes, *std::move(cipher));
  if (!data) return data.error();
  auto map = files.open(directory / entry.map_file, base::Open::read);
  if (!map) return map.error();
  auto replay = replay_file(**map, volume, entry, {}, Replay::committed);
  if (!replay) return replay.error();
  return std::shared_ptr<Generation>(new Generation(entry, std::move(*data), nullptr, *replay));
}

Generation::Generation(GenerationEntry entry, std::unique_ptr<DataFile> data, std::unique_ptr<MapLog> log,
                       MapReplay& replayed)
    : entry_(std::move(entry)),
      data_(std::move(data)),
      log_(std::move(log)),
      map_(std::move(replayed.map)),
      ends_in_seal_(replayed.sealed),
      had_units_(replayed.any_units),
      committed_(replayed.last_unit_sequence),
      sealed_(replayed.sealed) {}

Status Generation::record(UnitRange range, UnitState state) {
  return log_->append(state == UnitState::data ? MapRecordType::data : MapRecordType::zero, range.first, range.count);
}

Status Generation::sync() {
  base::Lock lock(sync_mutex_);
  const auto mine = ++arrived_;
  sync_ended_.wait(sync_mutex_, [&]() KILN_REQUIRES(sync_mutex_) { return covered_ >= mine || !syncing_; });
  if (covered_ >= mine || !outcome_.ok()) return outcome_;
  syncing_ = true;
  // Everything that was acknowledged to a caller who has arrived is in the files by now.
  const auto covers = arrived_;
  sync_mutex_.unlock();
  auto outcome = sync_now();
  sync_mutex_.lock();
  syncing_ = false;
  // When only the log found no space nothing is lost, and the next try may succeed.
  if (outcome.ok() || outcome.error().fault() != Fault::no_space) {
    covered_ = covers;
    outcome_ = outcome;
  }
  sync_ended_.notify_all();
  return outcome;
}

Status Generation::sync_now() {
  const auto through = log_->last_unit_sequence();
  if (auto synced = data_->sync(); !synced) return lost(synced.error());
  if (through <= committed_) return {};
  KILN_TRY(log_->append(MapRecordType::commit, through, 0));
  if (auto synced = log_->sync(); !synced) return lost(synced.error());
  committed_ = through;
  return {};
}

Status Generation::seal() {
  if (!log_ || sealed_) return {};
  KILN_TRY(sync());
  KILN_TRY(log_->append(MapRecordType::seal, log_->last_unit_sequence(), 0));
  if (auto synced = log_->sync(); !synced) return lost(synced.error());
  sealed_ = true;
  return {};
}

std::vector<std::uint64_t> touched_chunks(std::span<const std::shared_ptr<Generation>> layers,
                                          std::uint64_t size_bytes) {
  std::vector<std::uint64_t> touched;
  const auto units = (size_bytes + unit_bytes - 1) / unit_bytes;
  for (const auto& layer : layers) {
    for (std::uint64_t unit = 0; unit < units;) {
      const auto end = layer->map().run_end(unit, units);
      if (layer->map().state(unit) != UnitState::absent) {
        for (auto chunk = unit / units_per_chunk; chunk * units_per_chunk < end; ++chunk) {
          if (touched.empty() || touched.back() != chunk) touched.push_back(chunk);
        }
      }
      unit = end;
    }
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  return touched;
}

}  // namespace kiln::blocks
