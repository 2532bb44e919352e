#include "control/upload_session.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "base/ids.h"
#include "base/log.h"
#include "blocks/verify.h"
#include "catalog/blocks.h"
#include "catalog/jobs.h"

namespace kiln::control {
namespace {

using base::Error;
using base::Fault;
using base::Status;

// A pack that the new tree shares was condemned between its look-up and the commit.
struct Condemned {};
// Each round stores again what was condemned, in packs of the session's own, so the second one commits unless chunks
// that were deduplicated in it are condemned too.
constexpr int most_rounds = 8;
constexpr base::Micros heartbeat_interval = base::seconds(5);

}  // namespace

// The epoch of its id is that of the first session of the job: what was condemned since may still be a base of what
// that one stored.
void UploadSession::begin(catalog::Txn& txn, const Options& options) {
  epoch_ = static_cast<std::uint64_t>(catalog::current_epoch(txn, region_.name));
  std::vector<std::string> earlier;
  auto first_epoch = static_cast<std::int64_t>(epoch_);
  for (const auto& session : catalog::sessions(txn, region_.name)) {
    if (options.job.empty() || session.job != options.job) continue;
    earlier.push_back(session.id);
    if (options.resume) first_epoch = std::min(first_epoch, session_epoch(session.id));
  }
  id_ = std::to_string(first_epoch) + "-" + base::new_uuid();
  resumed_.clear();
  for (const auto& session : earlier) {
    if (options.resume) take_over(txn, session);
    end_session(txn, region_, session);
  }
  catalog::insert(txn, catalog::Session{.region = region_.name,
                                        .id = id_,
                                        .fence = options.fence,
                                        .job = options.job,
                                        .heartbeat = region_.clock.now()});
  if (options.parent && !options.parent->root.is_null()) {
    catalog::insert(txn, catalog::Root{.region = region_.name,
                                       .kind = "session",
                                       .owner = id_,
                                       .digest = options.parent->root.hex(),
                                       .size_bytes = static_cast<std::int64_t>(options.parent->size_bytes)});
  }
}

// A pack's row is written before its bytes, so there may be rows without a pack: those are never found, and the
// collector removes them when this session has ended.
void UploadSession::take_over(catalog::Txn& txn, const std::string& earlier) {
  for (auto& pack : catalog::packs_in_state(txn, region_.name, "uploading")) {
    if (pack.session != earlier) continue;
    pack.session = id_;
    catalog::update(txn, pack);
    if (const auto id = blocks::PackId::from_text(pack.id)) resumed_.insert(*id);
  }
}

UploadSession::UploadSession(Region& region, Options options) : region_(region) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) { begin(txn, options); });
  ingest_ = std::make_unique<blocks::Ingest>(
      region.store,
      blocks::IngestOptions{.session = id_,
                            .parent = options.parent,
                            .domain = options.domain,
                            .epoch = epoch_,
                            .threads = options.threads,
                            .usable = [this](const blocks::PackId& pack) { return usable(pack); },
                            .before_pack = [this](const blocks::PackId& pack,
                                                  blocks::PackKind kind) { return before_pack(pack, kind); }});
}

UploadSession::~UploadSession() {
  try {
    abandon();
  } catch (const std::exception& e) {
    // Its row stays: the next run of its job, or the next start, ends it.
    base::log_warning("control", "upload session {} could not be ended: {}", id_, e.what());
  }
}

bool UploadSession::usable(const blocks::PackId& pack) {
  try {
    const auto row = catalog::in_read(
        region_.catalog, [&](catalog::Txn& txn) { return catalog::find_pack(txn, region_.name, pack.text()); });
    return row && (row->state == "live" || (row->state == "uploading" && row->session == id_));
  } catch (const std::exception& e) {
    // Storing a chunk once more is always right.
    base::log_warning("control", "pack {}: {}", pack.text(), e.what());
    return false;
  }
}

Status UploadSession::before_pack(const blocks::PackId& pack, blocks::PackKind kind) {
  try {
    region_.catalog.run_in_txn([&](catalog::Txn& txn) {
      // A session that was ended may have been followed by another one: it must not leave packs that nobody collects.
      if (!catalog::find_session(txn, region_.name, id_)) throw std::runtime_error("session " + id_ + " was ended");
      catalog::insert(txn, catalog::Pack{.region = region_.name,
                                         .id = pack.text(),
                                         .kind = kind == blocks::PackKind::nodes ? "node" : "data",
                                         .state = "uploading",
                                         .session = id_,
                                         .last_ref_epoch = catalog::current_epoch(txn, region_.name)});
    });
    return {};
  } catch (const std::exception& e) {
    return Error(Fault::fenced, e.what());
  }
}

void UploadSession::heartbeat() {
  const auto now = region_.clock.monotonic();
  if (last_heartbeat_ != 0 && now - last_heartbeat_ < heartbeat_interval) return;
  last_heartbeat_ = now;
  region_.catalog.run_in_txn([&](catalog::Txn& txn) {
    txn.execute("UPDATE session SET heartbeat = $3 WHERE region = $1 AND id = $2",
                {region_.name, id_, region_.clock.now()});
  });
}

blocks::DiskId UploadSession::store(std::uint64_t size_bytes, const std::function<void()>& still_at_it) {
  auto finished = ingest_->finish(size_bytes);
  if (!finished) throw std::runtime_error("storing: " + finished.error().message());
  ingested_ = std::move(*finished);
  verify_written(still_at_it);
  return ingested_.disk;
}

// Past every cache: what is called stored has been read back from where it will be read.
void UploadSession::verify_written(const std::function<void()>& still_at_it) {
  for (const auto& pack : ingested_.packs_written) {
    verify(pack.id);
    if (still_at_it) still_at_it();
  }
  // The daemon that wrote them did not get so far.
  for (const auto& pack : resumed_) {
    if (!ingested_.packs_referenced.contains(pack)) continue;
    verify(pack);
    if (still_at_it) still_at_it();
  }
}

void UploadSession::verify(const blocks::PackId& pack) {
  if (verified_.contains(pack)) return;
  const auto bad = blocks::verify_pack(region_.store, pack);
  if (!bad) throw std::runtime_error("reading back pack " + pack.text() + ": " + bad.error().message());
  if (!bad->empty()) refuse_pack(pack, "reading back pack " + pack.text() + ": " + bad->front().why);
  verified_.insert(pack);
}

// A pack of a daemon that was killed may hold chunks whose bases it was still writing. It is garbage from here on.
void UploadSession::refuse_pack(const blocks::PackId& pack, const std::string& why) {
  if (!resumed_.contains(pack)) throw std::runtime_error(why);
  region_.catalog.run_in_txn([&](catalog::Txn& txn) {
    txn.execute("UPDATE pack SET session = '' WHERE region = $1 AND id = $2 AND state = 'uploading'",
                {region_.name, pack.text()});
  });
  throw BadResumedPack(why);
}

void UploadSession::make_live(catalog::Txn& txn, const blocks::PackId& pack, blocks::PackKind kind,
                              std::uint64_t bytes) {
  catalog::update(txn, catalog::Pack{.region = region_.name,
                                     .id = pack.text(),
                                     .kind = kind == blocks::PackKind::nodes ? "node" : "data",
                                     .state = "live",
                                     .session = id_,
                                     .bytes = static_cast<std::int64_t>(bytes),
                                     .live_bytes = static_cast<std::int64_t>(bytes),
                                     .last_ref_epoch = catalog::current_epoch(txn, region_.name)});
}

void UploadSession::make_resumed_live(catalog::Txn& txn) {
  for (const auto& pack : resumed_) {
    if (!ingested_.packs_referenced.contains(pack)) continue;
    const auto row = catalog::find_pack(txn, region_.name, pack.text());
    const auto bytes = region_.store.pack_store().size(pack);
    if (!row || row->state != "uploading" || row->session != id_ || !bytes) {
      throw std::runtime_error("pack " + pack.text() + " is not session " + id_ + "'s any more");
    }
    make_live(txn, pack, row->kind == "node" ? blocks::PackKind::nodes : blocks::PackKind::data, *bytes);
  }
}

void UploadSession::commit_rows(catalog::Txn& txn) {
  if (!catalog::find_session(txn, region_.name, id_)) throw std::runtime_error("session " + id_ + " was ended");
  make_resumed_live(txn);
  std::vector<std::string> referenced;
  for (const auto& pack : ingested_.packs_referenced) referenced.push_back(pack.text());
  if (!catalog::reference_packs(txn, region_.name, referenced).empty()) throw Condemned{};
  for (const auto& pack : ingested_.packs_written) make_live(txn, pack.id, pack.kind, pack.bytes);
  end_session(txn, region_, id_);
}

void UploadSession::commit(const InTxn& in_txn, const std::function<void(catalog::Txn&)>& body) {
  for (int round = 1;; ++round) {
    try {
      in_txn([&](catalog::Txn& txn) {
        commit_rows(txn);
        body(txn);
      });
      open_ = false;
      return;
    } catch (const Condemned&) {
      if (round == most_rounds) throw std::runtime_error("packs are condemned faster than they are stored again");
      auto again = ingest_->again();
      if (!again) throw std::runtime_error("storing again: " + again.error().message());
      ingested_ = std::move(*again);
      verify_written({});  // only what was condemned, which is little
    }
  }
}

void UploadSession::abandon() {
  if (!open_) return;
  open_ = false;
  ingest_->abandon();
  region_.catalog.run_in_txn([&](catalog::Txn& txn) { end_session(txn, region_, id_); });
}

void UploadSession::suspend() {
  if (!open_) return;
  const auto written = ingest_->write_out();
  if (!written) base::log_warning("control", "upload session {}: {}", id_, written.error().message());
  open_ = false;
  ingest_->abandon();
}

std::int64_t session_epoch(const std::string& session_id) {
  std::int64_t epoch = 0;
  std::from_chars(session_id.data(), session_id.data() + session_id.size(), epoch);
  return epoch;
}

void end_session(catalog::Txn& txn, const Region& region, const std::string& session_id) {
  catalog::drop_roots(txn, region.name, "session", session_id);
  txn.execute("DELETE FROM session WHERE region = $1 AND id = $2", {region.name, session_id});
}

void abandon_dead_sessions(Region& region) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    for (const auto& session : catalog::sessions(txn, region.name)) {
      const auto job = session.job.empty() ? std::nullopt : catalog::find_job(txn, region.name, session.job);
      if (!job || job->state == "done" || job->state == "failed") end_session(txn, region, session.id);
    }
  });
}

}  // namespace kiln::control
