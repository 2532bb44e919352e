#include "jobs/held_job.h"

#include "jobs/rows.h"

namespace kiln::jobs {

HeldJob::HeldJob(const Parts& parts, catalog::Job job)
    : parts_(parts), job_(std::move(job)), arguments_(parse_arguments(job_.arguments)) {}

std::string HeldJob::argument(const std::string& name) const {
  const auto found = arguments_.find(name);
  return found == arguments_.end() ? std::string() : found->second;
}

void HeldJob::note(const std::string& name, const std::string& value) {
  if (in_transaction_) {
    arguments_[name] = value;
  } else {
    in_txn([&](catalog::Txn&) { arguments_[name] = value; });
  }
}

void HeldJob::in_txn(const std::function<void(catalog::Txn&)>& body) {
  if (parts_.signals.killed) throw LeaseLost(job_.id + ": the runner was killed");
  const Arguments before = arguments_;
  const base::Micros lease_until = parts_.clock.now() + parts_.lease;
  std::string noted;
  try {
    parts_.database.run_in_txn([&](catalog::Txn& txn) {
      arguments_ = before;  // the body may run again
      if (!hold(txn, job_, lease_until)) throw LeaseLost(job_.id + ": another daemon took it over");
      in_transaction_ = true;
      body(txn);
      noted = format_arguments(arguments_);
      if (arguments_ == before) return;
      txn.execute("UPDATE job SET arguments = $3 WHERE region = $1 AND id = $2", {job_.region, job_.id, noted});
    });
  } catch (...) {
    in_transaction_ = false;
    arguments_ = before;
    throw;
  }
  in_transaction_ = false;
  job_.arguments = std::move(noted);
  job_.lease_until = lease_until;
}

void HeldJob::keep_alive() {
  if (stopping()) throw LeaseLost(job_.id + ": the daemon stops");
  if (job_.lease_until - parts_.clock.now() > parts_.lease / 3 * 2) return;
  in_txn([](catalog::Txn&) {});
}

void HeldJob::advance(int next_step, bool last) {
  write([&](catalog::Job& row) {
    row.step = next_step;
    row.attempts = 0;
    if (!last) return;
    row.state = "done";
    row.owner.clear();
    row.lease_until = 0;
  });
}

void HeldJob::begin_undo(const std::string& error_code, const std::string& error) {
  write([&](catalog::Job& row) {
    row.state = "undoing";
    row.attempts = 0;
    row.error_code = error_code;
    row.error = error;
  });
}

void HeldJob::fail(const std::function<void(catalog::Txn&, const catalog::Job&)>& also) {
  catalog::Job failed;
  write(
      [&](catalog::Job& row) {
        row.state = "failed";
        row.step = -1;
        row.owner.clear();
        row.lease_until = 0;
        failed = row;
      },
      [&](catalog::Txn& txn) {
        if (also) also(txn, failed);
      });
}

void HeldJob::retry_after(base::Micros pause) {
  write([&](catalog::Job& row) {
    row.attempts += 1;
    row.not_before = parts_.clock.now() + pause;
    row.owner.clear();
    row.lease_until = 0;
  });
}

void HeldJob::release() {
  write([](catalog::Job& row) {
    row.owner.clear();
    row.lease_until = 0;
  });
}

void HeldJob::write(const std::function<void(catalog::Job&)>& change, const std::function<void(catalog::Txn&)>& also) {
  if (parts_.signals.killed) throw LeaseLost(job_.id + ": the runner was killed");
  catalog::Job changed = job_;
  changed.updated = parts_.clock.now();
  changed.lease_until = changed.updated + parts_.lease;
  change(changed);
  parts_.database.run_in_txn([&](catalog::Txn& txn) {
    if (!write_held(txn, changed, job_.owner)) throw LeaseLost(job_.id + ": another daemon took it over");
    if (also) also(txn);
  });
  job_ = std::move(changed);
}

}  // namespace kiln::jobs
