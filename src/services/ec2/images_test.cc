#include <gtest/gtest.h>

#include "base/time.h"
#include "control/region_fixture.h"
#include "services/ec2/calls_fixture.h"

namespace kiln::services::ec2 {
namespace {

using World = control::RegionFixture;

class ImageCalls : public CallsFixture<World> {
 protected:
  std::string registered(const std::string& name, const std::string& more = "") {
    return text(
        call("RegisterImage", "Name=" + name +
                                  "&Architecture=x86_64&VirtualizationType=hvm&RootDeviceName=/dev/sda1"
                                  "&BlockDeviceMapping.1.DeviceName=/dev/sda1&BlockDeviceMapping.1.Ebs.SnapshotId=" +
                                  base_.snapshot_id + more),
        "imageId");
  }
  std::string permissions(const std::string& id) {
    return call("DescribeImageAttribute", "ImageId=" + id + "&Attribute=launchPermission");
  }

  control::Imported base_ = world_.import_disk("base", World::pattern(1 << 20, 1));
};

TEST_F(ImageCalls, an_image_is_described_with_every_member_that_clients_read_back) {
  const auto id = registered(
      "web",
      "&EnaSupport=true&ImageLocation=&SriovNetSupport=simple&Description=a%3Cb"
      "&TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=1"
      "&BlockDeviceMapping.2.DeviceName=/dev/sdf&BlockDeviceMapping.2.Ebs.VolumeSize=3");
  ASSERT_TRUE(id.starts_with("ami-")) << id;
  const auto xml = call("DescribeImages", "ImageId.1=" + id);
  EXPECT_EQ(text(xml, "imageState"), "available");
  EXPECT_EQ(text(xml, "imageOwnerId"), world_.alice.account);
  EXPECT_EQ(text(xml, "imageLocation"), world_.alice.account + "/web");
  EXPECT_EQ(text(xml, "description"), "a&lt;b");
  EXPECT_EQ(text(xml, "isPublic"), "false");
  EXPECT_EQ(text(xml, "enaSupport"), "true");
  EXPECT_EQ(text(xml, "hypervisor"), "xen");
  EXPECT_EQ(text(xml, "rootDeviceType"), "ebs");
  EXPECT_EQ(text(xml, "platformDetails"), "Linux/UNIX");
  EXPECT_EQ(text(xml, "volumeType"), "gp3");
  EXPECT_EQ(text(xml, "deleteOnTermination"), "true");
  EXPECT_EQ(text(xml, "snapshotId"), base_.snapshot_id);
  EXPECT_EQ(count(xml, "<deviceName>"), 2U);
  EXPECT_EQ(text(xml, "value"), "1");
  EXPECT_TRUE(base::from_iso8601(text(xml, "creationDate")));
}

TEST_F(ImageCalls, filters_and_pages_narrow_a_list) {
  const auto one = registered("web-1"), two = registered("web-2");
  EXPECT_EQ(count(call("DescribeImages", "Owner.1=self"), "<imageId>"), 3U);
  EXPECT_EQ(count(call("DescribeImages", "Filter.1.Name=name&Filter.1.Value.1=web-*"), "<imageId>"), 2U);
  EXPECT_EQ(count(call("DescribeImages",
                       "Filter.1.Name=block-device-mapping.snapshot-id&Filter.1.Value.1=" + base_.snapshot_id),
                  "<imageId>"),
            3U);
  EXPECT_EQ(count(call("DescribeImages", "Filter.1.Name=is-public&Filter.1.Value.1=true"), "<imageId>"), 0U);
  EXPECT_EQ(call("DescribeImages", "Filter.1.Name=colour&Filter.1.Value.1=blue"), "InvalidParameterValue");
  const auto page = call("DescribeImages", "MaxResults=2");
  EXPECT_EQ(count(page, "<imageId>"), 2U);
  EXPECT_EQ(count(call("DescribeImages", "MaxResults=2&NextToken=" + text(page, "nextToken")), "<imageId>"), 1U);
  EXPECT_EQ(call("DescribeImages", "MaxResults=2&ImageId.1=" + one), "InvalidParameterCombination");
  EXPECT_EQ(count(call("DescribeImages", "ImageId.1=" + one + "&ImageId.2=" + two), "<imageId>"), 2U);
  EXPECT_EQ(call("DescribeImages", "ImageId.1=lemon"), "InvalidAMIID.Malformed");
}

TEST_F(ImageCalls, launch_permissions_are_changed_in_every_shape_that_clients_send) {
  const auto id = registered("web");
  const auto modify = [&](const std::string& form) {
    return call("ModifyImageAttribute", "ImageId=" + id + "&" + form);
  };
  EXPECT_EQ(text(modify("Attribute=launchPermission&OperationType=add&UserId.1=210987654321"), "return"), "true");
  EXPECT_EQ(text(permissions(id), "userId"), "210987654321");
  EXPECT_EQ(text(modify("Attribute=LaunchPermission&LaunchPermission.Remove.1.UserId=210987654321"), "return"), "true");
  EXPECT_EQ(count(permissions(id), "<userId>"), 0U);
  // As Packer writes it.
  EXPECT_EQ(text(modify("LaunchPermission.Add.1.Group=all&UserGroup.1=all"), "return"), "true");
  EXPECT_EQ(text(permissions(id), "group"), "all");
  EXPECT_EQ(text(call("DescribeImages", "ImageId.1=" + id), "isPublic"), "true");
  EXPECT_EQ(modify("LaunchPermission.Add.1.UserId=foo"), "InvalidAMIAttributeItemValue");
  EXPECT_EQ(modify("LaunchPermission.Add.1.UserId=210987654321&Description.Value=x"), "InvalidParameterCombination");
  EXPECT_EQ(modify("Attribute=launchPermission&UserId.1=210987654321"), "MissingParameter");
  EXPECT_EQ(modify("Attribute=colour&Value=x"), "InvalidParameterValue");
  EXPECT_EQ(modify("X=y"), "MissingParameter");
  EXPECT_EQ(call(world_.bob, "ModifyImageAttribute", "ImageId=" + id + "&Description.Value=x"), "AuthFailure");
  EXPECT_EQ(call(world_.bob, "DescribeImageAttribute", "ImageId=" + id + "&Attribute=launchPermission"), "AuthFailure");
}

TEST_F(ImageCalls, descriptions_are_changed_and_shown) {
  const auto id = registered("web");
  const auto shown = [&] {
    const auto xml = call("DescribeImageAttribute", "ImageId=" + id + "&Attribute=Description");
    return text(xml.substr(xml.find("<description>")), "value");
  };
  call("ModifyImageAttribute", "ImageId=" + id + "&Description.Value=first");
  EXPECT_EQ(shown(), "first");
  call("ModifyImageAttribute", "ImageId=" + id + "&Attribute=description&Value=second");
  EXPECT_EQ(shown(), "second");
  EXPECT_EQ(call("DescribeImageAttribute", "ImageId=" + id + "&Attribute=blockDeviceMapping"), "AuthFailure");
  EXPECT_EQ(call("DescribeImageAttribute", "ImageId=" + id + "&Attribute=colour"), "InvalidParameterValue");
}

TEST_F(ImageCalls, deregistering_says_what_became_of_the_snapshots) {
  const auto id = registered("web");
  const auto xml = call("DeregisterImage", "ImageId=" + id + "&DeleteAssociatedSnapshots=true");
  EXPECT_EQ(text(xml, "return"), "true");
  EXPECT_EQ(text(xml, "returnCode"), "skipped");
  EXPECT_EQ(call("DeregisterImage", "ImageId=" + id), "InvalidAMIID.Unavailable");
  EXPECT_EQ(call("DeregisterImage", "ImageId=ami-00000000000000000"), "InvalidAMIID.NotFound");
  EXPECT_EQ(call("DeregisterImage", ""), "MissingParameter");
}

TEST_F(ImageCalls, volumes_and_snapshots_are_made_described_and_deleted) {
  const auto made =
      call("CreateVolume",
           "AvailabilityZone=us-east-1a&Size=2&VolumeType=gp3&KmsKeyId="
           "&TagSpecification.1.ResourceType=volume&TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=1");
  const auto volume = text(made, "volumeId");
  ASSERT_TRUE(volume.starts_with("vol-")) << made;
  EXPECT_EQ(text(made, "status"), "creating");
  EXPECT_EQ(text(made, "iops"), "3000");
  EXPECT_EQ(text(made, "value"), "1");
  ASSERT_TRUE(world_.settle());
  const auto shown =
      call("DescribeVolumes", "Filter.1.Name=status&Filter.1.Value.1=available&Filter.2.Name=tag:a&Filter.2.Value.1=1");
  EXPECT_EQ(text(shown, "volumeId"), volume);

  const auto snapshot = text(call("CreateSnapshot", "VolumeId=" + volume + "&Description=nightly"), "snapshotId");
  ASSERT_TRUE(snapshot.starts_with("snap-"));
  ASSERT_TRUE(world_.settle());
  const auto listed = call("DescribeSnapshots", "Owner.1=self&Filter.1.Name=volume-id&Filter.1.Value.1=" + volume);
  EXPECT_EQ(text(listed, "status"), "completed");
  EXPECT_EQ(text(listed, "progress"), "100%");
  EXPECT_EQ(text(listed, "storageTier"), "standard");
  EXPECT_EQ(call("DeleteSnapshot", "SnapshotId=" + base_.snapshot_id), "InvalidSnapshot.InUse");
  EXPECT_EQ(text(call("DeleteSnapshot", "SnapshotId=" + snapshot), "return"), "true");
  EXPECT_EQ(text(call("DeleteVolume", "VolumeId=" + volume), "return"), "true");
  EXPECT_EQ(call("DeleteVolume", "VolumeId=" + volume), "InvalidVolume.NotFound");
  EXPECT_EQ(call("DescribeVolumes", "VolumeId.1=" + volume), "InvalidVolume.NotFound");
  EXPECT_EQ(call("CreateVolume", "AvailabilityZone=us-east-1a&Size=0&SnapshotId=" + base_.snapshot_id),
            "InvalidParameterValue");
  EXPECT_EQ(
      call("CreateVolume",
           "AvailabilityZone=us-east-1a&Size=1&TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=a"),
      "InvalidParameterValue");
}

TEST_F(ImageCalls, a_repeated_create_volume_answers_with_the_first_one_even_when_that_has_gone) {
  const std::string form = "AvailabilityZone=us-east-1a&Size=2";
  const auto volume = text(call("CreateVolume", form), "volumeId");
  ASSERT_TRUE(world_.settle());
  made_before_ = volume;
  EXPECT_EQ(text(call("CreateVolume", form), "volumeId"), volume);
  call("DeleteVolume", "VolumeId=" + volume);
  const auto again = call("CreateVolume", form);
  EXPECT_EQ(text(again, "volumeId"), volume);
  EXPECT_EQ(text(again, "status"), "deleted");
}

}  // namespace
}  // namespace kiln::services::ec2
