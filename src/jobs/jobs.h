#pragma once
// Durable work: steps with undo, written down first, resumed after a crash.
//
// A kind of job is a list of steps, registered once at start. start() writes the row in the caller's own transaction,
// so the rows that promise the work and the work itself appear together or not at all. Workers take rows under a lease.
// A step may run again after a crash, so it first looks for its own earlier work. When a step throws Retry, it runs
// again after a pause; when it throws anything else, the steps done so far are undone, last first, and the job's
// on_failed tells the rows why. The undo of the step that threw runs too, before those: it may have got half way, in
// this run or in one that a crash cut short. So an undo, like a step, looks for what there is to do and accepts that
// there is nothing. Undo steps are retried until they succeed.
// Jobs of one subject run one after the other, in the order of their start; others run side by side.

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "catalog/database.h"
#include "catalog/jobs.h"

namespace kiln::jobs {

// Not an error: what the step waits for is not there yet.
class Retry : public std::runtime_error {
 public:
  Retry(const std::string& why, base::Micros pause) : std::runtime_error(why), pause_(pause) {}
  base::Micros pause() const { return pause_; }

 private:
  base::Micros pause_;
};

// Thrown by Context calls when another daemon took the job over: the worker drops it at once.
class LeaseLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What a step sees of its job. Used by one worker thread at a time.
class Context {
 public:
  virtual ~Context() = default;
  virtual const catalog::Job& job() const = 0;
  // Named values that live with the job: the arguments given at start, and what steps noted.
  virtual std::string argument(const std::string& name) const = 0;  // empty when there is none
  // Remembers a value for later steps and for a rerun of this one; durable when it returns. Inside in_txn it is part of
  // that transaction.
  virtual void note(const std::string& name, const std::string& value) = 0;
  // A transaction that holds only while the lease does; throws LeaseLost otherwise.
  virtual void in_txn(const std::function<void(catalog::Txn&)>& body) = 0;
  // Extends the lease during long work; throws LeaseLost when it is gone or the daemon stops. Cheap enough for a loop:
  // it writes only when a third of the lease is over.
  virtual void keep_alive() = 0;
};

struct Step {
  std::string name;
  std::function<void(Context&)> run;
  std::function<void(Context&)> undo = {};  // may be empty
};

struct Kind {
  std::string name;
  std::vector<Step> steps;
  // In the transaction that ends an undone job: writes into the subject's rows why it failed.
  std::function<void(catalog::Txn&, const catalog::Job&)> on_failed = {};
};

struct Start {
  std::string region;
  std::string kind;
  std::string subject;
  std::map<std::string, std::string> arguments;
};

class Runner {
 public:
  struct Options {
    std::string owner;  // this daemon's id, new at each start
    int workers = 4;
    base::Micros lease = base::seconds(30);
    // Called before and after each step with "kind/step/before" or "kind/step/after", and "kind/step/undo/before" or
    // "kind/step/undo/after": tests kill here by throwing Killed. "after" is before the step is written down as done.
    std::function<void(const std::string& point)> kill_point = {};
    // No other daemon works on this database (it holds the data directory's LOCK): jobs of any other owner are those
    // of a dead one and are taken without waiting for their lease.
    bool sole_owner = false;
  };
  // Thrown out of kill_point: the runner stops as if the process had died there. It begins no step, its other workers'
  // contexts throw LeaseLost, and no row is touched any more; a new Runner with another owner goes on from the rows.
  struct Killed {};

  Runner(catalog::Database& database, base::Clock& clock, Options options);
  ~Runner();  // waits for running steps

  void add(Kind kind);  // before run()
  // Writes the row; returns the job's id. A worker picks it up after the transaction has committed (see wake()).
  std::string start(catalog::Txn& txn, const Start& what);
  // Takes over jobs of dead owners and begins to work. All rows with expired leases, and at start those of owners that
  // are not alive, are resumed at the step they were in.
  void run();
  void wake();  // after a commit that started a job; workers also look by themselves once a second
  void stop();  // no step is begun any more; returns when running ones have ended

  // Waits until no job of the region is waiting or running, or the deadline passes (false). For tests and the CLI.
  bool idle(const std::string& region, base::Micros at_most);
  bool finished(const std::string& region, const std::string& job_id, base::Micros at_most);
  // Whether a kill point has thrown; idle and finished give up at once then.
  bool killed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kiln::jobs
