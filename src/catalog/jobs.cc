#include "catalog/jobs.h"

namespace kiln::catalog {

std::optional<Job> find_job(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Job>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Job> unfinished_jobs(Txn& txn, const std::string& region) {
  return select<Job>(txn, "WHERE region = $1 AND state IN ('waiting', 'running', 'undoing') ORDER BY created, turn, id",
                     {region});
}

std::vector<Job> unfinished_jobs_of(Txn& txn, const std::string& region, const std::string& subject) {
  return select<Job>(
      txn, "WHERE region = $1 AND subject = $2 AND state IN ('waiting', 'running', 'undoing') ORDER BY turn, id",
      {region, subject});
}

}  // namespace kiln::catalog
