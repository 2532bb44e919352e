#pragma once
// The jobs of instances: launch, start, stop, reboot, terminate, recover. The subject of each is the instance's id.
//
//   launch     volumes' files -> network and address -> guest -> row running     (undone: row terminated, and why)
//   start      guest -> row running                                              (undone: row stopped, and why)
//   stop       guest off -> disk server off -> row stopped
//   reboot     guest off -> guest on
//   terminate  guest off -> domain, disk server, address, volumes gone -> row terminated
//   recover    disk server and volumes back, guest resumed or on                  (started by the reconciler)
//
// Stop and terminate are never given up: what the host refuses is tried again. Every step may run twice. A job whose
// instance has been told to do something else meanwhile does nothing more: the job of that other thing comes after it.

#include <functional>
#include <string>

#include "control/region.h"
#include "jobs/jobs.h"

namespace kiln::control {

struct InstanceJobsOptions {
  // Told on a job thread that the network of a VPC is up, perhaps again: the metadata service listens there.
  std::function<void(Region&, const std::string& vpc_id)> network_ready = {};
};

// Called once at start, before runner.run(). regions must outlive runner.
void add_instance_jobs(jobs::Runner& runner, Regions& regions, InstanceJobsOptions options = {});

namespace instance_job {
constexpr const char* launch = "launch";
constexpr const char* start = "start";
constexpr const char* stop = "stop";  // argument force: "yes" pulls the plug
constexpr const char* reboot = "reboot";
constexpr const char* terminate = "terminate";
constexpr const char* recover = "recover";
}  // namespace instance_job

}  // namespace kiln::control
