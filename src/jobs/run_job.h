#pragma once
// The life of a job between two writes of its row: which step is next, and what its failure means.
//
// Called by a worker with a job that it holds; returns when the job has ended, waits for a later time, was given up
// because the runner stops, or belongs to somebody else. Throws Runner::Killed from a kill point, and DatabaseError
// when the row cannot be written: the row then says where to go on.

#include "jobs/held_job.h"

namespace kiln::jobs {

using KillPoint = std::function<void(const std::string& point)>;

void run_job(HeldJob& held, const Kind& kind, const KillPoint& kill_point);

}  // namespace kiln::jobs
