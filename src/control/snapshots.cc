#include "control/snapshots.h"

#include <algorithm>
#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "blocks/sealed_generation.h"
#include "blocks/volume.h"
#include "catalog/blocks.h"
#include "catalog/images.h"
#include "catalog/volumes.h"
#include "control/cuts.h"
#include "control/fast_restores.h"
#include "control/images.h"
#include "control/key_domains.h"
#include "control/recycle_bin.h"
#include "control/snapshot_locks.h"
#include "control/snapshot_recoding.h"
#include "control/snapshot_sharing.h"
#include "control/snapshot_tiers.h"
#include "control/snapshot_writes.h"
#include "control/tags.h"
#include "control/uploads.h"
#include "control/volume_access.h"
#include "control/volumes.h"
#include "jobs/arguments.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Fault;
using catalog::Snapshot;

// As many cuts as a volume keeps, which is also AWS's limit.
constexpr std::size_t most_pending = blocks::max_pending_cuts;
// Three times as long as a request tries.
constexpr base::Micros most_time_to_cut = base::seconds(30);

std::optional<Snapshot> find(Region& region, const std::string& id) {
  return catalog::in_read(region.catalog,
                          [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, region.name, id); });
}

// --- the job

// The snapshots that were asked for together, this one among them.
std::vector<std::string> set_of(jobs::Context& job) {
  auto set = job.argument("set");
  if (set.empty()) set = job.argument("snapshot");
  std::vector<std::string> ids;
  for (const auto id : base::split(set, ',')) ids.emplace_back(id);
  return ids;
}

void step_cut(Region& region, jobs::Context& job) {
  const auto snapshot = find(region, job.argument("snapshot"));
  if (!snapshot || snapshot->state != "pending") return;
  domain_of(region, snapshot->kms_key_arn);  // says why it cannot be stored
  if (snapshot->generation) return;
  // Only the request that asked for several cuts them, since others would not be of its moment. Here it is waited for,
  // or found to have died with its daemon.
  if (!job.argument("set").empty()) {
    if (region.clock.now() - snapshot->started > most_time_to_cut) throw std::runtime_error("it was never cut");
    throw jobs::Retry("it is being cut", base::seconds(1) / 10);
  }
  std::map<std::string, std::uint64_t> generations;
  const auto done = cut_together(region, {*snapshot}, generations);
  if (!done && done.error().fault() == Fault::busy) throw jobs::Retry(done.error().message(), base::seconds(1) / 10);
  if (!done) throw std::runtime_error(done.error().message());
  job.in_txn([&](catalog::Txn& txn) {
    txn.execute("UPDATE snapshot SET generation = $3 WHERE region = $1 AND id = $2 AND state = 'pending'",
                {region.name, snapshot->id, static_cast<std::int64_t>(generations[snapshot->id])});
  });
}

void make_durable(Region& region, const std::string& id) {
  const auto snapshot = find(region, id);
  if (!snapshot || snapshot->state != "pending") return;
  if (blocks::SealedGeneration::open(region.files, region.volume_directory(snapshot->volume_id), id,
                                     region.store.keys())) {
    return;
  }
  const auto done = with_volumes(region, {snapshot->volume_id}, [&](blocks::VolumeService& service, ServedBy) {
    return service.sealed({.volume = snapshot->volume_id, .snapshot = id});
  });
  if (done) return;
  if (done.error().fault() == Fault::busy) throw jobs::Retry(done.error().message(), base::seconds(1) / 10);
  if (done.error().fault() == Fault::not_found) {
    // One that is stored has no cut any more.
    const auto again = find(region, id);
    if (!again || again->state != "pending") return;
    throw std::runtime_error("the host went down before the snapshot of " + snapshot->volume_id + " was on disk");
  }
  throw std::runtime_error(done.error().message());
}

// None of them is stored before all are on disk: after a crash of the host they are there together or not at all.
void step_durable(Region& region, jobs::Context& job) {
  for (const auto& id : set_of(job)) make_durable(region, id);
}

bool matches_owner(const Snapshot& snapshot, const std::vector<std::string>& owners, const Principal& caller) {
  return owners.empty() || std::any_of(owners.begin(), owners.end(), [&](const std::string& owner) {
           return (owner == "self" ? caller.account : owner) == snapshot.account;
         });
}

// "self" is what the caller owns or was given by name, "all" what is public. Whom a snapshot is shared with is its
// owner's secret.
bool matches_user(const Snapshot& snapshot, const std::vector<catalog::SnapshotPermission>& permissions,
                  const std::vector<std::string>& users, const Principal& caller) {
  const auto given_to = [&](const std::string& value) {
    return std::ranges::any_of(permissions, [&](const auto& p) { return p.value == value; });
  };
  return std::ranges::any_of(users, [&](const std::string& user) {
    if (user == "all") return given_to("all");
    const auto& account = user == "self" ? caller.account : user;
    if (account == caller.account) return snapshot.account == account || given_to(account);
    return snapshot.account == caller.account && given_to(account);
  });
}

void check_account_or(const std::vector<std::string>& names, std::initializer_list<std::string_view> words) {
  for (const auto& name : names) {
    const bool is_account = name.size() == 12 && name.find_first_not_of("0123456789") == std::string::npos;
    if (!is_account && std::find(words.begin(), words.end(), name) == words.end()) {
      throw ApiError("InvalidUserID.Malformed", "Invalid user id: \"" + name + "\"");
    }
  }
}

std::vector<Snapshot> asked_for(catalog::Txn& txn, Region& region, const Principal& caller,
                                const SnapshotQuery& query) {
  if (query.ids.empty()) return catalog::snapshots_visible_to(txn, region.name, caller.account);
  std::vector<Snapshot> found;
  for (const auto& id : query.ids) {
    // AWS documents that one of another account's is left out, which would tell that it is there.
    auto row = readable_snapshot(txn, region, caller.account, id);
    const bool twice = std::any_of(found.begin(), found.end(), [&](const Snapshot& s) { return s.id == id; });
    if (!twice) found.push_back(std::move(row));
  }
  return found;
}

}  // namespace

Snapshot add_snapshot(catalog::Txn& txn, Region& region, const std::string& snapshot_id, const std::string& volume_id,
                      const std::string& description) {
  const auto volume = catalog::find_volume(txn, region.name, volume_id);
  if (!volume) throw ApiError("InvalidVolume.NotFound", "The volume '" + volume_id + "' does not exist.");
  std::size_t pending = 0;
  for (const auto& other : catalog::snapshots_of_volume(txn, region.name, volume_id)) {
    pending += other.state == "pending" ? 1 : 0;
  }
  if (pending >= most_pending) {
    throw ApiError("ConcurrentSnapshotLimitExceeded",
                   "Maximum allowed in-progress snapshots for a single volume exceeded.");
  }
  Snapshot row{.region = region.name,
               .id = snapshot_id,
               .account = volume->account,
               .volume_id = volume_id,
               .state = "pending",
               .description = description,
               .size_gib = volume->size_gib,
               .size_bytes = volume->size_gib << 30,
               .encrypted = volume->encrypted,
               .started = region.clock.now(),
               .kms_key_arn = volume->kms_key_arn};
  if (const auto parent = catalog::newest_snapshot_of_volume(txn, region.name, volume_id)) {
    row.parent_snapshot_id = parent->id;
  } else {
    row.parent_snapshot_id = volume->snapshot_id;
  }
  catalog::insert(txn, row);
  return row;
}

void fail_snapshot(catalog::Txn& txn, Region& region, const std::string& snapshot_id, const std::string& why) {
  auto snapshot = catalog::find_snapshot(txn, region.name, snapshot_id);
  if (!snapshot || snapshot->state != "pending") return;
  snapshot->state = "error";
  snapshot->state_message = why;
  catalog::update(txn, *snapshot);
  if (!snapshot->image_id.empty()) image_failed(txn, region, snapshot->image_id, why);
}

Snapshot create_snapshot(Region& region, const Principal& caller, const NewSnapshot& what) {
  if (what.description.size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  const auto id = base::new_id("snap");
  auto snapshot = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto volume = volume_of(txn, region, caller.account, what.volume_id);
    if (volume.state != "available" && volume.state != "in-use") {
      throw ApiError("IncorrectState", "The volume '" + volume.id + "' is '" + volume.state + "'");
    }
    auto row = add_snapshot(txn, region, id, volume.id, what.description);
    add_tags(txn, region, caller.account, id, what.tags);
    region.jobs.start(
        txn, {.region = region.name, .kind = "create-snapshot", .subject = volume.id, .arguments = {{"snapshot", id}}});
    return row;
  });
  cut_for_request(region, {snapshot});
  region.jobs.wake();
  return snapshot;
}

Snapshot snapshot_of(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  if (!base::is_id("snap", id)) {
    throw ApiError("InvalidParameterValue",
                   "Value (" + id + ") for parameter snapshotId is invalid. Expected: 'snap-...'.");
  }
  auto row = catalog::find_snapshot(txn, region.name, id);
  if (!row || row->account != account || row->state == "recoverable") {
    throw ApiError("InvalidSnapshot.NotFound", "The snapshot '" + id + "' does not exist.");
  }
  return *row;
}

blocks::DiskId snapshot_disk(catalog::Txn& txn, const Region& region, const Snapshot& snapshot) {
  if (snapshot.state != "completed") {
    throw ApiError("IncorrectState", "Snapshot is in invalid state - " + snapshot.state);
  }
  const auto root = catalog::select_one<catalog::Root>(txn, "WHERE region = $1 AND kind = 'snapshot' AND owner = $2",
                                                       {region.name, snapshot.id});
  if (!root) check_not_archived(txn, region, snapshot.id);
  const auto digest = root ? base::Digest::from_hex(root->digest) : std::nullopt;
  if (!digest) throw std::runtime_error("snapshot " + snapshot.id + " has no root");
  return {.root = *digest, .size_bytes = static_cast<std::uint64_t>(root->size_bytes)};
}

void delete_snapshot_rows(catalog::Txn& txn, Region& region, const Snapshot& snapshot) {
  catalog::drop_roots(txn, region.name, "snapshot", snapshot.id);
  drop_recoded_root(txn, region, snapshot.id);
  end_started_snapshot(txn, region, snapshot);
  drop_archive(txn, region, snapshot.id);
  end_fast_restores(txn, region, snapshot.id);
  catalog::remove(txn, snapshot);
  remove_all_tags(txn, region, snapshot.id);
}

void delete_snapshot(Region& region, const Principal& caller, const std::string& snapshot_id) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    const auto snapshot = snapshot_of(txn, region, caller.account, snapshot_id);
    const auto users = catalog::images_using_snapshot(txn, region.name, snapshot_id);
    if (!users.empty()) {
      throw ApiError("InvalidSnapshot.InUse",
                     "The snapshot " + snapshot_id + " is currently in use by " + users.front().id);
    }
    if (is_locked(txn, region, snapshot)) {
      throw ApiError("OperationNotPermitted", "The snapshot " + snapshot_id + " is locked and cannot be deleted.");
    }
    if (!recycle_snapshot(txn, region, snapshot)) delete_snapshot_rows(txn, region, snapshot);
  });
  region.jobs.wake();  // what a client was still writing goes
}

std::vector<SnapshotDetails> describe_snapshots(Region& region, const Principal& caller, const SnapshotQuery& query) {
  check_account_or(query.owners, {"self", "amazon"});
  check_account_or(query.restorable_by, {"self", "all"});
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    auto rows = asked_for(txn, region, caller, query);
    std::erase_if(rows, [&](const Snapshot& row) {
      if (!matches_owner(row, query.owners, caller)) return true;
      if (query.restorable_by.empty()) return false;
      return !matches_user(row, catalog::snapshot_permissions(txn, region.name, row.id), query.restorable_by, caller);
    });
    std::map<std::string, std::vector<catalog::Tag>> tags;
    for (auto& tag : all_tags(txn, region, caller.account)) tags[tag.resource_id].push_back(std::move(tag));
    std::map<std::string, catalog::SnapshotTier> tiers;
    for (auto& tier : catalog::snapshot_tiers(txn, region.name)) tiers.emplace(tier.snapshot_id, std::move(tier));
    std::vector<SnapshotDetails> details;
    for (auto& row : rows) {
      auto& entry = details.emplace_back();
      entry.tags = tags[row.id];
      if (const auto tier = tiers.find(row.id); tier != tiers.end()) entry.tier = tier->second;
      entry.snapshot = std::move(row);
    }
    return details;
  });
}

void add_snapshot_jobs(jobs::Runner& runner, Regions& regions) {
  const auto cut = [&regions](jobs::Context& job) { step_cut(regions.at(job.job().region), job); };
  const auto give_up = [&regions](jobs::Context& job) {
    auto& region = regions.at(job.job().region);
    // A snapshot that was completed before a later step failed stands; its cut waits for the volume's next upload.
    const auto snapshot = find(region, job.argument("snapshot"));
    if (snapshot && snapshot->state == "completed") return;
    give_up_cut(region, job.job().subject, job.argument("snapshot"));
  };
  const auto durable = [&regions](jobs::Context& job) { step_durable(regions.at(job.job().region), job); };
  const auto upload = [&regions](jobs::Context& job) {
    upload_cut(regions.at(job.job().region), job, job.job().subject, job.argument("snapshot"));
  };
  const auto failed = [&regions](catalog::Txn& txn, const catalog::Job& job) {
    auto& region = regions.at(job.region);
    auto arguments = jobs::parse_arguments(job.arguments);
    const auto set = arguments["set"].empty() ? arguments["snapshot"] : arguments["set"];
    for (const auto id : base::split(set, ',')) fail_snapshot(txn, region, std::string(id), job.error);
  };
  runner.add({.name = "create-snapshot",
              .steps = {{"cut", cut, give_up}, {"durable", durable}, {"upload", upload}},
              .on_failed = failed});
}

}  // namespace kiln::control
