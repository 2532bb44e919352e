#include "control/instance_state.h"

namespace kiln::control {
namespace {

// "2026-01-02 03:04:05 GMT", the form of StateTransitionReason.
std::string moment(base::Micros time) {
  std::string text = base::to_iso8601(time).substr(0, 19);
  text[10] = ' ';
  return text + " GMT";
}

void set_reason(catalog::Instance& instance, std::string_view code, std::string_view words) {
  instance.state_reason_code = code;
  instance.state_reason_message = std::string(code) + ": " + std::string(words);
}

void say_who(catalog::Instance& instance, Initiator initiator, base::Micros now) {
  switch (initiator) {
    case Initiator::user:
      set_reason(instance, "Client.UserInitiatedShutdown", "User initiated shutdown");
      instance.transition_reason = "User initiated (" + moment(now) + ")";
      return;
    case Initiator::guest:
      set_reason(instance, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown");
      instance.transition_reason.clear();
      return;
    case Initiator::host:
      set_reason(instance, "Server.ScheduledStop", "Stopped due to a failure of the host");
      instance.transition_reason = "Server.ScheduledStop (" + moment(now) + ")";
      return;
  }
}

}  // namespace

void begin_start(catalog::Instance& instance, base::Micros now) {
  instance.state = instance_state::pending;
  instance.state_reason_code.clear();
  instance.state_reason_message.clear();
  instance.transition_reason.clear();
  instance.launched = now;
}

void begin_stop(catalog::Instance& instance, Initiator initiator, base::Micros now) {
  instance.state = instance_state::stopping;
  say_who(instance, initiator, now);
}

void begin_terminate(catalog::Instance& instance, Initiator initiator, base::Micros now) {
  instance.state = instance_state::shutting_down;
  say_who(instance, initiator, now);
}

void become_running(catalog::Instance& instance) { instance.state = instance_state::running; }

void become_stopped(catalog::Instance& instance) { instance.state = instance_state::stopped; }

void become_terminated(catalog::Instance& instance, base::Micros now) {
  instance.state = instance_state::terminated;
  if (!instance.terminated) instance.terminated = now;
}

void explain_failure(catalog::Instance& instance, const catalog::Job& job, std::string_view verb) {
  if (job.error_code.empty()) {
    set_reason(instance, "Server.InternalError", "Internal error on " + std::string(verb));
    instance.transition_reason = "Server.InternalError";
  } else {
    set_reason(instance, "Client." + job.error_code, job.error);
    instance.transition_reason = "Client." + job.error_code;
  }
}

}  // namespace kiln::control
