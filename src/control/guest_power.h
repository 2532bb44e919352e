#pragma once
// Turning guests on and off: the steps that starting, stopping, rebooting and imaging an instance share.
//
// Called by job steps only, idempotent. What takes a guest long is waited for by throwing jobs::Retry, so that no
// worker is held: the step runs again from its beginning until the call returns. Throws HostError when the host cannot,
// and std::runtime_error when a volume cannot be opened.

#include <functional>

#include "base/time.h"
#include "catalog/instances.h"
#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

// Presses the power button, again every ten seconds in case nobody listened yet, and pulls the plug when the guest has
// not gone by limit after the first press, as EC2 does. Returns when the guest is off; its disk server goes on.
void shut_down_guest(Region& region, jobs::Context& job, const catalog::Instance& instance,
                     base::Micros limit = base::seconds(120));
// Network and address, disk server, the volumes open in it (their epoch raised), the domain: running when it returns.
void boot_guest(Region& region, jobs::Context& job, const catalog::Instance& instance);
// Starts the disk server unless it runs, and opens the instance's volumes in it under a raised epoch.
void serve_disks(Region& region, jobs::Context& job, const catalog::Instance& instance);
// Pulls the plug; the domain's definition stays.
void cut_power(Region& region, const catalog::Instance& instance);

// The network of the instance's VPC, and its address there.
void ensure_address(Region& region, const catalog::Instance& instance);

}  // namespace kiln::control
