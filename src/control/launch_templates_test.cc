#include "control/launch_templates.h"

#include <gtest/gtest.h>

#include <thread>

#include "control/region_fixture.h"

namespace kiln::control {
namespace {

std::string merged(const std::string& request, const std::string& of_template) {
  const auto all = merge_parameters(wire::Params::parse(request), wire::Params::parse(of_template));
  std::string text;
  for (const auto& [name, value] : all.all()) {
    text += (text.empty() ? "" : "&") + name + "=" + value;
  }
  return text;
}

TEST(MergeParameters, the_request_wins_member_by_member_and_list_by_list) {
  EXPECT_EQ(merged("", "ImageId=a&InstanceType=t"), "ImageId=a&InstanceType=t");
  EXPECT_EQ(merged("ImageId=b", "ImageId=a&InstanceType=t"), "ImageId=b&InstanceType=t");
  EXPECT_EQ(merged("Placement.Tenancy=x", "Placement.Tenancy=y&Placement.AvailabilityZone=z"),
            "Placement.AvailabilityZone=z&Placement.Tenancy=x");
  EXPECT_EQ(merged("SecurityGroupId.1=r", "SecurityGroupId.1=a&SecurityGroupId.2=b"), "SecurityGroupId.1=r");
  EXPECT_EQ(merged("IamInstanceProfile.Name=r", "IamInstanceProfile.Arn=a"), "IamInstanceProfile.Name=r");
}

TEST(MergeParameters, block_devices_of_other_names_and_tags_of_other_keys_stay) {
  EXPECT_EQ(
      merged("BlockDeviceMapping.3.DeviceName=b&BlockDeviceMapping.3.Ebs.VolumeSize=9",
             "BlockDeviceMapping.1.DeviceName=a&BlockDeviceMapping.2.DeviceName=b&"
             "BlockDeviceMapping.2.Ebs.Iops=5"),
      "BlockDeviceMapping.3.DeviceName=b&BlockDeviceMapping.3.Ebs.VolumeSize=9&BlockDeviceMapping.4.DeviceName=a");
  EXPECT_EQ(merged("TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=k&"
                   "TagSpecification.1.Tag.1.Value=r",
                   "TagSpecification.1.ResourceType=volume&TagSpecification.1.Tag.1.Key=v&"
                   "TagSpecification.2.ResourceType=instance&TagSpecification.2.Tag.1.Key=k&"
                   "TagSpecification.2.Tag.1.Value=t&TagSpecification.2.Tag.2.Key=l&TagSpecification.2.Tag.2.Value=t"),
            "TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=r&"
            "TagSpecification.1.Tag.2.Key=l&TagSpecification.1.Tag.2.Value=t&TagSpecification.2.ResourceType=volume&"
            "TagSpecification.2.Tag.1.Key=v");
}

TEST(MergeParameters, done_twice_it_is_as_done_once) {
  const std::string request = "InstanceType=r&BlockDeviceMapping.1.DeviceName=b",
                    of_template = "ImageId=a&InstanceType=t&BlockDeviceMapping.1.DeviceName=a&SecurityGroup.1=s";
  const auto once = merged(request, of_template);
  EXPECT_EQ(merged(once, of_template), once);
}

TEST(LaunchTemplates, eight_who_add_versions_at_once_add_eight) {
  RegionFixture world;
  const auto parameters = wire::Params::parse("InstanceType=t3.nano&UserData=%26%3D%25");
  const auto made =
      create_launch_template(world.region(), world.alice, {.name = "web", .parameters = parameters, .tags = {}});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        create_launch_template_version(world.region(), world.alice,
                                       {.of = {.id = made.row.id, .name = {}}, .parameters = parameters});
      });
    }
  }
  const auto found = launch_template_versions(world.region(), world.alice, {.id = {}, .name = "web"}, {});
  ASSERT_EQ(found.versions.size(), 9U);
  EXPECT_EQ(found.row.latest_version, 9);
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(found.versions[i].version, 9 - static_cast<std::int64_t>(i));
    EXPECT_EQ(wire::Params::parse(found.versions[i].parameters).all(), parameters.all());
  }
}

}  // namespace
}  // namespace kiln::control
