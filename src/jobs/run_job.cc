#include "jobs/run_job.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/log.h"

namespace kiln::jobs {
namespace {

constexpr base::Micros busy_pause = base::seconds(1);
constexpr base::Micros longest_undo_pause = base::seconds(60);

// How a step or an undo ended.
struct Outcome {
  enum class What { done, retry, failed } what = What::done;
  base::Micros pause = 0;
  std::string error_code, error;
};

Outcome outcome_of(const std::function<void()>& action) {
  using What = Outcome::What;
  try {
    action();
    return {};
  } catch (const Runner::Killed&) {
    throw;
  } catch (const LeaseLost&) {
    throw;
  } catch (const Retry& retry) {
    return {.what = What::retry, .pause = retry.pause(), .error = retry.what()};
  } catch (const catalog::DatabaseError& error) {
    // A database that others keep busy says nothing about the work.
    const bool busy = error.kind() == catalog::DatabaseError::Kind::busy;
    return {.what = busy ? What::retry : What::failed, .pause = busy_pause, .error = error.what()};
  } catch (const base::ApiError& error) {
    return {.what = What::failed, .error_code = error.code(), .error = error.what()};
  } catch (const std::exception& error) {
    return {.what = What::failed, .error = error.what()};
  } catch (...) {
    return {.what = What::failed, .error = "an exception that is not a std::exception"};
  }
}

// 1, 2, 4 ... seconds.
base::Micros undo_pause(int attempts) {
  return std::min(longest_undo_pause, base::seconds(std::int64_t{1} << std::clamp(attempts, 0, 10)));
}

class JobRun {
 public:
  JobRun(HeldJob& held, const Kind& kind, const KillPoint& kill_point)
      : held_(held), kind_(kind), kill_point_(kill_point) {}

  void go_on() {
    if (held_.job().state == "undoing") {
      undo();
    } else {
      run();
    }
  }

 private:
  void run() {
    const auto count = static_cast<int>(kind_.steps.size());
    const int index = held_.job().step;
    if (index >= count) return held_.advance(index, true);
    const Step& step = kind_.steps[static_cast<std::size_t>(index)];
    point(step.name + "/before");
    const Outcome outcome = outcome_of([&] { step.run(held_); });
    switch (outcome.what) {
      case Outcome::What::done: point(step.name + "/after"); return held_.advance(index + 1, index + 1 == count);
      case Outcome::What::retry:
        base::log_debug("jobs", "{}: {} waits: {}", name(), step.name, outcome.error);
        return held_.retry_after(outcome.pause);
      case Outcome::What::failed:
        base::log_warning("jobs", "{}: {} failed, undoing: {}{}{}", name(), step.name, outcome.error_code,
                          outcome.error_code.empty() ? "" : ": ", outcome.error);
        return held_.begin_undo(outcome.error_code, outcome.error);
    }
  }

  void undo() {
    int index = std::min(held_.job().step, static_cast<int>(kind_.steps.size()) - 1);
    while (index >= 0 && !kind_.steps[static_cast<std::size_t>(index)].undo) --index;
    if (index < 0) return settle(outcome_of([&] { held_.fail(kind_.on_failed); }), "on_failed");
    const Step& step = kind_.steps[static_cast<std::size_t>(index)];
    point(step.name + "/undo/before");
    const Outcome outcome = outcome_of([&] { step.undo(held_); });
    if (outcome.what != Outcome::What::done) return settle(outcome, step.name);
    point(step.name + "/undo/after");
    held_.advance(index - 1, false);
  }

  // There is nothing behind an undo that fails: it is tried again for as long as it takes.
  void settle(const Outcome& outcome, const std::string& what) {
    if (outcome.what == Outcome::What::done) return;
    const bool failed = outcome.what == Outcome::What::failed;
    const base::Micros pause = failed ? undo_pause(held_.job().attempts) : outcome.pause;
    if (failed) {
      base::log_error("jobs", "{}: undoing {} failed, again in {} s: {}", name(), what, pause / base::seconds(1),
                      outcome.error);
    }
    held_.retry_after(pause);
  }

  void point(const std::string& where) {
    if (kill_point_) kill_point_(kind_.name + "/" + where);
  }
  std::string name() const { return kind_.name + " " + held_.job().id + " of " + held_.job().subject; }

  HeldJob& held_;
  const Kind& kind_;
  const KillPoint& kill_point_;
};

}  // namespace

void run_job(HeldJob& held, const Kind& kind, const KillPoint& kill_point) {
  JobRun run(held, kind, kill_point);
  try {
    while (held.held() && !held.stopping()) run.go_on();
  } catch (const LeaseLost& lost) {
    if (!held.stopping()) {
      base::log_warning("jobs", "{}", lost.what());
      return;
    }
  }
  if (held.held()) {
    // The runner stops: whoever comes next need not wait for the lease.
    try {
      held.release();
    } catch (const LeaseLost&) {
      return;  // it was taken already, or the runner was killed
    }
  }
}

}  // namespace kiln::jobs
