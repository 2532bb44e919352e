#include "hypervisor/fake/fake_host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace kiln::hypervisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FakeHostTest : public testing::Test {
 protected:
  void SetUp() override {
    host_.ensure_network({.vpc_id = "vpc-1", .cidr = "10.0.0.0/16"});
    host_.start_disk_server(server_);
  }

  FakeHost host_;
  const DiskServer server_{.instance_id = "i-1", .run_directory = "/run/i-1"};
  const DomainSpec spec_{.instance_id = "i-1",
                         .memory_bytes = 1 << 20,
                         .disks = {{.volume_id = "vol-1", .device = "vda", .socket = "/run/i-1/nbd.sock"}},
                         .nic = {.vpc_id = "vpc-1", .mac = "02:00:00:00:00:01", .private_ip = "10.0.0.4"}};
};

TEST_F(FakeHostTest, runs_stops_and_forgets_domains) {
  EXPECT_EQ(host_.power("i-1"), Power::absent);
  host_.start(spec_);
  host_.start(spec_);
  EXPECT_EQ(host_.power("i-1"), Power::running);
  host_.press_power_button("i-1");
  EXPECT_EQ(host_.power("i-1"), Power::off);
  EXPECT_EQ(host_.state("i-1").cause, Cause::guest);
  host_.start(spec_);
  host_.power_off("i-1");
  EXPECT_EQ(host_.list().size(), 1U);
  host_.remove("i-1");
  host_.remove("i-1");
  EXPECT_THAT(host_.list(), IsEmpty());
}

TEST_F(FakeHostTest, fails_as_it_was_told_and_then_no_more) {
  host_.fail_next("start", "no memory");
  EXPECT_THROW(host_.start(spec_), HostError);
  EXPECT_EQ(host_.power("i-1"), Power::absent);
  host_.fail_after_next("start", "connection lost");
  EXPECT_THROW(host_.start(spec_), HostError);
  EXPECT_EQ(host_.power("i-1"), Power::running);
  host_.start(spec_);
  EXPECT_EQ(host_.calls("start"), 3);
}

TEST_F(FakeHostTest, is_as_strict_as_a_real_host) {
  auto elsewhere = spec_;
  elsewhere.nic.vpc_id = "vpc-2";
  EXPECT_THROW(host_.start(elsewhere), HostError);
  host_.stop_disk_server(server_);
  EXPECT_THROW(host_.start(spec_), HostError);
  EXPECT_THROW(host_.reset("i-1"), HostError);
  EXPECT_THROW(host_.ensure_network({.vpc_id = "vpc-1", .cidr = "10.9.0.0/16"}), HostError);
  EXPECT_THROW(host_.bridge("vpc-2"), HostError);
}

TEST_F(FakeHostTest, resumes_a_stopped_guest_only_when_its_disks_are_served) {
  host_.start(spec_);
  host_.kill_disk_server("i-1");
  EXPECT_FALSE(host_.disk_server_runs(server_));
  host_.disk_fails("i-1");
  EXPECT_EQ(host_.state("i-1").cause, Cause::io_error);
  EXPECT_THROW(host_.resume("i-1"), HostError);
  host_.start_disk_server(server_);
  host_.resume("i-1");
  EXPECT_EQ(host_.power("i-1"), Power::running);
}

TEST_F(FakeHostTest, ignores_the_power_button_when_guests_do) {
  host_.start(spec_);
  host_.set_guests_obey(false);
  host_.press_power_button("i-1");
  EXPECT_EQ(host_.power("i-1"), Power::running);
}

TEST_F(FakeHostTest, keeps_definitions_and_nothing_else_when_the_host_reboots) {
  host_.start(spec_);
  host_.reboot_host();
  EXPECT_EQ(host_.power("i-1"), Power::off);
  EXPECT_THAT(host_.disk_servers(), IsEmpty());
  EXPECT_THAT(host_.networks(), ElementsAre("vpc-1"));
}

TEST_F(FakeHostTest, gives_an_address_to_one_card_at_a_time) {
  host_.add_address(spec_.nic, "a");
  auto other = spec_.nic;
  other.mac = "02:00:00:00:00:02";
  host_.add_address(other, "b");
  ASSERT_EQ(host_.addresses().size(), 1U);
  EXPECT_EQ(host_.addresses()[0].mac, other.mac);
  host_.remove_address(other);
  host_.remove_address(other);
  EXPECT_THAT(host_.addresses(), IsEmpty());
}

TEST_F(FakeHostTest, attaches_and_detaches_disks_idempotently) {
  host_.start(spec_);
  const Disk disk{.volume_id = "vol-2", .device = "vdb", .socket = "/run/i-1/nbd.sock"};
  host_.attach_disk("i-1", disk);
  host_.attach_disk("i-1", disk);
  EXPECT_EQ(host_.spec("i-1").disks.size(), 2U);
  EXPECT_THROW(host_.attach_disk("i-1", {.volume_id = "vol-3", .device = "vdb"}), HostError);
  host_.detach_disk("i-1", disk);
  host_.detach_disk("i-1", disk);
  EXPECT_EQ(host_.spec("i-1").disks.size(), 1U);
}

TEST_F(FakeHostTest, may_be_called_from_many_threads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      auto mine = spec_;
      mine.instance_id = "i-" + std::to_string(100 + t);
      for (int i = 0; i < 100; ++i) {
        host_.start_disk_server({.instance_id = mine.instance_id, .run_directory = "/run"});
        host_.start(mine);
        host_.list();
        host_.remove(mine.instance_id);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(host_.calls("start"), 400);
  EXPECT_THAT(host_.list(), IsEmpty());
}

}  // namespace
}  // namespace kiln::hypervisor
