#include "control/reconcile.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "base/ids.h"
#include "base/log.h"
#include "blocks/volume.h"
#include "catalog/client_tokens.h"
#include "catalog/instances.h"
#include "catalog/jobs.h"
#include "catalog/tags.h"
#include "catalog/volumes.h"
#include "control/boot_traces.h"
#include "control/instance_jobs.h"
#include "control/instance_state.h"
#include "control/key_domains.h"
#include "control/kms_keys.h"
#include "control/metadata.h"
#include "control/recycle_bin.h"
#include "control/snapshot_tiers.h"
#include "control/snapshot_writes.h"
#include "control/usage_reports.h"

namespace kiln::control {
namespace {

using catalog::Instance;
using hypervisor::Cause;
using hypervisor::Power;

constexpr base::Micros forgetting_interval = base::seconds(3600);

// The names in directory; none when it is not there yet.
std::vector<std::string> names_in(base::Files& files, const base::Path& directory) {
  auto names = files.list(directory);
  return names ? std::move(*names) : std::vector<std::string>{};
}

// What is on the host, looked at before the rows: whatever is here had its row committed before it was made.
struct Seen {
  std::map<std::string, hypervisor::DomainState> domains;
  std::vector<std::string> run_directories, volume_directories;
};

struct Rows {
  std::map<std::string, Instance> instances;
  std::set<std::string> volumes;
  std::vector<catalog::Job> jobs;

  // Whether a job that is not finished works on it.
  bool busy(const std::string& id) const { return std::ranges::find(jobs, id, &catalog::Job::subject) != jobs.end(); }
  bool is_imaged(const std::string& id) const {
    return std::ranges::any_of(jobs, [&](const auto& job) { return job.subject == id && job.kind == "create-image"; });
  }
  // Or knows of it.
  bool mentioned(const std::string& id) const {
    return busy(id) ||
           std::ranges::any_of(jobs, [&](const auto& job) { return job.arguments.find(id) != std::string::npos; });
  }
  std::vector<Instance> running() const {
    std::vector<Instance> found;
    for (const auto& [id, instance] : instances) {
      if (instance.state == instance_state::running && !busy(id)) found.push_back(instance);
    }
    return found;
  }
  bool has_instance(const std::string& id) const {
    const auto found = instances.find(id);
    return found != instances.end() && found->second.state != instance_state::terminated;
  }
};

Seen look_at_host(Region& region) {
  Seen seen;
  seen.run_directories = names_in(region.files, region.directory / "run");
  seen.volume_directories = names_in(region.files, region.volumes_directory());
  for (auto& domain : region.host.list()) seen.domains.emplace(domain.instance_id, domain);
  return seen;
}

Rows read_rows(Region& region) {
  return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    Rows rows;
    for (auto& row : catalog::select<Instance>(txn, "WHERE region = $1", {region.name})) rows.instances[row.id] = row;
    for (const auto& row : catalog::select<catalog::Volume>(txn, "WHERE region = $1", {region.name})) {
      rows.volumes.insert(row.id);
    }
    rows.jobs = catalog::unfinished_jobs(txn, region.name);
    return rows;
  });
}

// In one transaction: the job starts only if the row is as it was seen and nobody else has begun to work on it.
void start_job(Region& region, const Instance& seen, const char* kind) {
  region.catalog.run_in_txn([&](catalog::Txn& txn) {
    const auto row = catalog::find_instance(txn, region.name, seen.id);
    if (!row || row->state != seen.state || !catalog::unfinished_jobs_of(txn, region.name, seen.id).empty()) return;
    region.jobs.start(txn, {.region = region.name, .kind = kind, .subject = seen.id, .arguments = {}});
  });
  base::log_info("control", "{} is {} and needs a job: {}", seen.id, seen.state, kind);
  region.jobs.wake();
}

bool is_well(Region& region, const Seen& seen, const Instance& instance) {
  const auto domain = seen.domains.find(instance.id);
  if (domain == seen.domains.end() || domain->second.power == Power::off || domain->second.power == Power::absent) {
    return false;
  }
  if (domain->second.cause == Cause::io_error) return false;
  return region.disk_servers.runs(instance.id);
}

void look_after_instances(Region& region, const Seen& seen, const Rows& rows) {
  for (const auto& [id, instance] : rows.instances) {
    if (rows.busy(id)) {
      // Imaging an instance needs its disk server and waits for it; the others start it themselves.
      if (instance.state == instance_state::running && rows.is_imaged(id) && !region.disk_servers.runs(id)) {
        region.disk_servers.start(id);
      }
    } else if (instance.state == instance_state::running) {
      if (!is_well(region, seen, instance)) start_job(region, instance, instance_job::recover);
    } else if (instance.state == instance_state::stopping) {
      start_job(region, instance, instance_job::stop);
    } else if (instance.state == instance_state::shutting_down) {
      start_job(region, instance, instance_job::terminate);
    }
  }
}

// Regions share a host, so a domain is nobody's only when no region has it.
void remove_strangers(Region& region, const Seen& seen, const Rows& rows, const std::vector<Rows>& all_rows) {
  for (const auto& [id, domain] : seen.domains) {
    if (std::ranges::any_of(all_rows, [&](const Rows& each) { return each.has_instance(id) || each.mentioned(id); })) {
      continue;
    }
    base::log_warning("control", "removing domain {}, which no instance has", id);
    region.host.remove(id);
  }
  for (const auto& id : seen.run_directories) {
    if (!base::is_id("i", id) || rows.has_instance(id) || rows.mentioned(id)) continue;
    base::log_warning("control", "removing the disk server of {}, which no instance has", id);
    region.disk_servers.stop(id);
    std::error_code ignored;
    std::filesystem::remove_all(region.run_directory(id), ignored);
  }
  for (const auto& id : seen.volume_directories) {
    if (!base::is_id("vol", id) || rows.volumes.contains(id) || rows.mentioned(id)) continue;
    base::log_warning("control", "removing the files of {}, which has no row", id);
    const auto removed = blocks::Volume::remove(region.files, region.volume_directory(id));
    if (!removed.ok()) base::log_warning("control", "{}: {}", id, removed.error().message());
  }
}

void prune_terminated(Region& region, const Rows& rows, base::Micros before) {
  for (const auto& [id, instance] : rows.instances) {
    if (instance.state != instance_state::terminated || instance.terminated.value_or(0) > before || rows.mentioned(id))
      continue;
    if (const auto removed = region.files.remove(region.console_log(id));
        !removed.ok() && removed.error().fault() != base::Fault::not_found) {
      base::log_warning("control", "{}: {}", id, removed.error().message());
      continue;
    }
    region.catalog.run_in_txn([&](catalog::Txn& txn) {
      catalog::forget_tags(txn, region.name, id);
      catalog::leave_groups(txn, region.name, id);
      catalog::remove(txn, instance);
    });
  }
}

}  // namespace

Reconciler::Reconciler(Regions& regions, Options options) : regions_(regions), options_(std::move(options)) {}

Reconciler::~Reconciler() { stop(); }

void Reconciler::start() {
  {
    const base::Lock lock(mutex_);
    stopping_ = false;
  }
  thread_ = std::thread([this] { run(); });
}

void Reconciler::stop() {
  {
    const base::Lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Reconciler::run() {
  const std::chrono::microseconds interval(options_.interval);
  for (;;) {
    pass();
    const base::Lock lock(mutex_);
    if (changed_.wait_for(mutex_, interval, [this] { return stopping_; })) return;
  }
}

void Reconciler::forget_client_tokens(Region& region) {
  const base::Micros now = region.clock.now();
  base::Micros& next = next_forgetting_[region.name];
  if (now < next) return;
  region.catalog.run_in_txn(
      [&](catalog::Txn& txn) { catalog::forget_client_tokens(txn, region.name, now - options_.keep_client_tokens); });
  next = now + forgetting_interval;
}

void Reconciler::pass() {
  std::vector<std::optional<Seen>> seen;
  std::vector<Rows> rows;
  // One region's host may be away while the others need their rounds.
  const auto guarded = [&](Region& region, const std::string& what, const std::function<void()>& body) {
    std::string failure;
    try {
      body();
    } catch (const std::exception& error) {
      failure = error.what();
    }
    std::string& former = failures_[region.name + ": " + what];
    if (!failure.empty() && failure != former) {
      base::log_warning("control", "{}: {}: {}", region.name, what, failure);
    }
    former = failure;
    return failure.empty();
  };
  for (const auto& region : regions_.all()) {
    auto& each = seen.emplace_back();
    guarded(*region, "looking at the host", [&] { each = look_at_host(*region); });
  }
  for (const auto& region : regions_.all()) {
    if (!guarded(*region, "reading rows", [&] { rows.push_back(read_rows(*region)); })) return;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Region& region = *regions_.all()[i];
    guarded(region, "forgetting client tokens", [&] { forget_client_tokens(region); });
    guarded(region, "destroying keys", [&] { destroy_due_keys(region); });
    guarded(region, "forgetting keys", [&] { forget_lost_domains(region); });
    guarded(region, "emptying the recycle bin", [&] { empty_recycle_bin(region); });
    guarded(region, "ending temporary restores", [&] { end_temporary_restores(region); });
    guarded(region, "ending usage reports", [&] { end_usage_reports(region); });
    guarded(region, "overdue snapshots", [&] { end_overdue_snapshots(region, region.clock.monotonic()); });
    if (!seen[i]) continue;
    guarded(region, "reconciling", [&] {
      look_after_instances(region, *seen[i], rows[i]);
      remove_strangers(region, *seen[i], rows[i], rows);
      prune_terminated(region, rows[i], region.clock.now() - options_.keep_terminated);
      note_boot_touches(region, rows[i].running());
      if (!options_.network_ready) return;
      for (const auto& vpc_id : vpcs_with_guests(region)) options_.network_ready(region, vpc_id);
    });
  }
}

}  // namespace kiln::control
