#pragma once
// Child processes: run one to its end with a deadline, or start one that outlives us.
//
// No shell is involved: arguments reach the program as they are. Every descriptor but those named is closed in the
// child. Thread-safe. Throws std::runtime_error when the program cannot be started.

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace kiln::base {

struct Command {
  std::vector<std::string> arguments;                                 // arguments[0] is the program, looked up in PATH
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
  std::vector<std::pair<int, int>> descriptors = {};                  // {ours, number in the child}
  std::string log_path = {};  // start_detached: where output goes; /dev/null when empty
};

struct Finished {
  int exit_code = 0;   // 128 + signal when a signal ended it
  std::string output;  // standard output and error, at most 1 MiB of it
  bool timed_out = false;
};

// Runs command to its end; kills it when it has not ended within limit.
Finished run(const Command& command, std::chrono::milliseconds limit);

// Starts command in a session of its own, as a child of nobody that waits: it goes on when we end. Returns its pid.
pid_t start_detached(const Command& command);

}  // namespace kiln::base
