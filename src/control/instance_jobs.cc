#include "control/instance_jobs.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "base/log.h"
#include "catalog/network.h"
#include "catalog/volumes.h"
#include "control/guest_power.h"
#include "control/instance_state.h"
#include "control/key_domains.h"
#include "control/recycle_bin.h"
#include "control/volumes.h"
#include "jobs/arguments.h"

namespace kiln::control {
namespace {

using catalog::Instance;
using hypervisor::Cause;
using hypervisor::Power;
using jobs::Context;

constexpr base::Micros pause_after_failure = base::seconds(2);
constexpr base::Micros terminate_grace = base::seconds(30);
constexpr int boot_attempts = 5;

// A step of an instance's job: does its work while the row is in the state that the job is for. When it is in another
// one, somebody has asked for something else meanwhile, and the job of that comes next.
using Work = std::function<void(Region&, Context&, const Instance&)>;

jobs::Step step(std::string name, Regions& regions, std::string_view state, Work work, Work undo = {}) {
  const auto row = [&regions](Context& job) {
    return catalog::in_read(regions.at(job.job().region).catalog, [&](catalog::Txn& txn) {
      return catalog::find_instance(txn, job.job().region, job.job().subject);
    });
  };
  jobs::Step made;
  made.name = std::move(name);
  made.run = [=, &regions](Context& job) {
    const auto instance = row(job);
    if (instance && instance->state == state) work(regions.at(job.job().region), job, *instance);
  };
  if (undo) {
    made.undo = [=, &regions](Context& job) {
      if (const auto instance = row(job)) undo(regions.at(job.job().region), job, *instance);
    };
  }
  return made;
}

// Work that is never given up: what fails is tried again, for as long as it takes.
Work until_done(Work work) {
  return [work = std::move(work)](Region& region, Context& job, const Instance& instance) {
    try {
      work(region, job, instance);
    } catch (const jobs::Retry&) {
      throw;
    } catch (const jobs::LeaseLost&) {
      throw;
    } catch (const std::exception& error) {
      base::log_warning("control", "{}: {}, trying again", instance.id, error.what());
      throw jobs::Retry(error.what(), pause_after_failure);
    }
  };
}

// Changes the row if it still is in this state.
void change_row(Region& region, Context& job, std::string_view from,
                const std::function<void(catalog::Txn&, Instance&)>& body) {
  job.in_txn([&](catalog::Txn& txn) {
    auto instance = catalog::find_instance(txn, region.name, job.job().subject);
    if (!instance || instance->state != from) return;
    body(txn, *instance);
    catalog::update(txn, *instance);
  });
}

void remove_guest(Region& region, Context&, const Instance& instance) {
  region.host.remove(instance.id);
  region.disk_servers.stop(instance.id);
  std::error_code error;
  std::filesystem::remove_all(region.run_directory(instance.id), error);
  if (error) throw std::runtime_error("remove " + region.run_directory(instance.id).string() + ": " + error.message());
}

void remove_address(Region& region, Context&, const Instance& instance) {
  region.host.remove_address({.vpc_id = instance.vpc_id, .mac = instance.mac, .private_ip = instance.private_ip});
}

void boot(Region& region, Context& job, const Instance& instance, const InstanceJobsOptions& options) {
  boot_guest(region, job, instance);
  if (options.network_ready) options.network_ready(region, instance.vpc_id);
}

void mark_running(Region& region, Context& job, const Instance&) {
  change_row(region, job, instance_state::pending, [&](catalog::Txn& txn, Instance& instance) {
    become_running(instance);
    for (auto attachment : catalog::attachments_of_instance(txn, region.name, instance.id)) {
      attachment.state = "attached";
      catalog::update(txn, attachment);
    }
  });
}

// --- launch

void make_volumes(Region& region, Context& job, const Instance& instance) {
  const auto volumes = catalog::in_read(
      region.catalog, [&](catalog::Txn& txn) { return catalog::volumes_of_instance(txn, region.name, instance.id); });
  for (const auto& volume : volumes) {
    job.keep_alive();
    try {
      make_volume_files(region, volume);
    } catch (const KeyNotAccessible& refusal) {
      refuse_boot(volume.id, refusal.what());
    }
  }
  job.in_txn([&](catalog::Txn& txn) {
    for (auto volume : catalog::volumes_of_instance(txn, region.name, instance.id)) {
      if (volume.state != "creating") continue;
      volume.state = "in-use";
      catalog::update(txn, volume);
    }
  });
}

// What a terminated instance no longer holds: its volumes go or are free, its groups may be deleted.
void let_go(catalog::Txn& txn, Region& region, const Instance& instance, bool keep_volumes) {
  for (auto volume : catalog::volumes_of_instance(txn, region.name, instance.id)) {
    const auto attachment = catalog::attachment_of_volume(txn, region.name, volume.id);
    if (attachment && keep_volumes && !attachment->delete_on_termination) {
      catalog::remove(txn, *attachment);
      volume.state = "available";
      catalog::update(txn, volume);
    } else if (!keep_volumes || !recycle_volume(txn, region, volume)) {
      start_delete_volume(txn, region, volume);
    }
  }
  catalog::leave_groups(txn, region.name, instance.id);
}

jobs::Kind launch_kind(Regions& regions, const InstanceJobsOptions& options) {
  using namespace instance_state;
  jobs::Kind kind;
  kind.name = instance_job::launch;
  kind.steps = {
      step("make volumes", regions, pending, make_volumes),
      step(
          "give address", regions, pending,
          [options](Region& region, Context&, const Instance& instance) {
            ensure_address(region, instance);
            if (options.network_ready) options.network_ready(region, instance.vpc_id);
          },
          remove_address),
      step(
          "boot", regions, pending,
          [options](Region& region, Context& job, const Instance& instance) { boot(region, job, instance, options); },
          remove_guest),
      step("run", regions, pending, mark_running),
  };
  kind.on_failed = [&regions](catalog::Txn& txn, const catalog::Job& job) {
    Region& region = regions.at(job.region);
    auto instance = catalog::find_instance(txn, job.region, job.subject);
    if (!instance) return;
    explain_failure(*instance, job, "launch");
    become_terminated(*instance, region.clock.now());
    catalog::update(txn, *instance);
    let_go(txn, region, *instance, false);
  };
  return kind;
}

// --- start

jobs::Kind start_kind(Regions& regions, const InstanceJobsOptions& options) {
  using namespace instance_state;
  jobs::Kind kind;
  kind.name = instance_job::start;
  kind.steps = {
      step(
          "boot", regions, pending,
          [options](Region& region, Context& job, const Instance& instance) { boot(region, job, instance, options); },
          [](Region& region, Context&, const Instance& instance) {
            cut_power(region, instance);
            region.disk_servers.stop(instance.id);
          }),
      step("run", regions, pending, mark_running),
  };
  kind.on_failed = [](catalog::Txn& txn, const catalog::Job& job) {
    auto instance = catalog::find_instance(txn, job.region, job.subject);
    if (!instance || instance->state != pending) return;
    explain_failure(*instance, job, "start");
    become_stopped(*instance);
    catalog::update(txn, *instance);
  };
  return kind;
}

// --- stop

// Whether somebody has asked to pull the plug, in this job or in a later one.
bool forced(Region& region, Context& job) {
  if (job.argument("force") == "yes") return true;
  const auto queued = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    return catalog::unfinished_jobs_of(txn, region.name, job.job().subject);
  });
  for (const auto& other : queued) {
    if (other.kind != instance_job::stop) continue;
    if (jobs::parse_arguments(other.arguments)["force"] == "yes") return true;
  }
  return false;
}

void turn_off(Region& region, Context& job, const Instance& instance) {
  if (forced(region, job)) return cut_power(region, instance);
  shut_down_guest(region, job, instance);
}

jobs::Kind stop_kind(Regions& regions) {
  using namespace instance_state;
  jobs::Kind kind;
  kind.name = instance_job::stop;
  kind.steps = {
      step("guest off", regions, stopping, until_done(turn_off)),
      step("disk server off", regions, stopping,
           until_done([](Region& region, Context&, const Instance& i) { region.disk_servers.stop(i.id); })),
      step("stopped", regions, stopping,
           [](Region& region, Context& job, const Instance&) {
             change_row(region, job, stopping, [](catalog::Txn&, Instance& instance) { become_stopped(instance); });
           }),
  };
  return kind;
}

// --- reboot

// Work that turns a guest on again whose row stays running. What fails is tried again, but a guest that is off and
// cannot be started is given up after a few attempts.
Work until_given_up(Work work) {
  return [work = std::move(work)](Region& region, Context& job, const Instance& instance) {
    const bool may_give_up = job.job().attempts > boot_attempts && [&] {
      try {
        return region.host.power(instance.id) <= Power::off;
      } catch (const hypervisor::HostError&) {
        return false;
      }
    }();
    may_give_up ? work(region, job, instance) : until_done(work)(region, job, instance);
  };
}

// The row of a guest that could not be turned on again follows it.
void stop_for_host(Regions& regions, catalog::Txn& txn, const catalog::Job& job) {
  Region& region = regions.at(job.region);
  auto instance = catalog::find_instance(txn, job.region, job.subject);
  if (!instance || instance->state != instance_state::running) return;
  begin_stop(*instance, Initiator::host, region.clock.now());
  catalog::update(txn, *instance);
  region.jobs.start(
      txn,
      {.region = region.name, .kind = instance_job::stop, .subject = instance->id, .arguments = {{"force", "yes"}}});
}

jobs::Kind reboot_kind(Regions& regions, const InstanceJobsOptions& options) {
  using namespace instance_state;
  jobs::Kind kind;
  kind.name = instance_job::reboot;
  kind.steps = {
      step("guest off", regions, running,
           until_done([](Region& region, Context& job, const Instance& i) { shut_down_guest(region, job, i); })),
      step("guest on", regions, running, until_given_up([options](Region& region, Context& job, const Instance& i) {
             boot(region, job, i, options);
           })),
  };
  kind.on_failed = [&regions](catalog::Txn& txn, const catalog::Job& job) { stop_for_host(regions, txn, job); };
  return kind;
}

// --- terminate

void turn_off_for_good(Region& region, Context& job, const Instance& instance) {
  const bool something_stays = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    for (const auto& attachment : catalog::attachments_of_instance(txn, region.name, instance.id)) {
      if (!attachment.delete_on_termination) return true;
    }
    return false;
  });
  // The guest may run its shutdown scripts, but it is waited for longer only when a disk of it is to be read again.
  if (something_stays) {
    shut_down_guest(region, job, instance);
  } else {
    shut_down_guest(region, job, instance, terminate_grace);
  }
}

jobs::Kind terminate_kind(Regions& regions) {
  using namespace instance_state;
  jobs::Kind kind;
  kind.name = instance_job::terminate;
  kind.steps = {
      step("guest off", regions, shutting_down, until_done(turn_off_for_good)),
      step("domain and disk server gone", regions, shutting_down, until_done(remove_guest)),
      step("address gone", regions, shutting_down, until_done(remove_address)),
      step("terminated", regions, shutting_down,
           [](Region& region, Context& job, const Instance&) {
             change_row(region, job, shutting_down, [&](catalog::Txn& txn, Instance& instance) {
               become_terminated(instance, region.clock.now());
               let_go(txn, region, instance, true);
             });
           }),
  };
  return kind;
}

// --- recover

// The guest turned itself off: the row follows it, and the job of that takes the rest away.
void follow_guest(Region& region, Context& job) {
  change_row(region, job, instance_state::running, [&](catalog::Txn& txn, Instance& instance) {
    const bool goes = instance.shutdown_behavior == "terminate";
    const base::Micros now = region.clock.now();
    goes ? begin_terminate(instance, Initiator::guest, now) : begin_stop(instance, Initiator::guest, now);
    region.jobs.start(txn, {.region = region.name,
                            .kind = goes ? instance_job::terminate : instance_job::stop,
                            .subject = instance.id,
                            .arguments = {}});
  });
  region.jobs.wake();
}

// A server that starts on a full file system cannot open every volume that it had: it goes on without.
bool serves_all_disks(Region& region, const Instance& instance) {
  if (!region.disk_servers.runs(instance.id)) return false;
  const auto served = region.disk_servers.of(instance.id)->stats();
  if (!served.ok()) return false;
  const auto volumes = catalog::in_read(
      region.catalog, [&](catalog::Txn& txn) { return catalog::volumes_of_instance(txn, region.name, instance.id); });
  return std::ranges::all_of(volumes, [&](const auto& volume) {
    return std::ranges::find(*served, volume.id, &blocks::VolumeStats::volume) != served->end();
  });
}

// Says more than the hypervisor knows of why a disk does not work: "; vol-1 is failed: fdatasync ...".
std::string failures_of_disks(Region& region, const Instance& instance) {
  std::string found;
  if (const auto served = region.disk_servers.of(instance.id)->stats(); served.ok()) {
    for (const auto& volume : *served) {
      if (volume.failed) found += "; " + volume.volume + " is failed: " + volume.failure;
    }
  }
  return found;
}

void recover(Region& region, Context& job, const Instance& instance, const InstanceJobsOptions& options) {
  const auto state = region.host.state(instance.id);
  if (state.cause == Cause::guest) return follow_guest(region, job);
  if (state.power == Power::off || state.power == Power::absent) return boot(region, job, instance, options);
  if (!serves_all_disks(region, instance)) serve_disks(region, job, instance);
  // Somebody may also have paused it by hand; that is theirs to end.
  if (state.cause != Cause::io_error) return;
  base::log_warning("control", "{} is paused: {}{}", instance.id, state.reason, failures_of_disks(region, instance));
  try {
    region.host.resume(instance.id);
  } catch (const hypervisor::HostError& error) {
    throw std::runtime_error(error.what() + failures_of_disks(region, instance));
  }
  base::log_info("control", "{} goes on", instance.id);
}

jobs::Kind recover_kind(Regions& regions, const InstanceJobsOptions& options) {
  jobs::Kind kind;
  kind.name = instance_job::recover;
  kind.steps = {step("recover", regions, instance_state::running,
                     until_given_up([options](Region& region, Context& job, const Instance& i) {
                       recover(region, job, i, options);
                     }))};
  kind.on_failed = [&regions](catalog::Txn& txn, const catalog::Job& job) { stop_for_host(regions, txn, job); };
  return kind;
}

}  // namespace

void add_instance_jobs(jobs::Runner& runner, Regions& regions, InstanceJobsOptions options) {
  runner.add(launch_kind(regions, options));
  runner.add(start_kind(regions, options));
  runner.add(stop_kind(regions));
  runner.add(reboot_kind(regions, options));
  runner.add(terminate_kind(regions));
  runner.add(recover_kind(regions, options));
}

}  // namespace kiln::control
