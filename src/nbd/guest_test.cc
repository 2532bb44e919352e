// A live guest whose disk is ours and a plain file at once: QEMU's blkverify compares every read of the two, from the
// boot loader to the power button. tests/guests/run names the image; elsewhere this is skipped.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>

#include "base/digest.h"
#include "base/fd.h"
#include "nbd/served_testing.h"

namespace kiln::nbd {
namespace {

struct Guest : Served {
  const std::string raw = server.path("raw").string();
  const std::string console_path = server.path("run/console").string();
  pid_t qemu = -1;

  void TearDown() override {
    if (runs()) ::kill(qemu, SIGKILL);
  }
  std::string said(const std::string& path) const {
    const auto text = base::posix_files().read_all(path);
    return text ? *text : "";
  }
  std::string console() const { return said(console_path + ".log"); }
  bool runs() const {
    if (qemu <= 0) return false;
    const auto stat = base::posix_files().read_all("/proc/" + std::to_string(qemu) + "/stat");
    return stat && stat->find(") Z") == std::string::npos;
  }

  void start_qemu() {
    const auto both = R"({"driver":"blkverify","node-name":"both","raw":{"driver":"file","filename":")" + raw +
                      R"("},"test":{"driver":"nbd","server":{"type":"unix","path":")" + server.nbd_socket() +
                      R"("},"export":")" + volume + R"("}})";
    base::Command command;
    // blkverify cannot pass discards and zero writes on, so the guest is told that there are none.
    command.arguments = {
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-m",
        "192",
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-blockdev",
        both,
        "-device",
        "virtio-blk-pci,drive=both,discard=off,write-zeroes=off",
        "-chardev",
        "socket,id=console,server=on,wait=off,path=" + console_path + ",logfile=" + console_path + ".log",
        "-serial",
        "chardev:console"};
    command.log_path = server.path("run/qemu.log").string();
    qemu = base::start_detached(command);
  }
  base::Fd connect_to_console() {
    base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, console_path.c_str(), sizeof address.sun_path - 1);
    if (!becomes_true(
            [&] { return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0; })) {
      return base::Fd();
    }
    return fd;
  }
};

TEST_F(Guest, blkverify_finds_no_difference_while_a_guest_boots_writes_and_reads) {
  const char* image = std::getenv("KILN_TEST_IMAGE");
  if (image == nullptr) GTEST_SKIP() << "needs a guest's image: tests/guests/run";
  const auto disk = *base::posix_files().read_all(image, 256 * mib);
  const auto bytes = base::as_bytes(disk);
  serve(disk.size(), base::Bytes(bytes.begin(), bytes.end()));
  ASSERT_TRUE(base::posix_files().replace(raw, bytes).ok());
  start_qemu();
  const auto terminal = connect_to_console();
  ASSERT_TRUE(terminal) << said(server.path("run/qemu.log").string());
  const auto minutes = std::chrono::minutes(3);
  char dropped[4096];
  const auto console_says = [&](const std::string& text) {
    return becomes_true(
        [&] {
          // QEMU holds the guest's output back while nobody reads it.
          while (::recv(terminal.get(), dropped, sizeof dropped, MSG_DONTWAIT) > 0) continue;
          return console().find(text) != std::string::npos || !runs();
        },
        minutes);
  };
  const auto type = [&](const std::string& text) {
    ASSERT_EQ(::send(terminal.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  };
  ASSERT_TRUE(console_says("press Enter")) << console();
  type("\r");
  ASSERT_TRUE(console_says("/ # ")) << console();
  std::string numbers;
  for (int i = 1; numbers.size() < 3 * mib; ++i) numbers += std::to_string(i) + "\n";
  numbers.resize(3 * mib);
  const auto sum = base::sha256(numbers).hex();
  type(
      "seq 1 2000000 | head -c 3145728 >/root/numbers; sync; echo 3 >/proc/sys/vm/drop_caches; "
      "sha256sum /root/numbers; cp /root/numbers /root/copy; rm /root/numbers; sync; "
      "echo 3 >/proc/sys/vm/drop_caches; sha256sum /root/copy; sync; poweroff -f\r");
  EXPECT_TRUE(console_says(sum + "  /root/copy")) << console();
  EXPECT_TRUE(becomes_true([&] { return !runs(); }, minutes)) << console();
  EXPECT_EQ(said(server.path("run/qemu.log").string()).find("mismatch"), std::string::npos)
      << said(server.path("run/qemu.log").string());
  const auto stats = server.control().stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_GT(stats->front().written_bytes, 6 * mib);
  EXPECT_GT(stats->front().read_bytes, 20 * mib);
  std::cout << stats->front().read_bytes / mib << " MiB read and compared, " << stats->front().written_bytes / mib
            << " MiB written\n";
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  EXPECT_EQ(base::as_text(client.read(0, disk.size())), *base::posix_files().read_all(raw, 256 * mib));
}

}  // namespace
}  // namespace kiln::nbd
