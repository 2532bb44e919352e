#pragma once
// Runs one program that reads what a stranger wrote, with nothing in reach but the files that it is given.
//
// The program sees a file system of its own executable and /usr/lib, read-only, and the given files; no network, no
// other process, no IPC; it may not gain privileges, may make only the system calls of an ordinary single-purpose tool
// (an allow list; the others answer ENOSYS), and has limits of memory, processor time and file length. When we are
// root it runs as a user of its own that owns nothing; otherwise as us, without capabilities, in a user namespace.
// Where the system does not grant that, it is not run at all.
//
// The given files are opened anew inside through /proc/self/fd, so their mode must let others read (and write) them:
// meant for files without a name. Thread-safe; waits for the program. Throws std::runtime_error when it cannot be
// started as described.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/process.h"

namespace kiln::base {

struct SandboxFile {
  int descriptor;
  std::string name;  // at the root of its file system: "disk.vmdk" is /disk.vmdk
};

struct Sandboxed {
  std::string program;                 // an absolute path
  std::vector<std::string> arguments;  // behind the program's name
  std::vector<SandboxFile> files = {};
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;  // of address space
  std::uint64_t file_bytes = 0;                         // how long a file may become
  std::chrono::seconds cpu{30};
  std::chrono::milliseconds limit{60'000};  // of time
  // Asked about every 50 ms; false, or what it throws, kills the program.
  std::function<bool()> go_on = {};
};

struct SandboxFinished : Finished {
  bool stopped = false;  // go_on said so
};

SandboxFinished run_sandboxed(const Sandboxed& what);

}  // namespace kiln::base
