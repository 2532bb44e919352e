#include "control/cuts.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/api_error.h"
#include "base/log.h"
#include "control/key_domains.h"
#include "control/snapshots.h"
#include "control/volume_access.h"

namespace kiln::control {
namespace {

using base::Fault;
using base::Status;
using catalog::Snapshot;

constexpr auto most_tries = std::chrono::seconds(10);

bool all_pending(Region& region, const std::vector<Snapshot>& snapshots) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return std::ranges::all_of(snapshots, [&](const Snapshot& snapshot) {
      const auto row = catalog::find_snapshot(txn, region.name, snapshot.id);
      return row && row->state == "pending";
    });
  });
}

// All of them or none: one that is an error was given up meanwhile, and the others go with it.
bool write_generations(Region& region, const std::vector<Snapshot>& snapshots,
                       std::map<std::string, std::uint64_t>& generations) {
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    for (const auto& snapshot : snapshots) {
      const auto row = catalog::find_snapshot(txn, region.name, snapshot.id);
      if (row && row->state == "error") return false;
    }
    for (const auto& snapshot : snapshots) {
      txn.execute("UPDATE snapshot SET generation = $3 WHERE region = $1 AND id = $2 AND state = 'pending'",
                  {region.name, snapshot.id, static_cast<std::int64_t>(generations[snapshot.id])});
    }
    return true;
  });
}

Status cut_within(Region& region, const std::vector<Snapshot>& snapshots,
                  std::map<std::string, std::uint64_t>& generations) {
  const auto deadline = std::chrono::steady_clock::now() + most_tries;
  for (;;) {
    auto done = cut_together(region, snapshots, generations);
    if (done || done.error().fault() != Fault::busy || std::chrono::steady_clock::now() >= deadline) return done;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

Status cut_together(Region& region, const std::vector<Snapshot>& snapshots,
                    std::map<std::string, std::uint64_t>& generations) {
  std::vector<std::string> volumes;
  std::vector<blocks::SealVolume> cuts;
  for (const auto& snapshot : snapshots) {
    volumes.push_back(snapshot.volume_id);
    cuts.push_back({.volume = snapshot.volume_id, .snapshot = snapshot.id});
  }
  return with_volumes(region, volumes, [&](blocks::VolumeService& service, ServedBy by) -> Status {
    auto sealed = service.seal(cuts);
    if (!sealed && sealed.error().fault() == Fault::failed && all_pending(region, snapshots)) {
      // A crash of the host kept some of the cuts and lost others. No snapshot of them has been promised yet. Where one
      // is not pending its cut went because it was stored, beside an older one of its volume, and the others would be
      // of a later moment.
      for (const auto& cut : cuts) KILN_TRY(service.unseal(cut));
      sealed = service.seal(cuts);
    }
    if (!sealed) return sealed.error();
    for (const auto& cut : *sealed) generations[cut.snapshot] = cut.generation;
    // A disk server makes it durable while the guest goes on; nobody else would for volumes that are about to close.
    if (by == ServedBy::instance) return {};
    for (const auto& cut : cuts) KILN_TRY(service.sealed(cut));
    return {};
  });
}

void cut_for_request(Region& region, const std::vector<Snapshot>& snapshots) {
  std::map<std::string, std::uint64_t> generations;
  const auto done = cut_within(region, snapshots, generations);
  if (done && write_generations(region, snapshots, generations)) return;
  const bool no_key = !done && done.error().fault() == Fault::no_key;
  const std::string why = done     ? "it was given up before it was cut"
                          : no_key ? KeyNotAccessible().what()
                                   : done.error().message();
  base::log_error("control", "{} of {}: {}", snapshots.front().id, snapshots.front().volume_id, why);
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    for (const auto& snapshot : snapshots) fail_snapshot(txn, region, snapshot.id, why);
  });
  // AWS takes the request and fails the snapshot.
  if (no_key) return;
  throw base::ApiError("InternalError",
                       "The snapshot of volume '" + snapshots.front().volume_id + "' could not be made.", 500);
}

}  // namespace kiln::control
