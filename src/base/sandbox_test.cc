#include "base/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"

namespace kiln::base {
namespace {

// busybox is one file that is many small programs.
SandboxFinished inside(std::vector<std::string> arguments, Sandboxed what = {}) {
  what.program = "/usr/bin/busybox";
  what.arguments = std::move(arguments);
  return run_sandboxed(what);
}

Fd file_with(std::string_view content, mode_t mode) {
  Fd fd(::memfd_create("sandboxed", MFD_CLOEXEC));
  EXPECT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  ::fchmod(fd.get(), mode);
  return fd;
}

TEST(Sandbox, the_program_is_nobody_in_an_empty_place) {
  EXPECT_NE(inside({"id", "-u"}).output, "0\n");
  EXPECT_EQ(inside({"ls", "/"}).output, "lib\nlib64\nproc\nusr\n");
  EXPECT_EQ(inside({"ls", "/usr/bin"}).output, "busybox\n");
  EXPECT_EQ(inside({"id"}).output.find("groups=0"), std::string::npos);
  EXPECT_NE(inside({"cat", "/etc/passwd"}).exit_code, 0);
  // Itself, and nobody else's processes.
  const auto processes = inside({"ls", "/proc"}).output;
  EXPECT_EQ(std::ranges::count_if(processes, [](char c) { return c >= '0' && c <= '9'; }), 1) << processes;
}

TEST(Sandbox, the_program_can_neither_write_nor_talk_nor_gain_privileges) {
  for (const auto* const place : {"/x", "/usr/x", "/usr/lib/x", "/proc/x"}) {
    EXPECT_NE(inside({"touch", place}).exit_code, 0) << place;
  }
  EXPECT_NE(inside({"rm", "/lib"}).exit_code, 0);
  const auto talk = inside({"nc", "127.0.0.1", "1"});
  EXPECT_NE(talk.exit_code, 0);
  EXPECT_NE(talk.output.find("not implemented"), std::string::npos) << talk.output;
  EXPECT_NE(inside({"mount", "-t", "tmpfs", "none", "/usr"}).exit_code, 0);
  EXPECT_NE(inside({"sh", "-c", "/usr/bin/busybox true; exit $?"}).exit_code, 0) << "a second process";
  const auto status = inside({"cat", "/proc/self/status"}).output;
  for (const auto* const line :
       {"CapPrm:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}) {
    EXPECT_NE(status.find(line), std::string::npos) << line;
  }
}

TEST(Sandbox, it_reads_and_writes_the_files_that_it_is_given_by_their_modes) {
  const auto in = file_with("hello", 0444), out = file_with("", 0666);
  const std::vector<SandboxFile> files{{in.get(), "in"}, {out.get(), "out"}};
  EXPECT_EQ(inside({"cat", "/in"}, {.files = files, .file_bytes = 100}).output, "hello");
  EXPECT_EQ(inside({"cp", "/in", "/out"}, {.files = files, .file_bytes = 100}).exit_code, 0);
  char text[6] = {};
  EXPECT_EQ(::pread(out.get(), text, 5, 0), 5);
  EXPECT_STREQ(text, "hello");
  EXPECT_NE(inside({"dd", "if=/out", "of=/in"}, {.files = files, .file_bytes = 100}).exit_code, 0);
}

TEST(Sandbox, limits_of_memory_time_and_length_hold) {
  const auto out = file_with("", 0666);
  EXPECT_NE(inside({"dd", "if=/usr/bin/busybox", "of=/out"}, {.files = {{out.get(), "out"}}, .file_bytes = 100'000})
                .exit_code,
            0);
  struct stat about {};
  ::fstat(out.get(), &about);
  EXPECT_EQ(about.st_size, 100'000);
  EXPECT_NE(inside({"dd", "if=/usr/bin/busybox", "of=/proc/self/fd/1", "bs=64M"}, {.memory_bytes = 32 << 20}).exit_code,
            0);
  EXPECT_EQ(inside({"awk", "BEGIN { while (1); }"}, {.cpu = std::chrono::seconds(1)}).exit_code, 128 + SIGKILL);
}

// qemu-img starts up to 64 threads, whose stacks and arenas would fill a GiB of address space.
TEST(Sandbox, threads_fit_into_the_memory) {
  const auto made = inside({"env"}).output;
  EXPECT_NE(made.find("MALLOC_ARENA_MAX=1\n"), std::string::npos) << made;
  const auto limits = inside({"grep", "stack", "/proc/self/limits"}).output;
  EXPECT_NE(limits.find("2097152"), std::string::npos) << limits;
}

TEST(Sandbox, it_ends_at_its_deadline_and_when_it_is_told_to) {
  EXPECT_TRUE(inside({"sleep", "1000"}, {.limit = std::chrono::milliseconds(100)}).timed_out);
  int asked = 0;
  EXPECT_TRUE(inside({"sleep", "1000"}, {.go_on = [&] { return ++asked < 3; }}).stopped);
}

TEST(Sandbox, no_descriptor_but_the_given_ones_is_inherited) {
  const Fd secret(::open("/etc/passwd", O_RDONLY));
  const auto in = file_with("hello", 0444);
  // 0, 1, 2, the file, and the directory that is listed.
  EXPECT_EQ(inside({"ls", "/proc/self/fd"}, {.files = {{in.get(), "in"}}}).output, "0\n1\n2\n3\n4\n");
}

}  // namespace
}  // namespace kiln::base
