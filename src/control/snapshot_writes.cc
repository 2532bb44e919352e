#include "control/snapshot_writes.h"

#include <algorithm>
#include <stdexcept>

#include "base/ids.h"
#include "base/log.h"
#include "blocks/volume.h"
#include "catalog/blocks.h"
#include "control/ebs_refusals.h"
#include "control/key_domains.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"
#include "control/tags.h"
#include "control/uploads.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Fault;
using catalog::Snapshot;

constexpr const char* root_kind = "started";
constexpr std::int64_t most_gib = blocks::max_disk_bytes >> 30;
// AWS's quota of pending snapshots. Each keeps a few files open.
constexpr std::size_t most_started = 100;

// --- start

void check(const SnapshotToWrite& what) {
  if (what.size_gib < 1 || what.size_gib > most_gib) {
    refuse_ebs("VolumeSize must be between 1 and " + std::to_string(most_gib) + " GiB.", "INVALID_VOLUME_SIZE");
  }
  if (what.timeout_minutes < least_timeout_minutes || what.timeout_minutes > most_timeout_minutes) {
    refuse_ebs("Timeout must be between 10 and 4320 minutes.", "INVALID_PARAMETER_VALUE");
  }
  if (what.description.size() > 255) {
    refuse_ebs("The description is longer than 255 characters.", "INVALID_PARAMETER_VALUE");
  }
}

// Nothing when none is named.
std::optional<Snapshot> parent_of(catalog::Txn& txn, const Region& region, const Principal& caller,
                                  const SnapshotToWrite& what) {
  const auto& id = what.parent_snapshot_id;
  if (id.empty()) return {};
  if (!base::is_id("snap", id)) refuse_ebs("The snapshot ID '" + id + "' is not valid.", "INVALID_SNAPSHOT_ID");
  auto parent = catalog::find_snapshot(txn, region.name, id);
  if (!parent || parent->account != caller.account) refuse_ebs_unknown(id);
  if (parent->state != "completed") {
    refuse_ebs("The parent snapshot '" + id + "' is " + parent->state + " and not completed.", "INVALID_SNAPSHOT_ID");
  }
  if (parent->size_gib > what.size_gib) {
    refuse_ebs(
        "The parent snapshot '" + id + "' is of " + std::to_string(parent->size_gib) + " GiB, more than VolumeSize.",
        "INVALID_VOLUME_SIZE");
  }
  return parent;
}

// AWS's table, "Encryption outcomes for EBS direct APIs".
std::string key_of(catalog::Txn& txn, const Region& region, const Principal& caller, const SnapshotToWrite& what) {
  const auto parent = parent_of(txn, region, caller, what);
  if (!parent) {
    return choose_key(txn, region, {.account = caller.account, .wish = what.encryption, .source_key = {}});
  }
  if (!parent->encrypted && catalog::ebs_defaults_of(txn, region.name, caller.account).encrypt) {
    refuse_ebs("Encryption by default is enabled, and the parent snapshot '" + parent->id + "' is not encrypted.",
               "INVALID_PARAMETER_VALUE");
  }
  return parent->kms_key_arn;
}

void check_key(Region& region, const Principal& caller, const std::string& key_arn) {
  try {
    domain_for_new(region, caller.account, key_arn);
  } catch (const KeyNotAccessible& refusal) {
    refuse_ebs(refusal.what(), "INVALID_CUSTOMER_KEY");
  }
}

void check_quota(catalog::Txn& txn, const Region& region, const Principal& caller) {
  std::size_t pending = 0;
  for (const auto& row : catalog::started_snapshots(txn, region.name)) {
    const auto snapshot = catalog::find_snapshot(txn, region.name, row.id);
    pending += snapshot && snapshot->account == caller.account && snapshot->state == "pending" ? 1 : 0;
  }
  if (pending < most_started) return;
  throw ApiError("ServiceQuotaExceededException",
                 "The account has " + std::to_string(pending) + " started snapshots that are not completed.", 402,
                 "DEPENDENCY_SERVICE_QUOTA_EXCEEDED");
}

void add_checked_tags(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id,
                      const SnapshotToWrite& what) {
  try {
    add_tags(txn, region, caller.account, id, what.tags);
  } catch (const ApiError& error) {
    refuse_ebs(error.what(), "INVALID_TAG");
  }
}

// What the token made before.
std::optional<StartedSnapshot> made_before(catalog::Txn& txn, const std::optional<catalog::ClientToken>& token) {
  if (!token) return {};
  const auto known = catalog::find_client_token(txn, token->region, token->account, token->operation, token->token);
  if (!known) return {};
  if (known->parameters != token->parameters) {
    throw ApiError("ConflictException",
                   "The request uses the same client token as a previous, but non-identical request.", 409);
  }
  const auto row = catalog::find_snapshot(txn, token->region, known->result);
  return StartedSnapshot{
      .id = known->result, .started = known->created, .key_arn = row ? row->kms_key_arn : std::string()};
}

void insert_rows(catalog::Txn& txn, Region& region, const Principal& caller, const SnapshotToWrite& what,
                 const StartedSnapshot& made) {
  const auto parent_row = parent_of(txn, region, caller, what);
  if (parent_row) refuse_archived_to_ebs(txn, region, parent_row->id);
  const auto parent = parent_row ? snapshot_disk(txn, region, *parent_row) : blocks::DiskId{};
  const auto& key_arn = made.key_arn;
  check_quota(txn, region, caller);
  catalog::insert(txn, Snapshot{.region = region.name,
                                .id = made.id,
                                .account = caller.account,
                                .volume_id = "vol-ffffffff",
                                .state = "pending",
                                .description = what.description,
                                .size_gib = what.size_gib,
                                .size_bytes = what.size_gib << 30,
                                .encrypted = !key_arn.empty(),
                                .parent_snapshot_id = what.parent_snapshot_id,
                                .started = made.started,
                                .kms_key_arn = key_arn});
  catalog::insert(
      txn, catalog::StartedSnapshot{.region = region.name, .id = made.id, .timeout_minutes = what.timeout_minutes});
  catalog::insert(txn, catalog::Root{.region = region.name,
                                     .kind = root_kind,
                                     .owner = made.id,
                                     .digest = parent.root.hex(),
                                     .size_bytes = static_cast<std::int64_t>(parent.size_bytes)});
  add_checked_tags(txn, region, caller, made.id, what);
}

// --- the writing

// Throws unless the caller may write it.
Snapshot writable(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  if (!base::is_id("snap", id)) refuse_ebs("The snapshot ID '" + id + "' is not valid.", "INVALID_SNAPSHOT_ID");
  auto row = catalog::find_snapshot(txn, region.name, id);
  if (!row || row->account != caller.account) refuse_ebs_unknown(id);
  const bool started = catalog::find_started_snapshot(txn, region.name, id).has_value();
  if (row->state != "pending" || row->generation || !started) {
    const auto* const why = row->state != "pending" ? row->state.c_str()
                            : started               ? "being completed"
                                                    : "not one that StartSnapshot began";
    refuse_ebs("The snapshot '" + id + "' takes no blocks: it is " + why + ".", "INVALID_SNAPSHOT_ID");
  }
  return *std::move(row);
}
Snapshot writable(Region& region, const Principal& caller, const std::string& id) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return writable(txn, region, caller, id); });
}

// Its domains are filled in outside of the transaction.
blocks::NewVolume head_of(catalog::Txn& txn, const Region& region, const Snapshot& snapshot) {
  const auto root = catalog::select_one<catalog::Root>(txn, "WHERE region = $1 AND kind = $2 AND owner = $3",
                                                       {region.name, std::string(root_kind), snapshot.id});
  const auto digest = root ? base::Digest::from_hex(root->digest) : std::nullopt;
  if (!digest) throw std::runtime_error("started snapshot " + snapshot.id + " has no root");
  return {.volume = snapshot.id,
          .size_bytes = static_cast<std::uint64_t>(snapshot.size_bytes),
          .base = {.root = *digest, .size_bytes = static_cast<std::uint64_t>(root->size_bytes)}};
}

[[noreturn]] void refuse_failure(const std::string& id, const base::Error& error) {
  if (error.fault() == Fault::fenced) {
    refuse_ebs("The snapshot '" + id + "' takes no blocks: " + error.message() + ".", "INVALID_SNAPSHOT_ID");
  }
  if (error.fault() == Fault::busy) {
    throw ApiError("RequestThrottledException", "The snapshot '" + id + "' is busy: " + error.message() + ".", 400,
                   "RESOURCE_LEVEL_THROTTLE");
  }
  if (error.fault() == Fault::invalid) refuse_ebs(error.message(), "INVALID_PARAMETER_VALUE");
  throw std::runtime_error("writing " + id + ": " + error.message());
}

// The caller has read the rows. They are read again with the head at hand, since one that is not open may be that of a
// snapshot whose writing has just ended (snapshot_heads.h).
std::shared_ptr<SnapshotHead> open_head(Region& region, const Principal& caller, const std::string& id) {
  auto head = region.snapshot_heads.of(id);
  if (head->is_open()) return head;
  blocks::NewVolume what;
  try {
    const auto snapshot = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
      auto row = writable(txn, region, caller, id);
      what = head_of(txn, region, row);
      return row;
    });
    // A parent is of the same key.
    what.domain = what.base_domain = domain_of(region, snapshot.kms_key_arn);
  } catch (const KeyNotAccessible& refusal) {
    region.snapshot_heads.forget(id, head);
    throw ApiError("AccessDeniedException", refusal.what(), 403, "DEPENDENCY_ACCESS_DENIED");
  } catch (...) {
    region.snapshot_heads.forget(id, head);
    throw;
  }
  if (auto opened = head->open(what); !opened) refuse_failure(id, opened.error());
  return head;
}

// --- jobs

void step_store(Region& region, jobs::Context& job) { store_started(region, job, job.job().subject); }

void step_clean(Region& region, jobs::Context& job) {
  const auto& id = job.job().subject;
  region.snapshot_heads.end(id);
  const auto removed = blocks::Volume::remove(region.files, region.snapshot_heads.directory_of(id));
  if (!removed) {
    const bool busy = removed.error().fault() == Fault::busy;
    throw jobs::Retry("removing the blocks of " + id + ": " + removed.error().message(),
                      busy ? base::seconds(1) / 5 : base::seconds(5));
  }
  job.in_txn([&](catalog::Txn& txn) {
    catalog::drop_roots(txn, region.name, root_kind, id);
    txn.execute("DELETE FROM started_snapshot WHERE region = $1 AND id = $2", {region.name, id});
  });
}

void give_up(Region& region, const catalog::StartedSnapshot& started) {
  const bool ended = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto snapshot = catalog::find_snapshot(txn, region.name, started.id);
    if (!snapshot || snapshot->state != "pending" || snapshot->generation) return false;
    fail_snapshot(txn, region, started.id,
                  "No block was written, nor the snapshot completed, for " + std::to_string(started.timeout_minutes) +
                      " minutes.");
    end_started_snapshot(txn, region, *snapshot);
    return true;
  });
  if (!ended) return;
  base::log_info("control", "{} was not completed in time", started.id);
  region.jobs.wake();
}

}  // namespace

StartedSnapshot start_snapshot(Region& region, const Principal& caller, SnapshotToWrite what) {
  check(what);
  StartedSnapshot fresh{.id = base::new_id("snap"), .started = region.clock.now()};
  fresh.key_arn = with_ebs_key(region, caller.account, [&] {
    return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
      return made_before(txn, what.client_token) ? std::string() : key_of(txn, region, caller, what);
    });
  });
  check_key(region, caller, fresh.key_arn);
  auto made = catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    if (const auto before = made_before(txn, what.client_token)) return *before;
    insert_rows(txn, region, caller, what, fresh);
    if (what.client_token) {
      what.client_token->result = fresh.id;
      what.client_token->created = fresh.started;
      catalog::remember_client_token(txn, *what.client_token);
    }
    return fresh;
  });
  // Its time runs from here, not from the start of the daemon.
  if (made.id == fresh.id) region.snapshot_heads.of(made.id);
  return made;
}

void put_block(Region& region, const Principal& caller, const BlockToWrite& what) {
  const auto snapshot = writable(region, caller, what.snapshot_id);
  const auto blocks = static_cast<std::uint64_t>(snapshot.size_bytes) / blocks::chunk_bytes;
  if (what.index >= blocks) {
    refuse_ebs("Block " + std::to_string(what.index) + " is past the end: the last one of " + snapshot.id + " is " +
                   std::to_string(blocks - 1) + ".",
               "INVALID_BLOCK");
  }
  const auto head = open_head(region, caller, what.snapshot_id);
  if (auto put = head->put(what.index, what.bytes, what.digest); !put) refuse_failure(snapshot.id, put.error());
  // 100% is for what is completed.
  if (!what.progress || !head->advances(std::min(99, *what.progress))) return;
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    txn.execute("UPDATE snapshot SET progress = $3 WHERE region = $1 AND id = $2 AND state = 'pending'",
                {region.name, snapshot.id, std::to_string(std::min(99, *what.progress)) + "%"});
  });
}

void complete_snapshot(Region& region, const Principal& caller, const WrittenBlocks& what) {
  const auto& id = what.snapshot_id;
  writable(region, caller, id);
  const auto head = open_head(region, caller, id);
  const auto generation = head->seal({.blocks = what.count, .linear_checksum = what.linear_checksum});
  if (!generation) refuse_failure(id, generation.error());
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    auto snapshot = writable(txn, region, caller, id);
    snapshot.generation = static_cast<std::int64_t>(*generation);
    catalog::update(txn, snapshot);
    region.jobs.start(txn, {.region = region.name, .kind = "store-snapshot", .subject = id, .arguments = {}});
  });
  region.snapshot_heads.end(id);
  region.jobs.wake();
}

void end_started_snapshot(catalog::Txn& txn, Region& region, const Snapshot& snapshot) {
  // The job that stores it removes them, too.
  if (snapshot.generation || !catalog::find_started_snapshot(txn, region.name, snapshot.id)) return;
  region.jobs.start(txn,
                    {.region = region.name, .kind = "end-started-snapshot", .subject = snapshot.id, .arguments = {}});
}

void end_overdue_snapshots(Region& region, base::Micros now) {
  const auto started =
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return catalog::started_snapshots(txn, region.name); });
  for (const auto& row : started) {
    if (now - region.snapshot_heads.last_put(row.id) > base::seconds(60 * row.timeout_minutes)) give_up(region, row);
  }
}

void add_snapshot_write_jobs(jobs::Runner& runner, Regions& regions) {
  const auto in_region = [&regions](void (*step)(Region&, jobs::Context&)) {
    return [&regions, step](jobs::Context& job) { step(regions.at(job.job().region), job); };
  };
  const auto failed = [&regions](catalog::Txn& txn, const catalog::Job& job) {
    fail_snapshot(txn, regions.at(job.region), job.subject, job.error);
  };
  runner.add({.name = "store-snapshot",
              .steps = {{"store", in_region(step_store), in_region(step_clean)}, {"clean", in_region(step_clean)}},
              .on_failed = failed});
  runner.add({.name = "end-started-snapshot", .steps = {{"clean", in_region(step_clean)}}});
}

}  // namespace kiln::control
