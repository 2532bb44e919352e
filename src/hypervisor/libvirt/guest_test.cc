// Real guests under a libvirt of the test's own. tests/guests/run starts this program in its namespaces; elsewhere
// these tests are skipped.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <pugixml.hpp>
#include <thread>

#include "base/fd.h"
#include "base/ids.h"
#include "hypervisor/libvirt/libvirt_host.h"

namespace kiln::hypervisor {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

bool wait_for(const std::function<bool()>& done, seconds limit) {
  const auto deadline = steady_clock::now() + limit;
  while (!done()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(50));
  }
  return true;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int count_of(const std::string& text, const std::string& what) {
  int count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

class Guest : public testing::Test {
 protected:
  void SetUp() override {
    const char* image = std::getenv("KILN_TEST_IMAGE");
    const char* directory = std::getenv("KILN_TEST_DIRECTORY");
    if (image == nullptr || directory == nullptr) GTEST_SKIP() << "needs a private libvirt: tests/guests/run";
    directory_ = directory;
    spec_.instance_id = base::new_id("i");
    spec_.uuid = "ec2" + base::new_uuid().substr(3);
    spec_.instance_type = "t3.nano";
    spec_.memory_bytes = 128 << 20;
    spec_.nic = {.vpc_id = network_.vpc_id, .mac = "02:0a:00:00:00:05", .private_ip = "10.77.0.5"};
    run_ = directory_ / spec_.instance_id;
    fs::create_directories(run_ / "disks");
    spec_.console_log = run_ / "console.log";
    spec_.disks = {add_disk("vda")};
    fs::copy_file(image, run_ / "disks" / spec_.disks[0].volume_id);
    server_ = {.instance_id = spec_.instance_id,
               .run_directory = run_,
               .plugin_parameters = {"dir=" + (run_ / "disks").string()}};
    host_ = make_host("test");
    host_->ensure_network(network_);
    host_->add_address(spec_.nic, "ip-10-77-0-5");
  }

  void TearDown() override {
    if (!host_) return;
    host_->remove(spec_.instance_id);
    host_->stop_disk_server(server_);
    host_->remove_address(spec_.nic);
    host_->remove_network(network_.vpc_id);
    if (HasFailure()) std::cerr << "console of " << spec_.instance_id << ":\n" << console() << "\n";
  }

  std::unique_ptr<LibvirtHost> make_host(const std::string& owner) const {
    return std::make_unique<LibvirtHost>(LibvirtOptions{
        .directory = directory_ / "host", .owner = owner, .disk_servers = {.plugin = "file", .control = false}});
  }

  Disk add_disk(const std::string& device) const {
    return {.volume_id = base::new_id("vol"), .device = device, .socket = run_ / "nbd.sock"};
  }

  std::string console() const { return read_text(spec_.console_log); }
  bool console_says(const std::string& text, int times = 1, seconds limit = seconds(180)) const {
    return wait_for([&] { return count_of(console(), text) >= times; }, limit);
  }
  bool becomes(Power power, seconds limit = seconds(60)) const {
    return wait_for([&] { return host_->power(spec_.instance_id) == power; }, limit);
  }

  void boot() {
    host_->start_disk_server(server_);
    host_->start(spec_);
    ASSERT_EQ(host_->power(spec_.instance_id), Power::running);
    ASSERT_TRUE(console_says("KILN ready"));
  }

  // Types a command on the guest's serial console, as virsh console would, and returns once its shell has read it.
  void type(const std::string& command) {
    const ConnectPtr connection(virConnectOpen("qemu:///system"), virConnectClose);
    const DomainPtr domain(virDomainLookupByName(connection.get(), spec_.instance_id.c_str()));
    pugi::xml_document xml;
    xml.load_string(take_text(virDomainGetXMLDesc(domain.get(), 0), "xml").c_str());
    const auto path = xml.select_node("/domain/devices/serial/source/@path").attribute().value();
    const base::Fd terminal(::open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(terminal) << path;
    termios settings{};
    ::tcgetattr(terminal.get(), &settings);
    ::cfmakeraw(&settings);  // or what the guest prints is sent back to it
    ::tcsetattr(terminal.get(), TCSANOW, &settings);
    const auto send = [&](const std::string& text, const std::string& answer) {
      const int before = count_of(console(), answer);
      ASSERT_EQ(::write(terminal.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
      // QEMU looks once a second whether somebody opened the terminal. It holds the guest's output back when nobody
      // reads here, so what is in the log anyway is read and dropped.
      char dropped[4096];
      ASSERT_TRUE(wait_for(
          [&] {
            while (::read(terminal.get(), dropped, sizeof dropped) > 0) continue;
            return count_of(console(), answer) > before;
          },
          seconds(180)))
          << answer;
    };
    send(shell_runs_ ? "\x03" : "\r", "/ # ");
    shell_runs_ = true;
    // The sum is printed by the shell; its echo of what is typed shows only the terms.
    const auto number = std::to_string(++typed_);
    send("echo read-$((1000+" + number + ")); " + command + "\r", "read-" + std::to_string(1000 + typed_));
  }

  void kill_disk_server() const {
    const int pid = std::stoi(read_text(run_ / "nbdkit.pid"));
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_TRUE(wait_for([&] { return !host_->disk_server_runs(server_); }, seconds(10)));
  }

  const Network network_{.vpc_id = "vpc-00000000000000077", .cidr = "10.77.0.0/16"};
  fs::path directory_, run_;
  DomainSpec spec_;
  DiskServer server_;
  std::unique_ptr<LibvirtHost> host_;
  int typed_ = 0;
  bool shell_runs_ = false;  // in the guest, on its console
};

TEST_F(Guest, boots_obeys_the_power_button_and_keeps_what_it_wrote) {
  const auto begin = steady_clock::now();
  boot();
  std::cout << "ready after " << std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count()
            << " ms (" << host_->acceleration() << ")\n";
  EXPECT_THAT(console(), HasSubstr("KILN address 10.77.0.5"));
  host_->start(spec_);  // what runs is left alone

  // A daemon that starts anew finds it; one of another owner does not.
  const auto again = make_host("test")->list();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].instance_id, spec_.instance_id);
  EXPECT_EQ(again[0].power, Power::running);
  EXPECT_TRUE(make_host("somebody else")->list().empty());

  type("echo kept >/root/kept; echo wrote-$((40 + 2))");
  ASSERT_TRUE(console_says("wrote-42"));
  host_->press_power_button(spec_.instance_id);
  ASSERT_TRUE(becomes(Power::off));
  EXPECT_EQ(host_->state(spec_.instance_id).cause, Cause::guest);
  EXPECT_THAT(console(), HasSubstr("KILN root unmounted"));
  host_->press_power_button(spec_.instance_id);  // pressing it on a machine that is off does nothing

  host_->start(spec_);
  ASSERT_TRUE(console_says("KILN ready", 2));
  shell_runs_ = false;
  type("echo it-is-$(cat /root/kept)");
  EXPECT_TRUE(console_says("it-is-kept"));
  type("reboot");
  EXPECT_TRUE(console_says("KILN ready", 3));
  host_->power_off(spec_.instance_id);
  EXPECT_EQ(host_->power(spec_.instance_id), Power::off);
  host_->remove(spec_.instance_id);
  EXPECT_EQ(host_->power(spec_.instance_id), Power::absent);
  host_->remove(spec_.instance_id);
}

TEST_F(Guest, sees_no_error_when_its_disk_server_is_killed_under_writes) {
  boot();
  const auto second = add_disk("vdb");
  std::ofstream(run_ / "disks" / second.volume_id).close();
  fs::resize_file(run_ / "disks" / second.volume_id, 16 << 20);
  host_->attach_disk(spec_.instance_id, second);
  host_->attach_disk(spec_.instance_id, second);
  const auto write_forever = [](const std::string& path) {
    return "n=0; while :; do n=$((n + 1)); dd if=/dev/urandom of=" + path +
           " bs=64k count=16 conv=fsync 2>/dev/null && echo wrote-$((n))-" + path + " || echo lost-$((n))-" + path +
           "; done";
  };
  type("(" + write_forever("/root/load") + ") & " + write_forever("/dev/vdb"));
  const auto both_written = [&](int times) {
    const int root = count_of(console(), "-/root/load\r") + times;
    const int plugged = count_of(console(), "-/dev/vdb\r") + times;
    return [this, root, plugged] {
      if (host_->state(spec_.instance_id).cause == Cause::io_error)
        host_->resume(spec_.instance_id);  // as the daemon does it
      return count_of(console(), "-/root/load\r") >= root && count_of(console(), "-/dev/vdb\r") >= plugged;
    };
  };
  ASSERT_TRUE(wait_for(both_written(3), seconds(60)));
  for (int round = 0; round < 3; ++round) {
    kill_disk_server();
    // A hot-plugged disk does not wait for its server: the guest stops, with nothing lost.
    if (round > 0) {
      ASSERT_TRUE(wait_for([&] { return host_->state(spec_.instance_id).cause == Cause::io_error; }, seconds(60)));
      EXPECT_EQ(host_->state(spec_.instance_id).reason, "I/O error");
    }
    host_->start_disk_server(server_);
    ASSERT_TRUE(wait_for(both_written(3), seconds(90)));
  }
  EXPECT_THAT(console(), Not(testing::ContainsRegex("lost-[0-9]")));
  EXPECT_THAT(console(), Not(HasSubstr("I/O error")));
  const auto statistics = host_->statistics(spec_.instance_id);
  ASSERT_EQ(statistics.disks.size(), 2U);
  EXPECT_GT(statistics.disks[1].written_bytes, 3U << 20);
  EXPECT_GT(statistics.cpu_nanoseconds, 0U);

  type("kill $!");
  host_->detach_disk(spec_.instance_id, second);
  host_->detach_disk(spec_.instance_id, second);
  type("ls -d /sys/block/vd? | tr '\\n' ' '; echo disks-$((1 + 1))");
  ASSERT_TRUE(console_says("disks-2"));
  EXPECT_THAT(console(), HasSubstr("/sys/block/vda disks-2"));
}

TEST_F(Guest, a_network_takes_addresses_while_it_runs_and_stands_beside_another) {
  host_->ensure_network(network_);
  EXPECT_THROW(host_->ensure_network({.vpc_id = network_.vpc_id, .cidr = "10.78.0.0/16"}), HostError);
  const Network other{.vpc_id = "vpc-00000000000000078", .cidr = "10.78.0.0/16"};
  host_->ensure_network(other);
  EXPECT_NE(host_->bridge(other.vpc_id), host_->bridge(network_.vpc_id));
  EXPECT_TRUE(fs::exists("/sys/class/net/" + host_->bridge(other.vpc_id)));

  const Nic nic{.vpc_id = other.vpc_id, .mac = "02:0a:00:00:00:06", .private_ip = "10.78.0.6"};
  host_->add_address(nic, "ip-10-78-0-6");
  host_->add_address(nic, "ip-10-78-0-6");
  auto moved = nic;
  moved.private_ip = "10.78.0.7";
  host_->add_address(moved, "ip-10-78-0-7");
  auto replaced = moved;
  replaced.mac = "02:0a:00:00:00:07";
  host_->add_address(replaced, "ip-10-78-0-7");
  host_->remove_address(replaced);
  host_->remove_address(replaced);
  host_->remove_network(other.vpc_id);
  host_->remove_network(other.vpc_id);
  EXPECT_THROW(host_->bridge(other.vpc_id), HostError);
}

}  // namespace
}  // namespace kiln::hypervisor
