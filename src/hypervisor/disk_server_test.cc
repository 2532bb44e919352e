// With nbdkit itself and its memory plugin; needs no privileges.
#include "hypervisor/disk_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/fd.h"
#include "base/ids.h"

namespace kiln::hypervisor {
namespace {

namespace fs = std::filesystem;

class DiskServerTest : public testing::Test {
 protected:
  void TearDown() override {
    if (servers_.runs(server_)) servers_.stop(server_);
    fs::remove_all(directory_);
  }

  std::string pid() const {
    std::ifstream file(directory_ / "nbdkit.pid");
    std::string text;
    std::getline(file, text);
    return text;
  }

  void kill_it() {
    ASSERT_EQ(::kill(std::stoi(pid()), SIGKILL), 0);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (servers_.runs(server_) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ASSERT_FALSE(servers_.runs(server_));
  }

  const fs::path directory_ = fs::temp_directory_path() / ("kiln-disks-" + base::random_hex(4));
  const DiskServer server_{.instance_id = "i-1", .run_directory = directory_, .plugin_parameters = {"size=1M"}};
  const DiskServers servers_{{.plugin = "memory", .control = false}};
};

TEST_F(DiskServerTest, is_started_once_and_found_by_others) {
  EXPECT_FALSE(servers_.runs(server_));
  servers_.start(server_);
  EXPECT_TRUE(servers_.runs(server_));
  const auto first = pid();
  const DiskServers of_another_daemon{{.plugin = "memory", .control = false}};
  EXPECT_TRUE(of_another_daemon.runs(server_));
  of_another_daemon.start(server_);
  EXPECT_EQ(pid(), first);
  struct stat status {};
  ASSERT_EQ(::stat((directory_ / "nbd.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0660U);
  ASSERT_EQ(::stat((directory_ / "ctl.sock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);

  of_another_daemon.stop(server_);
  EXPECT_FALSE(servers_.runs(server_));
  EXPECT_FALSE(fs::exists("/proc/" + first + "/exe"));  // at most a zombie that its new parent has yet to reap
  EXPECT_FALSE(fs::exists(directory_ / "nbd.sock"));
  servers_.stop(server_);
}

TEST_F(DiskServerTest, takes_its_sockets_again_after_a_kill) {
  servers_.start(server_);
  const auto first = pid();
  kill_it();
  EXPECT_TRUE(fs::exists(directory_ / "nbd.sock"));
  servers_.start(server_);
  EXPECT_TRUE(servers_.runs(server_));
  EXPECT_NE(pid(), first);
}

TEST_F(DiskServerTest, says_why_it_did_not_start) {
  const DiskServers wrong{{.plugin = "memory", .control = true}};  // the memory plugin knows no control-fd
  try {
    wrong.start(server_);
    FAIL() << "it started";
  } catch (const HostError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("control-fd"));
  }
  EXPECT_FALSE(wrong.runs(server_));
}

TEST_F(DiskServerTest, never_kills_a_process_that_is_not_it) {
  servers_.start(server_);
  kill_it();
  // The pid has gone to somebody else: to this test.
  std::ofstream(directory_ / "nbdkit.pid") << ::getpid() << "\n";
  servers_.stop(server_);
  EXPECT_FALSE(fs::exists(directory_ / "nbdkit.pid"));
}

TEST_F(DiskServerTest, refuses_a_path_that_no_socket_can_have) {
  auto deep = server_;
  deep.run_directory = directory_ / std::string(100, 'x');
  EXPECT_THROW(servers_.start(deep), HostError);
}

}  // namespace
}  // namespace kiln::hypervisor
