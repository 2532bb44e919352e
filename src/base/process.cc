#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "base/fd.h"

extern char** environ;

namespace kiln::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Everything exec needs, made before fork: a child of a threaded program may only make system calls until then.
class Prepared {
 public:
  explicit Prepared(const Command& command) : command_(command) {
    for (const auto& text : command.arguments) arguments_.push_back(const_cast<char*>(text.c_str()));
    arguments_.push_back(nullptr);
    for (const auto& [name, value] : command.environment) added_.push_back(name + "=" + value);
    for (char** entry = environ; *entry != nullptr; ++entry) {
      if (!overridden(*entry)) environment_.push_back(*entry);
    }
    for (auto& text : added_) environment_.push_back(text.data());
    environment_.push_back(nullptr);
  }

  // In the child: places the descriptors, closes the rest, becomes the program. Never returns.
  [[noreturn]] void become(int standard_output) {
    ::dup2(standard_output, 1);
    ::dup2(standard_output, 2);
    // Ours are lifted clear of the numbers they are to get, so that placing one cannot overwrite another.
    int lifted[16];
    std::size_t count = 0;
    int highest = 2;
    for (const auto& [ours, theirs] : command_.descriptors) {
      if (count == 16) break;
      lifted[count++] = ::fcntl(ours, F_DUPFD, 100);
      highest = std::max(highest, theirs);
    }
    for (std::size_t i = 0; i < count; ++i) ::dup2(lifted[i], command_.descriptors[i].second);
    ::close_range(static_cast<unsigned>(highest) + 1, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvpe(arguments_[0], arguments_.data(), environment_.data());
    ::_exit(127);
  }

 private:
  bool overridden(const char* entry) const {
    for (const auto& [name, value] : command_.environment) {
      if (std::strncmp(entry, name.c_str(), name.size()) == 0 && entry[name.size()] == '=') return true;
    }
    return false;
  }

  const Command& command_;
  std::vector<char*> arguments_;
  std::vector<std::string> added_;
  std::vector<char*> environment_;
};

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Finished run(const Command& command, milliseconds limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Prepared prepared(command);
  const pid_t pid = ::fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    ::setpgid(0, 0);
    ::dup2(null.get(), 0);
    prepared.become(theirs.get());
  }
  theirs.reset();
  Finished finished;
  const auto deadline = steady_clock::now() + limit;
  char piece[4096];
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    pollfd waiting{ours.get(), POLLIN, 0};
    const int ready = left > 0 ? ::poll(&waiting, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      finished.timed_out = true;
      ::kill(-pid, SIGKILL);
      break;
    }
    const auto got = ::read(ours.get(), piece, sizeof piece);
    if (got <= 0) break;
    if (finished.output.size() < (1U << 20)) finished.output.append(piece, static_cast<std::size_t>(got));
  }
  finished.exit_code = wait_for(pid);
  return finished;
}

pid_t start_detached(const Command& command) {
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const char* path = command.log_path.empty() ? "/dev/null" : command.log_path.c_str();
  const Fd log(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!log) fail("open " + command.log_path);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  Prepared prepared(command);
  // Two forks: the program's parent is init, so it never becomes a zombie of ours and does not end with a thread of
  // ours.
  const pid_t middle = ::fork();
  if (middle < 0) fail("fork");
  if (middle == 0) {
    ::setsid();
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
      // A program may ask to end with its parent, as nbdkit does when it is handed a socket: this one is about to.
      const timespec pause{0, 200'000};
      while (::getppid() == parent) ::nanosleep(&pause, nullptr);
      ::dup2(null.get(), 0);
      prepared.become(log.get());
    }
    const auto put = ::write(theirs.get(), &pid, sizeof pid);
    ::_exit(pid > 0 && put == sizeof pid ? 0 : 1);
  }
  theirs.reset();
  pid_t pid = -1;
  const auto got = ::read(ours.get(), &pid, sizeof pid);
  wait_for(middle);
  if (got != sizeof pid || pid <= 0) throw std::runtime_error("cannot start " + command.arguments.at(0));
  return pid;
}

}  // namespace kiln::base
