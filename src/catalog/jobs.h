#pragma once
// Durable work: one row per job, written in the transaction that asked for it.

#include "catalog/table.h"

namespace kiln::catalog {

struct Job {
  std::string region, id;  // job-...
  std::string kind;        // launch, create-image, ...
  std::string subject;     // the resource it works on: jobs of one subject run one after the other
  std::string arguments;   // JSON object; steps add to it what later steps need
  std::string state;       // waiting running undoing done failed
  int step = 0;            // the step that runs, or runs next; counts down while undoing
  int attempts = 0;        // of this step
  std::string error;       // why it is being undone, or failed
  std::string owner;       // the daemon that works on it
  base::Micros lease_until = 0;
  std::int64_t fence = 0;  // raised at each take-over; every write of a step checks it
  base::Micros not_before = 0;
  base::Micros created = 0, updated = 0;
  std::int64_t turn = 0;   // order among the unfinished jobs of its subject
  std::string error_code;  // of the ApiError that a step threw; empty for anything else
};

std::optional<Job> find_job(Txn& txn, const std::string& region, const std::string& id);
// Neither done nor failed, in the order in which they run.
std::vector<Job> unfinished_jobs(Txn& txn, const std::string& region);
std::vector<Job> unfinished_jobs_of(Txn& txn, const std::string& region, const std::string& subject);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Job, "job", 2, region, id, kind, subject, arguments, state, step, attempts, error, owner,
         lease_until, fence, not_before, created, updated, turn, error_code)
