#pragma once
// Turning guests on and off: the steps that starting, stopping, rebooting and imaging an instance share.
//
// Called by job steps only; idempotent; they wait for minutes at most, keeping the job's lease alive.

#include "catalog/instances.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// Presses the power button and waits; after two minutes without an answer pulls the plug, as EC2 does. Then the guest is
// off; its disk server goes on.
void shut_down_guest(Region& region, jobs::Context& job, const catalog::Instance& instance);
// Starts the disk server, opens the volumes in it (raising their epoch) and starts the domain: running when it returns.
void boot_guest(Region& region, jobs::Context& job, const catalog::Instance& instance);
// Pulls the plug.
void cut_power(Region& region, const catalog::Instance& instance);

}  // namespace kiln::control
