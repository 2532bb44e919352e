#include "control/launch.h"

#include <gtest/gtest.h>

#include "base/api_error.h"
#include "base/text.h"
#include "catalog/client_tokens.h"
#include "control/instances_fixture.h"
#include "control/keys.h"

namespace kiln::control {
namespace {

using World = InstancesFixture;

std::string refusal(World& world, const Launch& what) {
  return refusal_of([&] { launch(world.region(), world.alice, what); });
}

catalog::Image image_with_root() {
  catalog::Image image;
  image.id = "ami-1";
  image.root_device_name = "/dev/sda1";
  return image;
}

std::vector<catalog::ImageDevice> two_devices() {
  catalog::ImageDevice root, data;
  root.device_name = "/dev/sda1";
  root.snapshot_id = "snap-1";
  root.size_gib = 8;
  data.device_name = "/dev/sdb";
  data.snapshot_id = "snap-2";
  data.size_gib = 4;
  data.delete_on_termination = false;
  return {data, root};
}

TEST(LaunchDevices, overrides_by_device_name_member_by_member) {
  LaunchDevice change;
  change.device_name = "/dev/sda1";
  change.size_gib = 20;
  change.delete_on_termination = false;
  LaunchDevice more;
  more.device_name = "/dev/sdc";
  more.size_gib = 1;
  const auto merged = merge_devices(image_with_root(), two_devices(), {more, change});
  ASSERT_EQ(merged.size(), 3U);
  EXPECT_EQ(merged[0].device_name, "/dev/sda1");
  EXPECT_EQ(merged[0].snapshot_id, "snap-1");
  EXPECT_EQ(merged[0].size_gib, 20);
  EXPECT_FALSE(merged[0].delete_on_termination);
  EXPECT_EQ(merged[1].device_name, "/dev/sdb");
  EXPECT_EQ(merged[1].size_gib, 4);
  EXPECT_EQ(merged[2].device_name, "/dev/sdc");
  EXPECT_FALSE(merged[2].delete_on_termination);
  EXPECT_EQ(merged[2].position, 2);
}

TEST(LaunchDevices, no_device_drops_an_entry_and_never_the_root) {
  LaunchDevice change;
  change.device_name = "/dev/sdb";
  change.no_device = true;
  EXPECT_EQ(merge_devices(image_with_root(), two_devices(), {change}).size(), 1U);
  change.device_name = "/dev/sda1";
  EXPECT_EQ(refusal_of([&] { merge_devices(image_with_root(), two_devices(), {change}); }),
            "InvalidBlockDeviceMapping");
}

TEST(LaunchDevices, refuses_what_makes_no_sense) {
  LaunchDevice change;
  change.device_name = "/dev/sdc";
  const auto code = [&](const std::vector<LaunchDevice>& changes) {
    return refusal_of([&] { merge_devices(image_with_root(), two_devices(), changes); });
  };
  EXPECT_EQ(code({change}), "InvalidBlockDeviceMapping");
  change.size_gib = 1;
  EXPECT_EQ(code({change, change}), "InvalidBlockDeviceMapping");
  LaunchDevice other;
  other.device_name = "/dev/sda1";
  other.snapshot_id = "snap-9";
  EXPECT_EQ(code({other}), "InvalidBlockDeviceMapping");
}

TEST(Launch, runs_with_the_volumes_of_the_image) {
  World world;
  auto what = world.request();
  what.max_count = 2;
  what.instance_tags = {{"Name", "web"}};
  what.volume_tags = {{"Name", "disk"}};
  const auto launched = launch(world.region(), world.alice, what);
  ASSERT_EQ(launched.instance_ids.size(), 2U);
  ASSERT_TRUE(world.settle());
  for (const auto& details : describe_instances(world.region(), world.alice, launched.instance_ids)) {
    EXPECT_EQ(details.instance.state, "running");
    EXPECT_EQ(details.instance.reservation_id, launched.reservation_id);
    EXPECT_TRUE(details.instance.uuid.starts_with("ec2"));
    ASSERT_EQ(details.tags.size(), 1U);
    EXPECT_EQ(details.tags[0].value, "web");
    ASSERT_EQ(details.groups.size(), 1U);
    EXPECT_EQ(details.groups[0].name, "default");
    ASSERT_EQ(details.disks.size(), 1U);
    EXPECT_EQ(details.disks[0].volume.state, "in-use");
    EXPECT_EQ(details.disks[0].attachment.state, "attached");
    EXPECT_TRUE(details.disks[0].attachment.delete_on_termination);
    EXPECT_EQ(world.read(details.disks[0].volume.id, 0, 1 << 20), World::pattern(1 << 20, 7));
    const auto spec = world.host().spec(details.instance.id);
    EXPECT_EQ(spec.disks.at(0).device, "vda");
    EXPECT_EQ(spec.nic.private_ip, details.instance.private_ip);
  }
  world.expect_nothing_astray();
}

TEST(Launch, a_token_makes_one_launch_only) {
  World world;
  auto what = world.request();
  what.client_token = catalog::ClientToken{.region = world.region().name,
                                           .account = world.alice.account,
                                           .operation = "RunInstances",
                                           .token = "once",
                                           .parameters = "abc",
                                           .result = {}};
  const auto first = launch(world.region(), world.alice, what);
  const auto again = launch(world.region(), world.alice, what);
  EXPECT_EQ(first.reservation_id, again.reservation_id);
  EXPECT_EQ(first.instance_ids, again.instance_ids);
  auto other = what;
  other.client_token->parameters = "xyz";
  EXPECT_EQ(refusal(world, other), "IdempotentParameterMismatch");
  ASSERT_TRUE(world.settle());
  terminate_instances(world.region(), world.alice, first.instance_ids);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(refusal(world, what), "IdempotentInstanceTerminated");
}

TEST(Launch, refuses_as_aws_does_and_leaves_nothing) {
  World world;
  const auto with = [&](auto change) {
    auto what = world.request();
    change(what);
    return refusal(world, what);
  };
  EXPECT_EQ(with([](Launch& l) { l.image_id = "ami-0123456789abcdef0"; }), "InvalidAMIID.NotFound");
  EXPECT_EQ(with([](Launch& l) { l.image_id = "ami-x"; }), "InvalidAMIID.Malformed");
  EXPECT_EQ(with([](Launch& l) { l.instance_type = "t9.mega"; }), "InvalidParameterValue");
  EXPECT_EQ(with([](Launch& l) { l.key_name = "nobody"; }), "InvalidKeyPair.NotFound");
  EXPECT_EQ(with([](Launch& l) { l.group_ids = {"sg-0123456789abcdef0"}; }), "InvalidGroup.NotFound");
  EXPECT_EQ(with([](Launch& l) { l.subnet_id = "subnet-0123456789abcdef0"; }), "InvalidSubnetID.NotFound");
  EXPECT_EQ(with([](Launch& l) { l.zone = "eu-west-1a"; }), "InvalidParameterValue");
  EXPECT_EQ(with([](Launch& l) { l.private_ip = "10.99.0.4"; }), "InvalidParameterValue");
  EXPECT_EQ(with([](Launch& l) { l.user_data = "!!"; }), "InvalidUserData.Malformed");
  EXPECT_EQ(with([](Launch& l) { l.user_data = base::to_base64(std::string(16385, 'x')); }), "InvalidParameterValue");
  EXPECT_EQ(with([](Launch& l) { l.min_count = 0; }), "InvalidParameterValue");
  EXPECT_EQ(with([](Launch& l) { l.min_count = 3, l.max_count = 2; }), "InvalidParameterValue");
  EXPECT_EQ(refusal_of([&] { launch(world.region(), world.bob, world.request()); }), "InvalidAMIID.NotFound");
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(describe_instances(world.region(), world.alice, {}).empty());
  world.expect_nothing_astray();
}

TEST(Launch, gives_the_address_that_was_asked_for_once) {
  World world;
  auto what = world.request();
  what.private_ip = "10.77.0.40";
  const auto id = launch(world.region(), world.alice, what).instance_ids.at(0);
  EXPECT_EQ(refusal(world, what), "InvalidIPAddress.InUse");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.row(id).private_ip, "10.77.0.40");
}

TEST(Launch, an_address_rests_after_its_instance_has_gone) {
  World world;
  const auto first = world.running_instance();
  terminate_instances(world.region(), world.alice, {first});
  ASSERT_TRUE(world.settle());
  const auto second = world.running_instance();
  EXPECT_NE(world.row(second).private_ip, world.row(first).private_ip);
}

TEST(Launch, a_larger_root_goes_on_with_zeros_and_a_smaller_one_is_refused) {
  World world;
  auto what = world.request();
  const auto root = [&] {
    const auto id = world.running_instance();
    return world.row(id).root_device_name;
  }();
  LaunchDevice change;
  change.device_name = root;
  change.size_gib = 3;
  what.devices = {change};
  const auto id = launch(world.region(), world.alice, what).instance_ids.at(0);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(describe_instances(world.region(), world.alice, {id}).at(0).disks.at(0).volume.size_gib, 3);
  EXPECT_EQ(world.read(world.volumes_of(id).at(0), (std::uint64_t{3} << 30) - 4096, 4096), base::Bytes(4096));
}

}  // namespace
}  // namespace kiln::control
