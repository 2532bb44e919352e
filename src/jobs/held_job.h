#pragma once
// One job in the hands of one worker: the Context that its steps see, and the worker's own writes of the row.
//
// Made by a worker that has taken the row, used by its thread alone, gone when the worker lets the job go. Every write
// checks in its own transaction that the row is still held, and throws LeaseLost when it is not. What a call wrote is
// durable when it returns.

#include <atomic>

#include "jobs/arguments.h"
#include "jobs/jobs.h"

namespace kiln::jobs {

// Set once, by whoever stops the runner; read by all workers.
struct Signals {
  std::atomic<bool> stopping = false;  // no step is begun any more
  std::atomic<bool> killed = false;    // a test's kill point: as if the process were gone
};

class HeldJob final : public Context {
 public:
  struct Parts {
    catalog::Database& database;
    base::Clock& clock;
    const Signals& signals;
    base::Micros lease;
  };
  HeldJob(const Parts& parts, catalog::Job job);

  const catalog::Job& job() const override { return job_; }
  std::string argument(const std::string& name) const override;
  void note(const std::string& name, const std::string& value) override;
  void in_txn(const std::function<void(catalog::Txn&)>& body) override;
  void keep_alive() override;

  bool held() const { return !job_.owner.empty(); }
  bool stopping() const { return parts_.signals.stopping || parts_.signals.killed; }

  // The step is done: the next one, or the end of the job.
  void advance(int next_step, bool last);
  // The step failed for good: its undo is next.
  void begin_undo(const std::string& error_code, const std::string& error);
  // All is undone. also runs in the same transaction and is told the row as it will be.
  void fail(const std::function<void(catalog::Txn&, const catalog::Job&)>& also);
  // Lets go of the job until the pause is over; this run counts as an attempt.
  void retry_after(base::Micros pause);
  // Lets go of the job: anybody may take it and begins at the same step.
  void release();

 private:
  // Applies change to the row in one transaction, with what else belongs into it.
  void write(const std::function<void(catalog::Job&)>& change, const std::function<void(catalog::Txn&)>& also = {});

  const Parts parts_;
  catalog::Job job_;
  Arguments arguments_;
  bool in_transaction_ = false;
};

}  // namespace kiln::jobs
