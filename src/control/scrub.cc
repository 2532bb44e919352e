#include "control/scrub.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>

#include "base/log.h"
#include "blocks/scrub.h"
#include "catalog/blocks.h"

namespace kiln::control {
namespace {

using blocks::PackId;

constexpr std::string_view first_line = "kiln-scrub 1";
constexpr base::Micros longest_wait = base::seconds(5);  // a report of damage should not wait for longer

base::Path state_file(const Region& region) { return region.directory / "scrub"; }

void write_state(Region& region, const ScrubState& state) {
  std::ostringstream text;
  const auto after = !state.after_archive.empty() ? state.after_archive : state.after ? state.after->text() : "-";
  text << first_line << "\nafter " << after << "\nbegan " << state.began << "\nfinished " << state.finished
       << "\npacks " << state.packs << "\nbytes " << state.bytes << "\nbad " << state.bad << "\n";
  const auto written = region.files.replace(state_file(region), base::as_bytes(text.str()));
  if (!written) throw std::runtime_error("the scrub's position: " + written.error().message());
}

// A pack, or the archive of a snapshot.
struct Due {
  PackId id;
  std::string snapshot_id = {};
  std::uint64_t bytes = 0;

  bool is_after(const ScrubState& state) const {
    if (!state.after_archive.empty()) return snapshot_id > state.after_archive;
    return !snapshot_id.empty() || !state.after || id > *state.after;
  }
};

// Packs by the catalog, not by the index: one that the index has lost must be missed. Then archives.
std::vector<Due> all_of(Region& region) {
  std::vector<Due> packs;
  std::vector<catalog::SnapshotTier> tiers;
  std::vector<catalog::Pack> rows;
  region.catalog.read([&](catalog::Txn& txn) {
    rows = catalog::packs(txn, region.name);
    tiers = catalog::snapshot_tiers(txn, region.name);
  });
  for (const auto& row : rows) {
    const auto id = PackId::from_text(row.id);
    if (!id || (row.state != "live" && row.state != "condemned")) continue;
    packs.push_back({.id = *id, .bytes = static_cast<std::uint64_t>(row.bytes)});
  }
  std::ranges::sort(packs, {}, &Due::id);
  for (const auto& tier : tiers) {
    if (tier.archive_bytes == 0) continue;
    packs.push_back(
        {.id = {}, .snapshot_id = tier.snapshot_id, .bytes = static_cast<std::uint64_t>(tier.archive_bytes)});
  }
  return packs;
}

// None: the pack was deleted meanwhile.
std::optional<blocks::ScrubbedPack> scrub(Region& region, const PackId& id) {
  auto scrubbed = blocks::scrub_pack(region.store, id);
  if (!scrubbed) throw std::runtime_error("scrubbing pack " + id.text() + ": " + scrubbed.error().message());
  const auto row = catalog::in_read(region.catalog,
                                    [&](catalog::Txn& txn) { return catalog::find_pack(txn, region.name, id.text()); });
  if (!row || (row->state != "live" && row->state != "condemned")) {
    if (auto forgotten = region.store.bad_records().forget_pack(id); !forgotten) {
      throw std::runtime_error("the list of bad records: " + forgotten.error().message());
    }
    return std::nullopt;
  }
  for (const auto& bad : scrubbed->bad) base::log_error("scrub", "damage in region {}: {}", region.name, bad.why);
  return std::move(*scrubbed);
}

// Whether there was one. A guest has had an error or has been served from another copy; the operator must hear of it.
bool scrub_a_suspect(Region& region) {
  const auto suspects = region.store.suspects().list();
  if (!suspects) throw std::runtime_error("reports of damage: " + suspects.error().message());
  if (suspects->empty()) return false;
  const auto& id = suspects->front();
  const auto scrubbed = scrub(region, id);
  if (scrubbed && scrubbed->bad.empty()) {
    base::log_warning("scrub",
                      "region {}: a reader found pack {} damaged, and now it is whole: look at memory and disk",
                      region.name, id.text());
  }
  if (auto done = region.store.suspects().remove(id); !done) {
    throw std::runtime_error("reports of damage: " + done.error().message());
  }
  return true;
}

}  // namespace

ScrubState scrub_state(Region& region) {
  const auto text = region.files.read_all(state_file(region));
  if (!text) return {};
  std::istringstream lines(*text);
  std::string line, name, after;
  std::getline(lines, line);
  ScrubState state;
  lines >> name >> after >> name >> state.began >> name >> state.finished >> name >> state.packs >> name >>
      state.bytes >> name >> state.bad;
  if (after.starts_with("snap-")) state.after_archive = after;
  if (after != "-" && state.after_archive.empty()) state.after = PackId::from_text(after);
  const bool is_place = after == "-" || state.after || !state.after_archive.empty();
  if (line == first_line && lines && name == "bad" && is_place) return state;
  base::log_warning("scrub", "{} is damaged; the scrub begins anew", state_file(region).string());
  return {};
}

Scrubbed scrub_now(Region& region, const std::function<bool(const ScrubProgress&)>& on_pack) {
  Scrubbed found;
  ScrubProgress progress;
  for (const auto& due : all_of(region)) {
    if (due.snapshot_id.empty()) {
      const auto scrubbed = scrub(region, due.id);
      if (!scrubbed) continue;
      found.bad.insert(found.bad.end(), scrubbed->bad.begin(), scrubbed->bad.end());
      progress.bytes += scrubbed->bytes;
      progress.records += scrubbed->records;
    } else {
      const auto checked = check_archive_of(region, due.snapshot_id, [&] { return !on_pack || on_pack(progress); });
      if (!checked) continue;
      if (!checked->bad.empty()) found.bad_archives.push_back(*checked);
      progress.bytes += checked->bytes;
      progress.records += checked->chunks;
    }
    progress.packs += 1;
    if (on_pack && !on_pack(progress)) throw std::runtime_error("the scrub was stopped");
  }
  return found;
}

Scrubber::Step Scrubber::step(Region& region) {
  const auto begun = region.clock.monotonic();
  const auto rest = [&] {
    const auto took = std::max<base::Micros>(region.clock.monotonic() - begun, 1000);
    return Step{.read = true, .wait = static_cast<base::Micros>(options_.rest) * took};
  };
  if (scrub_a_suspect(region)) return rest();
  auto state = scrub_state(region);
  if (state.began == 0) state.began = region.clock.now();
  const auto packs = all_of(region);
  std::uint64_t total = 0;
  for (const auto& pack : packs) total += pack.bytes;
  const auto next = std::ranges::find_if(packs, [&](const auto& pack) { return pack.is_after(state); });
  const auto now = region.clock.now();
  // A tenth of the time is left for being late. A clock that went back does not make the scrub wait for it.
  const auto share = next == packs.end()
                         ? 1.0
                         : static_cast<double>(state.bytes) / static_cast<double>(std::max<std::uint64_t>(total, 1));
  const auto due =
      state.began + static_cast<base::Micros>(0.9 * static_cast<double>(options_.period) * std::min(share, 1.0));
  if (now < due && now >= state.began) return {.read = false, .wait = std::min(due - now, longest_wait)};
  if (next == packs.end()) {
    base::log_info("scrub", "region {}: {} packs of {} bytes were read, {} records are bad", region.name, state.packs,
                   state.bytes, state.bad);
    write_state(region, {.after = {}, .began = now, .finished = now});
    return {.read = false, .wait = longest_wait};
  }
  if (next->snapshot_id.empty()) {
    const auto scrubbed = scrub(region, next->id);
    state.after = next->id;
    state.bad += scrubbed ? scrubbed->bad.size() : 0;
  } else {
    const auto checked = check_archive_of(region, next->snapshot_id, [this] { return !stopping(); });
    state.after_archive = next->snapshot_id;
    state.bad += checked ? checked->bad.size() : 0;
  }
  state.packs += 1;
  state.bytes += next->bytes;
  write_state(region, state);
  return rest();
}

void Scrubber::start() {
  thread_ = std::thread([this] { run(); });
}

void Scrubber::stop() {
  {
    base::Lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Scrubber::stopping() {
  base::Lock lock(mutex_);
  return stopping_;
}

void Scrubber::run() {
  for (;;) {
    base::Micros rest = 0, due = longest_wait;
    for (const auto& region : regions_.all()) {
      try {
        const auto done = step(*region);
        // All regions share a disk, so it rests for what was read of each.
        if (done.read) rest += done.wait;
        if (!done.read) due = std::min(due, done.wait);
      } catch (const std::exception& failure) {
        base::log_error("scrub", "region {}: {}", region->name, failure.what());
        due = std::min(due, base::seconds(60));  // and is said again then
      }
    }
    base::Lock lock(mutex_);
    const auto wait = std::chrono::microseconds(rest > 0 ? rest : due);
    if (changed_.wait_for(mutex_, wait, [this]() KILN_REQUIRES(mutex_) { return stopping_; })) return;
  }
}

}  // namespace kiln::control
