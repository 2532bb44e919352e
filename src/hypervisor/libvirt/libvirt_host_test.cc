// The libvirt host on libvirt's test driver: domains and networks without machines, and no privileges.
#include "hypervisor/libvirt/libvirt_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/ids.h"

namespace kiln::hypervisor {
namespace {

namespace fs = std::filesystem;

class LibvirtHostTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(directory_);
    host_ = make_host("me");
    spec_.instance_id = base::new_id("i");
    spec_.uuid = "ec2" + base::new_uuid().substr(3);
    spec_.disks[0].socket = directory_ / "nbd.sock";
    spec_.console_log = directory_ / "console.log";
  }
  void TearDown() override {
    host_->remove(spec_.instance_id);
    fs::remove_all(directory_);
  }
  std::unique_ptr<LibvirtHost> make_host(const std::string& owner) const {
    return std::make_unique<LibvirtHost>(
        LibvirtOptions{.uri = "test:///default", .directory = directory_, .owner = owner});
  }

  const fs::path directory_ = fs::temp_directory_path() / ("kiln-libvirt-" + base::random_hex(4));
  DomainSpec spec_{.instance_type = "t3.nano",
                   .memory_bytes = 64 << 20,
                   .disks = {{.volume_id = "vol-0123456789abcdef0", .device = "vda"}},
                   .nic = {.vpc_id = "vpc-00000000000000077", .mac = "02:0a:00:00:00:05", .private_ip = "10.77.0.5"}};
  std::unique_ptr<LibvirtHost> host_;
};

TEST_F(LibvirtHostTest, defines_starts_and_removes_a_domain_however_often_it_is_asked) {
  EXPECT_EQ(host_->power(spec_.instance_id), Power::absent);
  host_->start(spec_);
  host_->start(spec_);
  EXPECT_EQ(host_->power(spec_.instance_id), Power::running);
  EXPECT_TRUE(fs::exists(spec_.console_log));
  host_->power_off(spec_.instance_id);
  host_->power_off(spec_.instance_id);
  EXPECT_EQ(host_->power(spec_.instance_id), Power::off);
  EXPECT_EQ(host_->state(spec_.instance_id).reason, "powered off");
  host_->start(spec_);
  EXPECT_EQ(host_->power(spec_.instance_id), Power::running);
  host_->remove(spec_.instance_id);
  host_->remove(spec_.instance_id);
  EXPECT_EQ(host_->power(spec_.instance_id), Power::absent);
}

TEST_F(LibvirtHostTest, says_what_is_not_there) {
  EXPECT_THROW(host_->reset("i-00000000000000000"), HostError);
  EXPECT_THROW(host_->resume("i-00000000000000000"), HostError);
  EXPECT_THROW(host_->statistics("i-00000000000000000"), HostError);
  EXPECT_THROW(host_->bridge("vpc-00000000000000000"), HostError);
  host_->power_off("i-00000000000000000");
  host_->press_power_button("i-00000000000000000");
}

TEST_F(LibvirtHostTest, refuses_a_domain_without_a_disk_or_a_place_for_its_console) {
  auto diskless = spec_;
  diskless.disks.clear();
  EXPECT_THROW(host_->start(diskless), HostError);
  auto mute = spec_;
  mute.console_log = directory_ / "nowhere" / "console.log";
  EXPECT_THROW(host_->start(mute), HostError);
}

TEST(LibvirtConnection, names_the_libvirt_that_cannot_be_reached) {
  Connection connection("qemu+unix:///system?socket=/nowhere/libvirt-sock");
  try {
    connection.get();
    FAIL() << "it connected";
  } catch (const HostError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("/nowhere/libvirt-sock"));
  }
}

}  // namespace
}  // namespace kiln::hypervisor
