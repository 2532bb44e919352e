#pragma once
// The job table's rules: who may take which row, and that only its holder changes it.
//
// Functions of an open transaction, thread-safe as that is. A row is held by (owner, fence): taking it raises the
// fence, so a former holder's writes find no row. A lease says when others may take it; who may write never depends
// on it.

#include <functional>
#include <set>

#include "catalog/jobs.h"

namespace kiln::jobs {

struct Claimant {
  std::string owner;
  bool sole_owner = false;         // rows of any other owner may be taken at once
  std::vector<std::string> kinds;  // that it knows how to do
};

// Unfinished jobs of these kinds that the claimant may take at this moment, in the order in which they should be, at
// most so many: due, not held by a living other, and with no earlier unfinished job of the same subject.
std::vector<catalog::Job> claimable(catalog::Txn& txn, const Claimant& claimant, base::Micros now, std::size_t at_most);
// When the next job that only waits for its time is due; nothing when there is none.
std::optional<base::Micros> next_due(catalog::Txn& txn, base::Micros now);

// Makes the claimant the holder of the row; job becomes the row as it is then.
void take(catalog::Txn& txn, catalog::Job& job, const std::string& owner, base::Micros lease_until, base::Micros now);
// Extends the lease if (owner, fence) still hold the row; false otherwise.
bool hold(catalog::Txn& txn, const catalog::Job& job, base::Micros lease_until);
// Writes the row as changed; false when the holder that it names, or held with when it gives the row up, has lost it.
bool write_held(catalog::Txn& txn, const catalog::Job& changed, const std::string& owner);

// The turn of a job that is started for this subject now.
std::int64_t next_turn(catalog::Txn& txn, const std::string& region, const std::string& subject);
std::int64_t prune_finished(catalog::Txn& txn, base::Micros updated_before);

}  // namespace kiln::jobs
