#include "control/snapshot_recoding.h"

#include <algorithm>
#include <stdexcept>

#include "blocks/reencode.h"
#include "blocks/usage.h"
#include "catalog/blocks.h"
#include "control/images.h"
#include "control/key_domains.h"
#include "control/snapshots.h"
#include "control/upload_session.h"
#include "jobs/arguments.h"

namespace kiln::control {
namespace {

using catalog::Snapshot;
using catalog::Txn;

constexpr const char* root_kind = "recoded";

// Jobs of one subject run one after the other: two at a time leave the workers and the processors for others.
std::string lane_of(const std::string& snapshot_id) {
  return std::string("recoding-") + (snapshot_id.back() % 2 == 0 ? "a" : "b");
}

// The copy was deleted, or failed, meanwhile.
struct NotPending {};

class Recoding {
 public:
  Recoding(Region& region, jobs::Context& job) : region_(region), job_(job), id_(job.argument("snapshot")) {}

  void run() {
    const auto row = find();
    if (!row || row->state != "pending") return;
    const auto target = domain_for_new(region_, row->account, row->kms_key_arn);
    const auto source_key = job_.argument("source_key");
    const auto source = source_key == row->kms_key_arn ? target : domain_to_read(region_, row->account, source_key);
    const auto disk = source_disk();
    try {
      if (source == target) {
        finish(disk, [&](const auto& body) { job_.in_txn(body); });
      } else {
        store_anew(disk, keys_of_domain(region_, target));
      }
    } catch (const NotPending&) {
      // Its row and its root have gone; what was stored is garbage.
    }
  }

 private:
  std::optional<Snapshot> find() {
    return catalog::in_read(region_.catalog, [&](Txn& txn) { return catalog::find_snapshot(txn, region_.name, id_); });
  }

  blocks::DiskId source_disk() {
    const auto root = catalog::in_read(region_.catalog, [&](Txn& txn) {
      return catalog::select_one<catalog::Root>(txn, "WHERE region = $1 AND kind = $2 AND owner = $3",
                                                {region_.name, std::string(root_kind), id_});
    });
    const auto digest = root ? base::Digest::from_hex(root->digest) : std::nullopt;
    if (!digest) throw std::runtime_error("the copy " + id_ + " has no root of its source");
    return {.root = *digest, .size_bytes = static_cast<std::uint64_t>(root->size_bytes)};
  }

  void store_anew(const blocks::DiskId& disk, blocks::DomainPtr domain) {
    UploadSession session(region_, {.job = job_.job().id, .fence = job_.job().fence, .domain = std::move(domain)});
    const auto chunks = std::max<std::uint64_t>(1, disk.size_bytes / blocks::chunk_bytes);
    const auto put = blocks::put_disk(region_.store, disk, session.ingest(), [&](std::uint64_t index) {
      tick(session, index * 100 / chunks);
      return true;
    });
    if (!put && put.error().fault() == base::Fault::no_key) throw KeyNotAccessible();
    if (!put) throw std::runtime_error("storing " + id_ + ": " + put.error().message());
    const auto stored = session.store(disk.size_bytes, [&] { job_.keep_alive(); });
    finish(stored, [&](const auto& body) { session.commit([&](const auto& inner) { job_.in_txn(inner); }, body); });
  }

  // Once a second.
  void tick(UploadSession& session, std::uint64_t percent) {
    const auto now = region_.clock.monotonic();
    if (now - last_tick_ < base::seconds(1)) return;
    last_tick_ = now;
    job_.keep_alive();
    session.heartbeat();
    const auto row = find();
    if (!row || row->state != "pending") throw NotPending{};
    job_.in_txn([&](Txn& txn) {
      txn.execute("UPDATE snapshot SET progress = $3 WHERE region = $1 AND id = $2 AND state = 'pending'",
                  {region_.name, id_, std::to_string(std::min<std::uint64_t>(99, percent)) + "%"});
    });
  }

  template <class Commit>
  void finish(const blocks::DiskId& disk, Commit commit) {
    const auto full_bytes = blocks::data_bytes(region_.store, disk);
    if (!full_bytes) throw std::runtime_error("counting " + id_ + ": " + full_bytes.error().message());
    commit([&](Txn& txn) {
      auto row = catalog::find_snapshot(txn, region_.name, id_);
      if (!row || row->state != "pending") throw NotPending{};
      drop_recoded_root(txn, region_, id_);
      catalog::insert(txn, catalog::Root{.region = region_.name,
                                         .kind = "snapshot",
                                         .owner = id_,
                                         .digest = disk.root.hex(),
                                         .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
      row->state = "completed";
      row->progress = "100%";
      row->size_bytes = static_cast<std::int64_t>(disk.size_bytes);
      row->full_bytes = static_cast<std::int64_t>(*full_bytes);
      row->completed = region_.clock.now();
      catalog::update(txn, *row);
      if (!row->image_id.empty()) image_got_snapshot(txn, region_, row->image_id);
    });
  }

  Region& region_;
  jobs::Context& job_;
  const std::string id_;
  base::Micros last_tick_ = 0;
};

}  // namespace

void start_recoding(Txn& txn, Region& region, const Snapshot& copy, const Snapshot& source) {
  const auto disk = snapshot_disk(txn, region, source);
  catalog::insert(txn, catalog::Root{.region = region.name,
                                     .kind = root_kind,
                                     .owner = copy.id,
                                     .digest = disk.root.hex(),
                                     .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
  region.jobs.start(txn, {.region = region.name,
                          .kind = "recode-snapshot",
                          .subject = lane_of(copy.id),
                          .arguments = {{"snapshot", copy.id}, {"source_key", source.kms_key_arn}}});
}

void drop_recoded_root(Txn& txn, const Region& region, const std::string& snapshot_id) {
  catalog::drop_roots(txn, region.name, root_kind, snapshot_id);
}

void add_recoding_jobs(jobs::Runner& runner, Regions& regions) {
  const auto recode = [&regions](jobs::Context& job) { Recoding(regions.at(job.job().region), job).run(); };
  const auto failed = [&regions](Txn& txn, const catalog::Job& job) {
    auto& region = regions.at(job.region);
    const auto id = jobs::parse_arguments(job.arguments)["snapshot"];
    fail_snapshot(txn, region, id, job.error);
    drop_recoded_root(txn, region, id);
  };
  runner.add({.name = "recode-snapshot", .steps = {{"recode", recode}}, .on_failed = failed});
}

}  // namespace kiln::control
