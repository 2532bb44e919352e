#include "control/instances.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/api_error.h"
#include "control/instances_fixture.h"
#include "control/metadata.h"

namespace kiln::control {
namespace {

using World = InstancesFixture;

TEST(Instances, states_change_as_in_ec2_and_say_why) {
  World world;
  const auto id = world.running_instance();
  auto& region = world.region();

  auto change = start_instances(region, world.alice, {id}).at(0);
  EXPECT_EQ(change.previous + ">" + change.current, "running>running");
  change = stop_instances(region, world.alice, {id}, Force::no).at(0);
  EXPECT_EQ(change.previous + ">" + change.current, "running>stopping");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.row(id).state_reason_code, "Client.UserInitiatedShutdown");
  EXPECT_TRUE(world.row(id).transition_reason.starts_with("User initiated (20"));
  change = stop_instances(region, world.alice, {id}, Force::no).at(0);
  EXPECT_EQ(change.previous + ">" + change.current, "stopped>stopped");
  EXPECT_EQ(refusal_of([&] { reboot_instances(region, world.alice, {id}); }), "IncorrectInstanceState");
  change = start_instances(region, world.alice, {id}).at(0);
  EXPECT_EQ(change.previous + ">" + change.current, "stopped>pending");
  EXPECT_EQ(refusal_of([&] { stop_instances(region, world.alice, {id}, Force::no); }), "IncorrectInstanceState");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.row(id).transition_reason, "");
  change = terminate_instances(region, world.alice, {id}).at(0);
  EXPECT_EQ(change.previous + ">" + change.current, "running>shutting-down");
  ASSERT_TRUE(world.settle());
  change = terminate_instances(region, world.alice, {id}).at(0);
  EXPECT_EQ(change.previous + ">" + change.current, "terminated>terminated");
  EXPECT_EQ(refusal_of([&] { start_instances(region, world.alice, {id}); }), "IncorrectInstanceState");
}

TEST(Instances, unknown_ids_and_those_of_others_are_not_found) {
  World world;
  const auto id = world.running_instance();
  auto& region = world.region();
  const std::string unknown = "i-0123456789abcdef0";
  EXPECT_EQ(refusal_of([&] { describe_instances(region, world.alice, {unknown}); }), "InvalidInstanceID.NotFound");
  EXPECT_EQ(refusal_of([&] { describe_instances(region, world.alice, {"i-x"}); }), "InvalidInstanceID.Malformed");
  EXPECT_EQ(refusal_of([&] { describe_instances(region, world.bob, {id}); }), "InvalidInstanceID.NotFound");
  EXPECT_EQ(refusal_of([&] { terminate_instances(region, world.bob, {id}); }), "InvalidInstanceID.NotFound");
  EXPECT_EQ(refusal_of([&] { console_output(region, world.bob, id); }), "InvalidInstanceID.NotFound");
  EXPECT_EQ(refusal_of([&] { stop_instances(region, world.alice, {}, Force::no); }), "MissingParameter");
  EXPECT_TRUE(describe_instances(region, world.bob, {}).empty());
  // All or none: the known one is not touched either.
  EXPECT_EQ(refusal_of([&] { terminate_instances(region, world.alice, {id, unknown}); }), "InvalidInstanceID.NotFound");
  EXPECT_EQ(world.state(id), "running");
  try {
    describe_instances(region, world.alice, {unknown, "i-0123456789abcdef1"});
    FAIL();
  } catch (const base::ApiError& error) {
    EXPECT_STREQ(error.what(), "The instance IDs 'i-0123456789abcdef0, i-0123456789abcdef1' do not exist");
  }
}

TEST(Instances, termination_protection_holds_until_it_is_taken_away) {
  World world;
  const auto id = world.running_instance();
  change_instance(world.region(), world.alice, id, {.termination_protection = true});
  EXPECT_EQ(refusal_of([&] { terminate_instances(world.region(), world.alice, {id}); }), "OperationNotPermitted");
  EXPECT_EQ(world.state(id), "running");
  change_instance(world.region(), world.alice, id, {.termination_protection = false});
  terminate_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "terminated");
}

TEST(Instances, a_type_changes_only_while_stopped) {
  World world;
  const auto id = world.running_instance();
  const InstanceChanges larger{.instance_type = "t3.nano"};
  EXPECT_EQ(refusal_of([&] { change_instance(world.region(), world.alice, id, larger); }), "IncorrectInstanceState");
  stop_instances(world.region(), world.alice, {id}, Force::no);
  ASSERT_TRUE(world.settle());
  change_instance(world.region(), world.alice, id, larger);
  start_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.host().spec(id).vcpus, 2);
  EXPECT_EQ(world.host().spec(id).memory_bytes, std::uint64_t{512} << 20);
}

TEST(Instances, the_console_shows_its_last_64_kib) {
  World world;
  const auto id = world.running_instance();
  EXPECT_EQ(console_output(world.region(), world.alice, id).text, "");
  const std::string tail(64 << 10, 'b');
  std::ofstream(world.region().console_log(id)) << "aaaa" << tail;
  EXPECT_EQ(console_output(world.region(), world.alice, id).text, tail);
}

TEST(Instances, the_metadata_service_knows_a_guest_by_its_address) {
  World world;
  const auto id = world.running_instance();
  const auto row = world.row(id);
  const auto found = metadata_of(world.region(), row.vpc_id, row.private_ip);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->instance.id, id);
  EXPECT_FALSE(metadata_of(world.region(), "vpc-0123456789abcdef0", row.private_ip));
  EXPECT_EQ(vpcs_with_guests(world.region()), std::vector<std::string>{row.vpc_id});
  terminate_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_FALSE(metadata_of(world.region(), row.vpc_id, row.private_ip));
}

}  // namespace
}  // namespace kiln::control
