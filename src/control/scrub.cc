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
  text << first_line << "\nafter " << (state.after ? state.after->text() : "-") << "\nbegan " << state.began
       << "\nfinished " << state.finished << "\npacks " << state.packs << "\nbytes " << state.bytes << "\nbad "
       << state.bad << "\n";
  const auto written = region.files.replace(state_file(region), base::as_bytes(text.str()));
  if (!written) throw std::runtime_error("the scrub's position: " + written.error().message());
}

struct Due {
  PackId id;
  std::uint64_t bytes = 0;
};

// By the catalog, not by the index: a pack that the index has lost must be missed.
std::vector<Due> packs_of(Region& region) {
  std::vector<Due> packs;
  for (const auto& row :
       catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return catalog::packs(txn, region.name); })) {
    const auto id = PackId::from_text(row.id);
    if (!id || (row.state != "live" && row.state != "condemned")) continue;
    packs.push_back({.id = *id, .bytes = static_cast<std::uint64_t>(row.bytes)});
  }
  std::ranges::sort(packs, {}, &Due::id);
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
  if (after != "-") state.after = PackId::from_text(after);
  if (line == first_line && lines && name == "bad" && (after == "-" || state.after)) return state;
  base::log_warning("scrub", "{} is damaged; the scrub begins anew", state_file(region).string());
  return {};
}

std::vector<blocks::BadPlace> scrub_now(Region& region, const std::function<bool(const ScrubProgress&)>& on_pack) {
  std::vector<blocks::BadPlace> bad;
  ScrubProgress progress;
  for (const auto& pack : packs_of(region)) {
    const auto scrubbed = scrub(region, pack.id);
    if (!scrubbed) continue;
    bad.insert(bad.end(), scrubbed->bad.begin(), scrubbed->bad.end());
    progress.packs += 1;
    progress.bytes += scrubbed->bytes;
    progress.records += scrubbed->records;
    if (on_pack && !on_pack(progress)) throw std::runtime_error("the scrub was stopped");
  }
  return bad;
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
  const auto packs = packs_of(region);
  std::uint64_t total = 0;
  for (const auto& pack : packs) total += pack.bytes;
  const auto next =
      std::ranges::find_if(packs, [&](const auto& pack) { return !state.after || pack.id > *state.after; });
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
  const auto scrubbed = scrub(region, next->id);
  state.after = next->id;
  state.packs += 1;
  state.bytes += next->bytes;
  state.bad += scrubbed ? scrubbed->bad.size() : 0;
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
