#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "base/ids.h"
#include "base/log.h"
#include "base/mutex.h"
#include "jobs/rows.h"
#include "jobs/run_job.h"

namespace kiln::jobs {
namespace {

constexpr base::Micros look_interval = base::seconds(1);
constexpr base::Micros wait_slice = base::seconds(1) / 10;  // another runner's work does not wake this one's waiters
constexpr base::Micros set_aside_pause = base::seconds(5);
constexpr base::Micros keep_finished = base::seconds(7 * 24 * 3600);
constexpr base::Micros prune_interval = base::seconds(3600);

}  // namespace

// What the workers share. Locks are held for memory only; the one in claim() is taken inside a transaction and never
// the other way round.
struct Runner::State {
  State(catalog::Database& database_given, base::Clock& clock_given, Options options_given)
      : database(database_given), clock(clock_given), options(std::move(options_given)) {
    claimant.owner = options.owner;
    claimant.sole_owner = options.sole_owner;
  }

  void worker();
  bool work_once();
  std::optional<catalog::Job> claim();
  void run_claimed(const catalog::Job& job);
  void set_aside(const catalog::Job& job);
  void wait_for_work(std::uint64_t seen);
  void prune();
  void signal();
  std::size_t running_count() {
    base::Lock lock(mutex);
    return running.size();
  }
  bool is_running(const std::string& id) {
    base::Lock lock(mutex);
    return running.contains(id);
  }
  bool wait_until(base::Micros at_most, const std::function<bool()>& holds);
  HeldJob::Parts parts() { return {database, clock, signals, options.lease}; }

  catalog::Database& database;
  base::Clock& clock;
  const Options options;
  Signals signals;

  // Fixed before run().
  std::map<std::string, Kind> kinds;
  Claimant claimant;
  std::vector<std::thread> threads;

  base::Mutex mutex;
  base::Condition changed;
  std::uint64_t wakes KILN_GUARDED_BY(mutex) = 0;        // raised by each event that may make work or end a wait
  std::set<std::string> running KILN_GUARDED_BY(mutex);  // ids of jobs that a worker of this runner holds
  base::Micros next_prune KILN_GUARDED_BY(mutex) = 0;
};

Runner::Runner(catalog::Database& database, base::Clock& clock, Options options)
    : state_(std::make_unique<State>(database, clock, std::move(options))) {}

Runner::~Runner() { stop(); }

void Runner::add(Kind kind) {
  if (!state_->threads.empty()) throw std::logic_error("job kind " + kind.name + " was added after run()");
  const std::string name = kind.name;
  if (!state_->kinds.emplace(name, std::move(kind)).second) throw std::logic_error("two job kinds named " + name);
  state_->claimant.kinds.push_back(name);
}

std::string Runner::start(catalog::Txn& txn, const Start& what) {
  if (!state_->kinds.contains(what.kind)) throw std::logic_error("no job kind is named " + what.kind);
  const base::Micros now = state_->clock.now();
  catalog::Job job{.region = what.region,
                   .id = base::new_id("job"),
                   .kind = what.kind,
                   .subject = what.subject,
                   .arguments = format_arguments(what.arguments),
                   .state = "waiting",
                   .created = now,
                   .updated = now,
                   .turn = next_turn(txn, what.region, what.subject)};
  catalog::insert(txn, job);
  return job.id;
}

void Runner::run() {
  if (!state_->threads.empty()) throw std::logic_error("the runner runs already");
  for (int i = 0; i < state_->options.workers; ++i) {
    state_->threads.emplace_back([state = state_.get()] { state->worker(); });
  }
}

void Runner::wake() { state_->signal(); }

void Runner::stop() {
  state_->signals.stopping = true;
  state_->signal();
  for (std::thread& thread : state_->threads) {
    if (thread.joinable()) thread.join();
  }
}

bool Runner::killed() const { return state_->signals.killed; }

bool Runner::idle(const std::string& region, base::Micros at_most) {
  return state_->wait_until(at_most, [&] {
    return catalog::in_read(state_->database,
                            [&](catalog::Txn& txn) { return catalog::unfinished_jobs(txn, region).empty(); });
  });
}

bool Runner::finished(const std::string& region, const std::string& job_id, base::Micros at_most) {
  return state_->wait_until(at_most, [&] {
    const auto job =
        catalog::in_read(state_->database, [&](catalog::Txn& txn) { return catalog::find_job(txn, region, job_id); });
    return job && (job->state == "done" || job->state == "failed");
  });
}

void Runner::State::worker() {
  while (!signals.stopping && !signals.killed) {
    std::uint64_t seen = 0;
    {
      base::Lock lock(mutex);
      seen = wakes;
    }
    try {
      prune();
      if (work_once()) continue;
      wait_for_work(seen);
    } catch (const Killed&) {
      signals.killed = true;
      signal();
    } catch (const std::exception& error) {
      // The row of a job that was running says where to go on; the database may be well again in a moment.
      base::log_error("jobs", "{}", error.what());
      base::Lock lock(mutex);
      changed.wait_for(mutex, std::chrono::microseconds(look_interval), [&] { return signals.stopping.load(); });
    }
  }
}

// Takes one job and runs it as far as it goes; false when there is none to take.
bool Runner::State::work_once() {
  // The search is a read, so that idle workers do not queue for the writer.
  const auto found = catalog::in_read(
      database, [&](catalog::Txn& txn) { return claimable(txn, claimant, clock.now(), running_count() + 1); });
  if (std::none_of(found.begin(), found.end(), [&](const auto& job) { return !is_running(job.id); })) return false;
  auto job = claim();
  if (!job) return false;
  const std::string id = job->id;
  const auto let_go = [&] {
    base::Lock lock(mutex);
    running.erase(id);
  };
  try {
    run_claimed(*job);
  } catch (const Killed&) {
    throw;
  } catch (...) {
    set_aside(*job);
    let_go();
    throw;
  }
  let_go();
  signal();  // its end may let another job of its subject begin, or a waiter return
  return true;
}

std::optional<catalog::Job> Runner::State::claim() {
  std::optional<catalog::Job> taken;
  const auto forget = [&] {
    base::Lock lock(mutex);
    if (taken) running.erase(taken->id);
    taken.reset();
  };
  try {
    database.run_in_txn([&](catalog::Txn& txn) {
      forget();  // the body may run again
      const base::Micros now = clock.now();
      for (catalog::Job& job : claimable(txn, claimant, now, running_count() + 1)) {
        {
          // A row of this owner that no worker holds was dropped when its write failed. Taking part in running here,
          // inside the transaction, keeps two workers from taking it both.
          base::Lock lock(mutex);
          if (!running.insert(job.id).second) continue;
        }
        taken = std::move(job);
        return take(txn, *taken, options.owner, now + options.lease, now);
      }
    });
  } catch (...) {
    forget();
    throw;
  }
  return taken;
}

void Runner::State::run_claimed(const catalog::Job& job) {
  HeldJob held(parts(), job);
  run_job(held, kinds.at(job.kind), options.kill_point);
}

// A job whose row could not be read or written is tried later, so that it does not keep the workers from others. When
// this write fails too, the row stays this owner's and is found again.
void Runner::State::set_aside(const catalog::Job& job) {
  try {
    database.run_in_txn([&](catalog::Txn& txn) {
      txn.execute(
          "UPDATE job SET owner = '', lease_until = 0, not_before = $5 "
          "WHERE region = $1 AND id = $2 AND owner = $3 AND fence = $4",
          {job.region, job.id, job.owner, job.fence, clock.now() + set_aside_pause});
    });
  } catch (const std::exception& error) {
    base::log_error("jobs", "{}: {}", job.id, error.what());
  }
}

// Until somebody wakes the workers, a job is due, or it is time to look for what other daemons left.
void Runner::State::wait_for_work(std::uint64_t seen) {
  const base::Micros now = clock.now();
  const auto due = catalog::in_read(database, [&](catalog::Txn& txn) { return next_due(txn, now); });
  const base::Micros pause = due ? std::clamp<base::Micros>(*due - now, 1000, look_interval) : look_interval;
  base::Lock lock(mutex);
  changed.wait_for(mutex, std::chrono::microseconds(pause),
                   [&]() KILN_REQUIRES(mutex) { return wakes != seen || signals.stopping || signals.killed; });
}

void Runner::State::prune() {
  const base::Micros now = clock.now();
  {
    base::Lock lock(mutex);
    if (now < next_prune) return;
    next_prune = now + prune_interval;
  }
  database.run_in_txn([&](catalog::Txn& txn) { prune_finished(txn, now - keep_finished); });
}

void Runner::State::signal() {
  base::Lock lock(mutex);
  ++wakes;
  changed.notify_all();
}

bool Runner::State::wait_until(base::Micros at_most, const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(at_most);
  while (true) {
    std::uint64_t seen = 0;
    {
      base::Lock lock(mutex);
      seen = wakes;
    }
    if (holds()) return true;
    if (signals.killed || std::chrono::steady_clock::now() >= deadline) return false;
    base::Lock lock(mutex);
    changed.wait_for(mutex, std::chrono::microseconds(std::min(at_most, wait_slice)),
                     [&]() KILN_REQUIRES(mutex) { return wakes != seen; });
  }
}

}  // namespace kiln::jobs
