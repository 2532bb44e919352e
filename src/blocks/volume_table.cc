#include "blocks/volume_table.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::string_view state_head = "kiln-open-volumes 1";
constexpr std::string_view state_end = "end";
constexpr auto reopen_limit = std::chrono::seconds(5);
constexpr auto reopen_pause = std::chrono::milliseconds(20);

Result<std::vector<OpenVolume>> read_state(base::Files& files, const base::Path& path) {
  std::vector<OpenVolume> volumes;
  const auto content = files.read_all(path, 1 << 20);
  if (!content) {
    if (content.error().fault() == Fault::not_found) return volumes;
    return content.error();
  }
  const auto lines = base::split(*content, '\n');
  if (lines.size() < 2 || lines.front() != state_head || lines[lines.size() - 2] != state_end) {
    return Error(Fault::corrupt, path.string() + " is not a list of open volumes");
  }
  for (std::size_t i = 1; i + 2 < lines.size(); ++i) {
    const auto words = base::split(lines[i], ' ');
    OpenVolume open;
    if (words.size() == 2) open.volume = words[0];
    const auto end = words.back().data() + words.back().size();
    const auto [stopped, failure] = std::from_chars(words.back().data(), end, open.epoch);
    if (!base::is_id("vol", open.volume) || failure != std::errc() || stopped != end) {
      return Error(Fault::corrupt, path.string() + " line " + std::to_string(i + 1) + " is not a volume and an epoch");
    }
    volumes.push_back(std::move(open));
  }
  return volumes;
}

}  // namespace

VolumeTable::VolumeTable(base::Files& files, DiskSource& source, Options options)
    : files_(files), source_(source), options_(std::move(options)), prefetcher_(source) {}

VolumeTable::~VolumeTable() {
  std::thread finisher;
  {
    base::Lock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
    finisher = std::move(finisher_);
  }
  if (finisher.joinable()) finisher.join();
}

Status VolumeTable::reopen() {
  if (options_.state_file.empty()) return {};
  const auto wanted = read_state(files_, options_.state_file);
  if (!wanted) return wanted.error();
  const auto deadline = std::chrono::steady_clock::now() + reopen_limit;
  base::Lock change(change_mutex_);
  for (const auto& what : *wanted) {
    auto options = options_.volume;
    options.epoch = what.epoch;
    options.mended = false;  // nobody has looked at it
    auto opened = Volume::open(files_, options_.directory / what.volume, source_, options);
    while (!opened && opened.error().fault() == Fault::busy && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(reopen_pause);
      opened = Volume::open(files_, options_.directory / what.volume, source_, options);
    }
    if (!opened && opened.error().fault() == Fault::no_key) {
      base::log_info("blocks", "{} waits for its keys", what.volume);
      without_keys_[what.volume] = what.epoch;
      continue;
    }
    if (!opened) {
      base::log_error("blocks", "{} was open and cannot be opened again: {}", what.volume, opened.error().message());
      continue;
    }
    const std::shared_ptr<Volume> volume = std::move(*opened);
    finish_in_background({volume});
    base::Lock lock(mutex_);
    volumes_.emplace(what.volume, volume);
  }
  return {};
}

std::shared_ptr<Volume> VolumeTable::find(const std::string& export_name) {
  base::Lock lock(mutex_);
  const auto found = volumes_.find(export_name);
  return found == volumes_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<Volume>> VolumeTable::get(const std::string& volume) {
  if (auto found = find(volume)) return found;
  return Error(Fault::not_found, volume + " is not open here");
}

std::vector<std::string> VolumeTable::names() {
  base::Lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, volume] : volumes_) names.push_back(name);
  return names;
}

void VolumeTable::close_all() {
  base::Lock change(change_mutex_);
  std::map<std::string, std::shared_ptr<Volume>> volumes;
  {
    base::Lock lock(mutex_);
    volumes.swap(volumes_);
  }
  for (const auto& [name, volume] : volumes) {
    if (auto closed = volume->close(); !closed) base::log_error("blocks", "{}: {}", name, closed.error().message());
  }
}

Status VolumeTable::write_state() {
  if (options_.state_file.empty()) return {};
  std::vector<std::shared_ptr<Volume>> volumes;
  {
    base::Lock lock(mutex_);
    for (const auto& [name, volume] : volumes_) volumes.push_back(volume);
  }
  std::string content(state_head);
  for (const auto& volume : volumes) content += "\n" + volume->name() + " " + std::to_string(volume->epoch());
  for (const auto& [volume, epoch] : without_keys_) content += "\n" + volume + " " + std::to_string(epoch);
  content += "\n" + std::string(state_end) + "\n";
  return files_.replace(options_.state_file, base::as_bytes(content));
}

Result<Hello> VolumeTable::hello() { return Hello{.instance = options_.instance, .volume_format = volume_format}; }

Status VolumeTable::open(const OpenVolume& what) {
  if (!base::is_id("vol", what.volume)) return Error(Fault::invalid, "'" + what.volume + "' is not a volume id");
  const auto domains = parse_domains(what.keys);
  if (!domains) return domains.error();
  if (auto* keys = source_.keys()) {
    for (const auto& domain : *domains) keys->add(domain);
  }
  base::Lock change(change_mutex_);
  if (const auto there = find(what.volume)) {
    KILN_TRY(there->raise_epoch(what.epoch));
    return write_state();
  }
  auto options = options_.volume;
  options.epoch = what.epoch;
  // A server that was killed had it open, and only lacked its keys since: nobody has looked at it.
  if (without_keys_.contains(what.volume)) options.mended = false;
  auto opened = Volume::open(files_, options_.directory / what.volume, source_, options);
  if (!opened) return opened.error();
  without_keys_.erase(what.volume);
  const std::shared_ptr<Volume> volume = std::move(*opened);
  if (volume->name() != what.volume) {
    return Error(Fault::corrupt, "the directory of " + what.volume + " holds " + volume->name());
  }
  {
    base::Lock lock(mutex_);
    volumes_.emplace(what.volume, volume);
  }
  auto written = write_state();
  if (written) finish_in_background({volume});
  if (written) return {};
  {
    base::Lock lock(mutex_);
    volumes_.erase(what.volume);
  }
  if (auto closed = volume->close(); !closed) base::log_error("blocks", "{}", closed.error().message());
  return written;
}

Status VolumeTable::close(const std::string& volume) {
  base::Lock change(change_mutex_);
  const auto there = find(volume);
  if (!there) return without_keys_.erase(volume) > 0 ? write_state() : Status();
  auto closed = there->close();
  if (!closed && closed.error().fault() == Fault::busy) return closed;
  {
    base::Lock lock(mutex_);
    volumes_.erase(volume);
  }
  KILN_TRY(write_state());
  return closed;
}

Result<std::vector<SealedVolume>> VolumeTable::seal(const std::vector<SealVolume>& what) {
  std::vector<std::shared_ptr<Volume>> volumes;
  std::vector<Volume::Cut> cuts;
  for (const auto& one : what) {
    auto volume = get(one.volume);
    if (!volume) return volume.error();
    cuts.push_back({.volume = volume->get(), .snapshot = one.snapshot});
    volumes.push_back(std::move(*volume));
  }
  auto sealed = Volume::seal(cuts);
  if (sealed) finish_in_background(std::move(volumes));
  return sealed;
}

void VolumeTable::finish_in_background(std::vector<std::shared_ptr<Volume>> volumes) {
  base::Lock lock(mutex_);
  if (stopping_) return;
  to_finish_.insert(to_finish_.end(), volumes.begin(), volumes.end());
  if (!finisher_.joinable()) finisher_ = std::thread([this] { finish_until_stopped(); });
  work_.notify_all();
}

void VolumeTable::finish_until_stopped() {
  while (true) {
    std::vector<std::shared_ptr<Volume>> volumes;
    {
      base::Lock lock(mutex_);
      work_.wait(mutex_, [&]() KILN_REQUIRES(mutex_) { return stopping_ || !to_finish_.empty(); });
      if (stopping_) return;
      volumes.swap(to_finish_);
    }
    for (const auto& volume : volumes) {
      if (auto finished = volume->finish_seal(); !finished) {
        base::log_error("blocks", "a cut of {} is not durable: {}", volume->name(), finished.error().message());
      }
    }
    // After the last of them is durable: guests wait for that and for nothing else here. Whoever closed a volume
    // meanwhile needs no next cut, and where it cannot be prepared seal() says why.
    for (const auto& volume : volumes) {
      if (auto prepared = volume->prepare_cut(); !prepared) {
        base::log_debug("blocks", "{}: {}", volume->name(), prepared.error().message());
      }
    }
  }
}

Status VolumeTable::sealed(const SealVolume& what) {
  const auto volume = get(what.volume);
  return volume ? (*volume)->sealed(what.snapshot) : volume.error();
}

Status VolumeTable::unseal(const SealVolume& what) {
  const auto volume = get(what.volume);
  return volume ? (*volume)->unseal(what.snapshot) : volume.error();
}

Status VolumeTable::rebase(const RebaseVolume& what) {
  const auto volume = get(what.volume);
  return volume ? (*volume)->rebase(what.generation, what.base) : volume.error();
}

Status VolumeTable::resize(const std::string& volume_id, std::uint64_t size_bytes) {
  const auto volume = get(volume_id);
  return volume ? (*volume)->grow(size_bytes) : volume.error();
}

Result<LaunchTouches> VolumeTable::launch_touches(const std::string& volume_id) {
  const auto volume = get(volume_id);
  if (!volume) return volume.error();
  return (*volume)->launch_touches();
}

Status VolumeTable::prefetch(const PrefetchVolume& what) {
  const auto volume = get(what.volume);
  if (!volume) return volume.error();
  const auto base = (*volume)->base();
  if (!base.root.is_null()) prefetcher_.start(base, what.chunks, what.bytes_per_second);
  return {};
}

Result<std::vector<VolumeStats>> VolumeTable::stats() {
  std::vector<VolumeStats> stats;
  for (const auto& name : names()) {
    if (const auto volume = find(name)) stats.push_back(volume->stats());
  }
  return stats;
}

}  // namespace kiln::blocks
