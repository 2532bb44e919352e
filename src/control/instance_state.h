#pragma once
// The states of an instance's row, and why it is in one, in the words of EC2. Pure functions over rows.

#include <string>
#include <string_view>

#include "base/time.h"
#include "catalog/instances.h"
#include "catalog/jobs.h"

namespace kiln::control {

namespace instance_state {
constexpr std::string_view pending = "pending";
constexpr std::string_view running = "running";
constexpr std::string_view shutting_down = "shutting-down";
constexpr std::string_view terminated = "terminated";
constexpr std::string_view stopping = "stopping";
constexpr std::string_view stopped = "stopped";
}  // namespace instance_state

enum class Initiator { user, guest, host };

// Writes the new state and its reasons into the row, as EC2 words them.
void begin_start(catalog::Instance& instance, base::Micros now);
void begin_stop(catalog::Instance& instance, Initiator initiator, base::Micros now);
void begin_terminate(catalog::Instance& instance, Initiator initiator, base::Micros now);
void become_running(catalog::Instance& instance);
void become_stopped(catalog::Instance& instance);
void become_terminated(catalog::Instance& instance, base::Micros now);
// A launch or a start that was undone: the reason that EC2 gives for a job that failed like this.
void explain_failure(catalog::Instance& instance, const catalog::Job& job, std::string_view verb);

}  // namespace kiln::control
