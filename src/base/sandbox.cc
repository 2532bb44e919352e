#include "base/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>

#include "base/fd.h"
#include "base/seccomp_filter.h"

namespace kiln::base {
namespace {

constexpr int set_up_failed = 126;
constexpr std::size_t most_output = 64 << 10;
constexpr unsigned first_file_number = 3;
// Users that own nothing: far above what Debian and systemd give to anybody.
constexpr unsigned first_user = 1'802'043'392, users = 65'536;

constexpr const char* stage = "/tmp";  // any directory that is always there; what it holds is only covered inside

// Everything that the child needs, made before it is there: a child of a threaded program may only make system calls.
class Plan {
 public:
  explicit Plan(const Sandboxed& what) : what_(what), filter_(seccomp_filter()), privileged_(::geteuid() == 0) {
    static std::atomic<unsigned> turn{static_cast<unsigned>(::getpid())};
    user_ = privileged_ ? first_user + turn++ % users : ::geteuid();
    group_ = privileged_ ? user_ : ::getegid();
    user_map_ = std::to_string(user_) + " " + std::to_string(user_) + " 1";
    group_map_ = std::to_string(group_) + " " + std::to_string(group_) + " 1";
    arguments_.push_back(const_cast<char*>(what.program.c_str()));
    for (const auto& text : what.arguments) arguments_.push_back(const_cast<char*>(text.c_str()));
    arguments_.push_back(nullptr);
    for (std::size_t i = 0; i < what.files.size(); ++i) {
      links_.emplace_back(what.files[i].name, "/proc/self/fd/" + std::to_string(first_file_number + i));
    }
    inside_ = what.program.substr(1);
    for (auto slash = inside_.find('/'); slash != std::string::npos; slash = inside_.find('/', slash + 1)) {
      directories_.push_back(inside_.substr(0, slash));
    }
  }

  std::uint64_t flags() const {
    const std::uint64_t all = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    return (privileged_ ? all : all | CLONE_NEWUSER) | SIGCHLD;
  }

  // In the child, which is the first process of its namespaces. Never returns.
  [[noreturn]] void become(int input, int output) const {
    place_descriptors(input, output);
    if (!privileged_) map_users();
    make_root();
    drop_everything();
    ::execve(what_.program.c_str(), arguments_.data(), environment_);
    fail("running the program");
  }

 private:
  [[noreturn]] static void fail(const char* step) {
    char text[160];
    std::size_t length = 0;
    const auto add = [&](const char* piece) {
      while (*piece != '\0' && length < sizeof text) text[length++] = *piece++;
    };
    add(step);
    add(": error ");
    const int number = errno;
    const char digits[] = {static_cast<char>('0' + number / 100 % 10), static_cast<char>('0' + number / 10 % 10),
                           static_cast<char>('0' + number % 10), '\0'};
    add(digits);
    [[maybe_unused]] const auto put = ::write(1, text, length);
    ::_exit(set_up_failed);
  }
  static void want(bool done, const char* step) {
    if (!done) fail(step);
  }

  void place_descriptors(int input, int output) const {
    int lifted[16];
    std::size_t count = 0;
    for (const auto& file : what_.files) {
      if (count < 16) lifted[count++] = ::fcntl(file.descriptor, F_DUPFD, 100);
    }
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(output, 2);
    for (std::size_t i = 0; i < count; ++i) ::dup2(lifted[i], static_cast<int>(first_file_number + i));
    ::close_range(static_cast<unsigned>(first_file_number + count), ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
  }

  static void write_file(const char* path, const char* text, std::size_t length) {
    const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
    want(file && ::write(file.get(), text, length) == static_cast<ssize_t>(length), path);
  }

  void map_users() const {
    write_file("/proc/self/setgroups", "deny", 4);
    write_file("/proc/self/uid_map", user_map_.data(), user_map_.size());
    write_file("/proc/self/gid_map", group_map_.data(), group_map_.size());
  }

  // Shows what is at from, read-only, at to.
  static void show(const char* from, const char* to) {
    want(::mount(from, to, nullptr, MS_BIND, nullptr) == 0, "binding a part of the file system");
    // Adds to what holds for the mount already, which a user namespace may not take away.
    mount_attr only{};
    only.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    want(::mount_setattr(AT_FDCWD, to, 0, &only, sizeof only) == 0, "making a mount read-only");
  }

  void make_root() const {
    want(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "keeping mounts private");
    want(::mount("tmpfs", stage, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,nr_inodes=64,mode=755") == 0,
         "mounting a root");
    want(::chdir(stage) == 0, "entering the root");
    ::umask(022);
    ::mkdir("usr", 0755);
    for (const auto& directory : directories_) {
      want(::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST, "making a directory");
    }
    want(::mkdir("usr/lib", 0755) == 0 || errno == EEXIST, "making usr/lib");
    show("/usr/lib", "usr/lib");
    if (::mkdir("usr/lib64", 0755) == 0 && ::access("/usr/lib64", F_OK) == 0) show("/usr/lib64", "usr/lib64");
    ::symlink("usr/lib", "lib");
    ::symlink("usr/lib64", "lib64");
    want(static_cast<bool>(Fd(::open(inside_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0755))),
         "making a place for the program");
    show(what_.program.c_str(), inside_.c_str());
    want(::mkdir("proc", 0555) == 0 &&
             ::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid") == 0,
         "mounting /proc");
    for (const auto& [name, target] : links_) want(::symlink(target.c_str(), name.c_str()) == 0, "naming a file");
    want(::syscall(SYS_pivot_root, ".", ".") == 0 && ::umount2(".", MNT_DETACH) == 0 && ::chdir("/") == 0,
         "leaving the host's root");
    mount_attr only{};
    only.attr_set = MOUNT_ATTR_RDONLY;
    want(::mount_setattr(AT_FDCWD, "/", 0, &only, sizeof only) == 0, "making the root read-only");
  }

  static void limit(__rlimit_resource which, std::uint64_t most) {
    const rlimit both{most, most};
    want(::setrlimit(which, &both) == 0, "setting a limit");
  }

  void drop_everything() const {
    limit(RLIMIT_AS, what_.memory_bytes);
    limit(RLIMIT_CPU, static_cast<std::uint64_t>(what_.cpu.count()));
    limit(RLIMIT_FSIZE, what_.file_bytes);
    // A thread reserves this much address space for its stack, of which there is little.
    limit(RLIMIT_STACK, 2 << 20);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 64);
    for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
      ::prctl(PR_CAPBSET_DROP, capability);  // refused for those that this kernel does not have
    }
    if (privileged_) {
      want(::syscall(SYS_setgroups, 0, nullptr) == 0, "leaving groups");
      // The raw calls: the C library's want to tell other threads, which this process does not have.
      want(::syscall(SYS_setresgid, group_, group_, group_) == 0, "changing the group");
      want(::syscall(SYS_setresuid, user_, user_, user_) == 0, "changing the user");
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct nothing[2]{};
    want(::syscall(SYS_capset, &header, nothing) == 0, "dropping capabilities");
    // Asked for here because a change of user takes it back.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    want(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "forbidding new privileges");
    const sock_fprog program{static_cast<unsigned short>(filter_.size()), const_cast<sock_filter*>(filter_.data())};
    want(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "filtering system calls");
  }

  const Sandboxed& what_;
  const std::vector<sock_filter> filter_;
  const bool privileged_;
  unsigned user_ = 0, group_ = 0;
  std::string user_map_, group_map_;
  std::vector<char*> arguments_;
  std::vector<std::pair<std::string, std::string>> links_;
  std::string inside_;                    // the program's path without its first slash
  std::vector<std::string> directories_;  // above it
  // One arena: the C library reserves 64 MiB of address space for each thread's own.
  char path_[24] = "PATH=/usr/bin", language_[16] = "LC_ALL=C", arenas_[24] = "MALLOC_ARENA_MAX=1";
  char* environment_[4] = {path_, language_, arenas_, nullptr};
};

pid_t start(const Plan& plan, int input, int output) {
  // As fork does, with new namespaces. The C library has no call for that which keeps the stack.
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, plan.flags(), nullptr, nullptr, nullptr, nullptr));
  if (pid == 0) plan.become(input, output);
  return pid;
}

// The program that runs: killed and waited for, whatever happens to whoever watches it.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  ~Child() {
    if (!waited_) {
      kill();
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void kill() const { ::kill(pid_, SIGKILL); }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    waited_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  const pid_t pid_;
  bool waited_ = false;
};

// Reads what it prints until it ends, is told to, or has to.
void follow(const Sandboxed& what, const Child& child, int output, SandboxFinished& finished) {
  const auto deadline = std::chrono::steady_clock::now() + what.limit;
  char piece[4096];
  while (true) {
    finished.timed_out = std::chrono::steady_clock::now() >= deadline;
    finished.stopped = !finished.timed_out && what.go_on && !what.go_on();
    if (finished.timed_out || finished.stopped) {
      child.kill();
      return;
    }
    pollfd waiting{output, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, 50);
    if (ready <= 0) continue;
    const auto got = ::read(output, piece, sizeof piece);
    if (got <= 0) return;
    const auto room = most_output - std::min(most_output, finished.output.size());
    finished.output.append(piece, std::min(room, static_cast<std::size_t>(got)));
  }
}

}  // namespace

SandboxFinished run_sandboxed(const Sandboxed& what) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe: " + std::string(std::strerror(errno)));
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Plan plan(what);
  const pid_t pid = start(plan, null.get(), theirs.get());
  if (pid < 0) {
    throw std::runtime_error("this system does not let a sandbox be made (" + std::string(std::strerror(errno)) +
                             "): namespaces are forbidden here");
  }
  Child child(pid);
  theirs.reset();
  SandboxFinished finished;
  follow(what, child, ours.get(), finished);
  finished.exit_code = child.wait();
  if (finished.exit_code == set_up_failed) {
    throw std::runtime_error("this system does not let a sandbox be made: " + finished.output);
  }
  return finished;
}

}  // namespace kiln::base
