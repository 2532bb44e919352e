#include "jobs/rows.h"

namespace kiln::jobs {

std::vector<catalog::Job> claimable(catalog::Txn& txn, const Claimant& claimant, base::Micros now,
                                    std::size_t at_most) {
  if (claimant.kinds.empty()) return {};
  std::vector<catalog::Value> parameters{now, claimant.owner, claimant.sole_owner ? 1 : 0,
                                         static_cast<std::int64_t>(at_most)};
  std::string kinds;
  for (const std::string& kind : claimant.kinds) {
    parameters.emplace_back(kind);
    kinds.append(kinds.empty() ? "$" : ", $").append(std::to_string(parameters.size()));
  }
  return catalog::select<catalog::Job>(
      txn,
      "WHERE state IN ('waiting', 'running', 'undoing') AND not_before <= $1 "
      "AND (owner = '' OR owner = $2 OR lease_until <= $1 OR $3 = 1) AND kind IN (" +
          kinds +
          ") AND (subject = '' OR NOT EXISTS (SELECT 1 FROM job AS earlier WHERE earlier.region = job.region "
          "AND earlier.subject = job.subject AND earlier.turn < job.turn "
          "AND earlier.state IN ('waiting', 'running', 'undoing'))) ORDER BY created, turn, id LIMIT $4",
      parameters);
}

std::optional<base::Micros> next_due(catalog::Txn& txn, base::Micros now) {
  const auto rows = txn.query(
      "SELECT MIN(not_before) FROM job WHERE state IN ('waiting', 'running', 'undoing') AND not_before > $1", {now});
  const auto* due = std::get_if<std::int64_t>(&rows.at(0).at(0));
  if (due == nullptr) return {};
  return *due;
}

void take(catalog::Txn& txn, catalog::Job& job, const std::string& owner, base::Micros lease_until, base::Micros now) {
  if (job.state == "waiting") job.state = "running";
  job.owner = owner;
  job.fence += 1;
  job.lease_until = lease_until;
  job.updated = now;
  catalog::update(txn, job);
}

bool hold(catalog::Txn& txn, const catalog::Job& job, base::Micros lease_until) {
  return txn.execute("UPDATE job SET lease_until = $5 WHERE region = $1 AND id = $2 AND owner = $3 AND fence = $4",
                     {job.region, job.id, job.owner, job.fence, lease_until}) > 0;
}

bool write_held(catalog::Txn& txn, const catalog::Job& changed, const std::string& owner) {
  return txn.execute(
             "UPDATE job SET arguments = $5, state = $6, step = $7, attempts = $8, error = $9, error_code = $10, "
             "owner = $11, lease_until = $12, not_before = $13, updated = $14 "
             "WHERE region = $1 AND id = $2 AND owner = $3 AND fence = $4",
             {changed.region, changed.id, owner, changed.fence, changed.arguments, changed.state, changed.step,
              changed.attempts, changed.error, changed.error_code, changed.owner, changed.lease_until,
              changed.not_before, changed.updated}) > 0;
}

std::int64_t next_turn(catalog::Txn& txn, const std::string& region, const std::string& subject) {
  const auto rows = txn.query(
      "SELECT COALESCE(MAX(turn), 0) + 1 FROM job WHERE region = $1 AND subject = $2 "
      "AND state IN ('waiting', 'running', 'undoing')",
      {region, subject});
  return std::get<std::int64_t>(rows.at(0).at(0));
}

std::int64_t prune_finished(catalog::Txn& txn, base::Micros updated_before) {
  return txn.execute("DELETE FROM job WHERE state IN ('done', 'failed') AND updated < $1", {updated_before});
}

}  // namespace kiln::jobs
