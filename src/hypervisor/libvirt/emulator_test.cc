#include "hypervisor/libvirt/emulator.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/ids.h"
#include "base/process.h"
#include "hypervisor/host.h"

namespace kiln::hypervisor {
namespace {

namespace fs = std::filesystem;

class Emulator : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }
  const fs::path directory_ = fs::temp_directory_path() / ("kiln-emulator-" + base::random_hex(4));
};

TEST_F(Emulator, adds_a_reconnect_delay_to_nbd_disks_and_passes_the_rest_as_it_is) {
  const auto path = directory_ / "qemu";
  // A QEMU that prints what it is given, one argument a line.
  const auto printer = directory_ / "it's a printer";
  install_emulator(printer, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
  install_emulator(path, emulator_script(printer, std::chrono::seconds(30)));
  const auto ran = base::run({.arguments = {path, "-name", "guest=i-1 $HOME *", "-blockdev",
                                            R"({"driver":"nbd","server":{"type":"unix"},"export":"vol-1"})", "",
                                            R"({"driver":"raw","file":"x"})"}},
                             std::chrono::seconds(20));
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.output,
            "-name\nguest=i-1 $HOME *\n-blockdev\n"
            R"({"driver":"nbd","reconnect-delay":30,"server":{"type":"unix"},"export":"vol-1"})"
            "\n\n"
            R"({"driver":"raw","file":"x"})"
            "\n");
}

TEST_F(Emulator, is_left_alone_when_it_would_not_change) {
  const auto path = directory_ / "sub" / "qemu";
  install_emulator(path, "#!/bin/sh\n");
  struct stat first {};
  ASSERT_EQ(::stat(path.c_str(), &first), 0);
  EXPECT_EQ(first.st_mode & 0777U, 0755U);
  install_emulator(path, "#!/bin/sh\n");
  struct stat second {};
  ASSERT_EQ(::stat(path.c_str(), &second), 0);
  EXPECT_EQ(first.st_ino, second.st_ino);
  install_emulator(path, "#!/bin/sh\ntrue\n");
  ASSERT_EQ(::stat(path.c_str(), &second), 0);
  EXPECT_NE(first.st_ino, second.st_ino);
}

TEST_F(Emulator, says_where_it_cannot_be_written) {
  EXPECT_THROW(install_emulator("/proc/nowhere/qemu", "x"), HostError);
}

}  // namespace
}  // namespace kiln::hypervisor
