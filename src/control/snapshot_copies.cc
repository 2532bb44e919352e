#include "control/snapshot_copies.h"

#include <algorithm>
#include <stdexcept>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "blocks/usage.h"
#include "catalog/blocks.h"
#include "control/block_fetch.h"
#include "control/images.h"
#include "control/key_domains.h"
#include "control/snapshot_recoding.h"
#include "control/snapshot_sharing.h"
#include "control/tags.h"
#include "control/upload_session.h"
#include "jobs/arguments.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Snapshot;

constexpr const char* job_kind = "copy-snapshot";

// The snapshot was deleted, or failed, while it was being copied.
struct NotPending {};

std::optional<Snapshot> find(Region& region, const std::string& id) {
  return catalog::in_read(region.catalog,
                          [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, region.name, id); });
}

// --- requests

void check_limit(catalog::Txn& txn, const Region& region, const Principal& caller) {
  std::size_t pending = 0;
  for (const auto& job : catalog::unfinished_jobs(txn, region.name)) {
    if (job.kind != job_kind) continue;
    const auto snapshot = catalog::find_snapshot(txn, region.name, jobs::parse_arguments(job.arguments)["snapshot"]);
    pending += snapshot && snapshot->account == caller.account && snapshot->state == "pending" ? 1 : 0;
  }
  if (pending < most_pending_copies) return;
  throw ApiError("ResourceLimitExceeded", "The limit of " + std::to_string(most_pending_copies) +
                                              " snapshot copies in progress to region " + region.name +
                                              " is reached. Wait for one to complete.");
}

void remember(catalog::Txn& txn, const std::optional<catalog::ClientToken>& token, const std::string& id) {
  if (!token) return;
  auto row = *token;
  row.result = id;
  catalog::remember_client_token(txn, row);
}

Snapshot copy_row(Region& region, const PendingCopy& what) {
  return {.region = region.name,
          .id = what.id,
          .account = {},
          .volume_id = "vol-ffffffff",
          .state = "pending",
          .description = what.description,
          .size_gib = what.source.size_gib,
          .size_bytes = what.source.size_gib << 30,
          .encrypted = !what.key_arn.empty(),
          .image_id = what.image_id,
          .started = region.clock.now(),
          .kms_key_arn = what.key_arn};
}

SnapshotDetails copy_here(Region& region, const Principal& caller, const NewSnapshotCopy& what, PendingCopy copy) {
  const auto full_bytes = full_bytes_of(region, caller, what.source_snapshot_id);
  return catalog::in_txn(region.catalog, [&](catalog::Txn& txn) {
    const auto source = readable_snapshot(txn, region, caller.account, what.source_snapshot_id);
    if (takes_encryption_away(what.encryption, source.encrypted)) refuse_taking_encryption_away(source.id);
    auto choice = choice_from(source, caller.account, what.encryption);
    choice.without_key = KeyOfSource::take_default;
    copy.key_arn = choose_key(txn, region, choice);
    SnapshotDetails made;
    made.snapshot = add_local_copy(txn, region, caller, source, copy, full_bytes);
    add_tags(txn, region, caller.account, copy.id, what.tags);
    remember(txn, what.client_token, copy.id);
    made.tags = tags_of(txn, region, caller.account, copy.id);
    return made;
  });
}

// --- the job

class Copy {
 public:
  Copy(Region& region, jobs::Context& job, const CopyOptions& options)
      : region_(region), job_(job), options_(options), snapshot_id_(job.argument("snapshot")) {}

  void run() {
    const auto row = find(region_, snapshot_id_);
    if (!row || row->state != "pending") return;
    const auto account = job_.argument("account");
    const auto source =
        open_source(region_, job_.argument("source_region"),
                    {.account = account, .arn = job_.argument("principal"), .user_id = account, .access_key = {}});
    domain_ = keys_of_domain(region_, domain_for_new(region_, account, row->kms_key_arn));
    UploadSession session(region_,
                          {.job = job_.job().id, .fence = job_.job().fence, .domain = domain_, .resume = true});
    session_ = &session;
    try {
      bring(*source, row->size_gib);
    } catch (const NotPending&) {
      base::log_info("control", "{}: no longer wanted, after {} blocks", snapshot_id_, progress_.blocks);
    } catch (const SourceFailure& failure) {
      session.suspend();
      try_again(failure.what());
    } catch (const BadResumedPack& bad) {
      session.suspend();
      throw jobs::Retry(bad.what(), options_.first_pause);
    } catch (const jobs::LeaseLost&) {
      session.suspend();
      throw;
    }
  }

 private:
  void bring(SourceRegion& source, std::int64_t size_gib) {
    const auto source_id = job_.argument("source_snapshot");
    const auto told = fetch_blocks(source, source_id, session_->ingest(), progress_, [this] { tick(); });
    if (told.size_bytes > static_cast<std::uint64_t>(size_gib) << 30) {
      throw std::runtime_error("the source's disk of " + std::to_string(told.size_bytes) + " bytes is longer than " +
                               std::to_string(size_gib) + " GiB");
    }
    const auto disk = session_->store(told.size_bytes, [this] { tick(); });
    // Other keys make another tree of the same blocks; each of them was checked.
    if (domain_ == nullptr && told.root && *told.root != disk.root) {
      throw std::runtime_error("the copy of " + source_id + " is of another content: its tree is " + disk.root.hex() +
                               ", the source's " + told.root->hex());
    }
    const auto full_bytes = blocks::data_bytes(region_.store, disk);
    if (!full_bytes) throw std::runtime_error("counting " + snapshot_id_ + ": " + full_bytes.error().message());
    session_->commit([&](const auto& body) { job_.in_txn(body); },
                     [&](catalog::Txn& txn) { complete(txn, disk, *full_bytes); });
    base::log_info("control", "{}: copied {} from {}: {} blocks, of which {} were fetched in this run", snapshot_id_,
                   source_id, job_.argument("source_region"), progress_.blocks, progress_.fetched);
  }

  void tick() {
    job_.keep_alive();
    session_->heartbeat();
    const auto percent = progress_.disk_blocks == 0 ? 0 : progress_.position * 100 / progress_.disk_blocks;
    // 100% is for what is committed.
    const auto text = std::to_string(std::min<std::uint64_t>(99, percent)) + "%";
    const auto row = find(region_, snapshot_id_);
    if (!row || row->state != "pending") throw NotPending{};
    if (row->progress == text) return;
    job_.in_txn([&](catalog::Txn& txn) {
      txn.execute("UPDATE snapshot SET progress = $3 WHERE region = $1 AND id = $2 AND state = 'pending'",
                  {region_.name, snapshot_id_, text});
    });
  }

  void complete(catalog::Txn& txn, const blocks::DiskId& disk, std::uint64_t full_bytes) {
    auto row = catalog::find_snapshot(txn, region_.name, snapshot_id_);
    if (!row || row->state != "pending") throw NotPending{};
    catalog::insert(txn, catalog::Root{.region = region_.name,
                                       .kind = "snapshot",
                                       .owner = snapshot_id_,
                                       .digest = disk.root.hex(),
                                       .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
    row->state = "completed";
    row->progress = "100%";
    row->size_bytes = static_cast<std::int64_t>(disk.size_bytes);
    row->full_bytes = static_cast<std::int64_t>(full_bytes);
    row->completed = region_.clock.now();
    catalog::update(txn, *row);
    if (!row->image_id.empty()) image_got_snapshot(txn, region_, row->image_id);
  }

  [[noreturn]] void try_again(const std::string& why) {
    int failures = 1;
    if (const auto before = job_.argument("failures"); progress_.fetched == 0 && !before.empty()) {
      failures += std::stoi(before);
    }
    if (failures >= options_.most_failures) {
      throw std::runtime_error("The source failed " + std::to_string(failures) + " times in a row: " + why);
    }
    job_.note("failures", std::to_string(failures));
    const auto pause = std::min(options_.longest_pause, options_.first_pause << std::min(failures - 1, 16));
    base::log_warning("control", "{}: {}; trying again in {} ms ({} of {})", snapshot_id_, why, pause / 1000, failures,
                      options_.most_failures);
    throw jobs::Retry(why, pause);
  }

  Region& region_;
  jobs::Context& job_;
  const CopyOptions& options_;
  const std::string snapshot_id_;
  UploadSession* session_ = nullptr;
  blocks::DomainPtr domain_;  // that the copy is encrypted in; null: none
  FetchProgress progress_;
};

}  // namespace

std::int64_t full_bytes_of(Region& region, const Principal& caller, const std::string& snapshot_id) {
  Snapshot source;
  blocks::DiskId disk;
  region.catalog.read([&](catalog::Txn& txn) {
    source = readable_snapshot(txn, region, caller.account, snapshot_id);
    disk = snapshot_disk(txn, region, source);
  });
  // The row of a source that has just been completed may not know it yet.
  if (source.full_bytes > 0 || disk.root.is_null()) return source.full_bytes;
  const auto counted = blocks::data_bytes(region.store, disk);
  if (!counted) throw std::runtime_error("counting " + snapshot_id + ": " + counted.error().message());
  return static_cast<std::int64_t>(*counted);
}

Snapshot add_local_copy(catalog::Txn& txn, Region& region, const Principal& caller, const Snapshot& source,
                        const PendingCopy& what, std::int64_t full_bytes) {
  const auto disk = snapshot_disk(txn, region, source);
  auto row = copy_row(region, what);
  row.account = caller.account;
  if (row.encrypted) {
    row.size_gib = source.size_gib;
    row.size_bytes = source.size_bytes;
    catalog::insert(txn, row);
    start_recoding(txn, region, row, source);
    return row;
  }
  row.state = "completed";
  row.progress = "100%";
  row.size_gib = source.size_gib;
  row.size_bytes = source.size_bytes;
  row.full_bytes = full_bytes;
  row.completed = row.started;
  catalog::insert(txn, row);
  catalog::insert(txn, catalog::Root{.region = region.name,
                                     .kind = "snapshot",
                                     .owner = row.id,
                                     .digest = disk.root.hex(),
                                     .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
  return row;
}

Snapshot add_pending_copy(catalog::Txn& txn, Region& region, const Principal& caller, const PendingCopy& what) {
  check_limit(txn, region, caller);
  auto row = copy_row(region, what);
  row.account = caller.account;
  catalog::insert(txn, row);
  region.jobs.start(txn, {.region = region.name,
                          .kind = job_kind,
                          .subject = "copies-from-" + what.source_region,
                          .arguments = {{"snapshot", what.id},
                                        {"source_region", what.source_region},
                                        {"source_snapshot", what.source.id},
                                        {"account", caller.account},
                                        {"principal", caller.arn}}});
  return row;
}

SnapshotDetails copy_snapshot(Region& region, const Principal& caller, const NewSnapshotCopy& what) {
  if (what.description.size() > 255) {
    throw ApiError("InvalidParameterValue", "The description is longer than 255 characters.");
  }
  PendingCopy copy{.source_region = what.source_region,
                   .source = {.id = what.source_snapshot_id},
                   .id = base::new_id("snap"),
                   .description = what.description};
  if (copy.description.empty()) {
    copy.description = "[Copied " + what.source_snapshot_id + " from " + what.source_region + "]";
  }
  if (what.source_region == region.name) {
    auto made = with_ebs_key(region, caller.account, [&] { return copy_here(region, caller, what, copy); });
    region.jobs.wake();
    return made;
  }
  copy.source = describe_source(*open_source(region, what.source_region, caller), what.source_snapshot_id);
  if (takes_encryption_away(what.encryption, copy.source.encrypted)) {
    refuse_taking_encryption_away(what.source_snapshot_id);
  }
  const auto in_txn = [&](catalog::Txn& txn) {
    SnapshotDetails details;
    // The source's key is of its region.
    copy.key_arn = choose_key(txn, region,
                              {.account = caller.account,
                               .wish = what.encryption,
                               .source_encrypted = copy.source.encrypted,
                               .source_key = {}});
    details.snapshot = add_pending_copy(txn, region, caller, copy);
    add_tags(txn, region, caller.account, copy.id, what.tags);
    remember(txn, what.client_token, copy.id);
    details.tags = tags_of(txn, region, caller.account, copy.id);
    return details;
  };
  auto made = with_ebs_key(region, caller.account, [&] { return catalog::in_txn(region.catalog, in_txn); });
  region.jobs.wake();
  return made;
}

SourceSnapshot describe_source(SourceRegion& source, const std::string& snapshot_id) {
  try {
    auto found = source.snapshot(snapshot_id);
    if (found.state == "completed") return found;
    throw ApiError("IncorrectState", "Snapshot is in invalid state - " + found.state);
  } catch (const SourceFailure& failure) {
    refuse_unreachable(failure);
  }
}

void refuse_taking_encryption_away(const std::string& snapshot_id) {
  throw ApiError("InvalidRequest", "Snapshot " + snapshot_id +
                                       " is encrypted. Creating an unencrypted copy from an encrypted snapshot is not "
                                       "supported.");
}

void refuse_unreachable(const SourceFailure& failure) {
  throw ApiError("Unavailable", std::string("The source region does not answer: ") + failure.what(), 503);
}

void add_copy_jobs(jobs::Runner& runner, Regions& regions, const CopyOptions& options) {
  const auto failed = [&regions](catalog::Txn& txn, const catalog::Job& job) {
    auto& region = regions.at(job.region);
    fail_snapshot(txn, region, jobs::parse_arguments(job.arguments)["snapshot"], job.error);
  };
  const auto copy = [&regions, options](jobs::Context& job) { Copy(regions.at(job.job().region), job, options).run(); };
  runner.add({.name = job_kind, .steps = {{"copy", copy}}, .on_failed = failed});
}

}  // namespace kiln::control
