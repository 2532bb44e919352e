#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "control/instances_fixture.h"
#include "services/ec2/calls_fixture.h"

namespace kiln::services::ec2 {
namespace {

class InstanceCalls : public CallsFixture<control::InstancesFixture> {
 protected:
  std::string run(const std::string& more = "") {
    const auto xml =
        call("RunInstances", "ImageId=" + world_.image_id() + "&InstanceType=kiln.tiny&MinCount=1&MaxCount=1" + more);
    EXPECT_TRUE(world_.settle());
    return text(xml, "instanceId");
  }
};

TEST_F(InstanceCalls, run_instances_answers_with_a_pending_reservation) {
  const auto xml =
      call("RunInstances", "ImageId=" + world_.image_id() +
                               "&InstanceType=kiln.tiny&MinCount=1&MaxCount=2&UserData=&SubnetId="
                               "&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Name"
                               "&TagSpecification.1.Tag.1.Value=web&MetadataOptions.HttpTokens=required");
  EXPECT_TRUE(text(xml, "reservationId").starts_with("r-"));
  EXPECT_EQ(count(xml, "<instanceId>"), 2U);
  EXPECT_EQ(count(xml, "<name>pending</name>"), 2U);
  EXPECT_EQ(text(xml, "httpTokens"), "required");
  EXPECT_EQ(text(xml, "value"), "web");
  EXPECT_TRUE(world_.settle());
}

TEST_F(InstanceCalls, describe_instances_shows_what_clients_read_back) {
  const auto id = run();
  const auto xml = call("DescribeInstances", "InstanceId.1=" + id);
  EXPECT_EQ(text(xml, "name"), "running");
  EXPECT_EQ(text(xml, "code"), "16");
  EXPECT_EQ(text(xml, "rootDeviceType"), "ebs");
  EXPECT_EQ(text(xml, "hypervisor"), "xen");
  EXPECT_EQ(text(xml, "virtualizationType"), "hvm");
  EXPECT_EQ(text(xml, "currentInstanceBootMode"), "legacy-bios");
  EXPECT_EQ(text(xml, "privateIpAddress"), world_.row(id).private_ip);
  EXPECT_EQ(text(xml, "privateDnsName"), "ip-10-77-0-4.ec2.internal");
  EXPECT_EQ(text(xml, "deleteOnTermination"), "true");
  EXPECT_EQ(count(xml, "<groupName>default</groupName>"), 2U);  // its own and its network interface's
  EXPECT_EQ(text(xml, "enableResourceNameDnsAAAARecord"), "false");
  EXPECT_EQ(count(xml, "<stateReason>"), 0U);
}

TEST_F(InstanceCalls, describe_instances_filters_and_pages) {
  const auto first =
      run("&TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=Role"
          "&TagSpecification.1.Tag.1.Value=db");
  const auto second = run();
  const auto matching = [&](const std::string& name, const std::string& value) {
    return count(call("DescribeInstances", "Filter.1.Name=" + name + "&Filter.1.Value.1=" + value), "<instanceId>");
  };
  EXPECT_EQ(matching("instance-state-name", "run*"), 2U);
  EXPECT_EQ(matching("instance-state-name", "stopped"), 0U);
  EXPECT_EQ(matching("tag:Role", "db"), 1U);
  EXPECT_EQ(matching("tag-key", "Role"), 1U);
  EXPECT_EQ(matching("instance-id", second), 1U);
  EXPECT_EQ(matching("instance.group-name", "default"), 2U);
  EXPECT_EQ(matching("block-device-mapping.volume-id", world_.volumes_of(first).at(0)), 1U);
  EXPECT_EQ(call("DescribeInstances", "Filter.1.Name=colour&Filter.1.Value.1=red"), "InvalidParameterValue");
  for (int i = 0; i < 4; ++i) run();
  const auto page = call("DescribeInstances", "MaxResults=5");
  EXPECT_EQ(count(page, "<instanceId>"), 5U);
  const auto rest =
      call("DescribeInstances", "MaxResults=5&NextToken=" + base::percent_encode(text(page, "nextToken")));
  EXPECT_EQ(count(rest, "<instanceId>"), 1U);
  EXPECT_EQ(text(rest, "nextToken"), "(none)");
}

TEST_F(InstanceCalls, power_calls_answer_with_both_states) {
  const auto id = run();
  const auto xml = call("StopInstances", "InstanceId.1=" + id);
  EXPECT_LT(xml.find("stopping"), xml.find("running"));
  EXPECT_EQ(text(xml, "code"), "64");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(call("RebootInstances", "InstanceId.1=" + id), "IncorrectInstanceState");
  EXPECT_EQ(text(call("StartInstances", "InstanceId.1=" + id), "name"), "pending");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(text(call("RebootInstances", "InstanceId.1=" + id), "return"), "true");
  EXPECT_EQ(text(call("TerminateInstances", "InstanceId.1=" + id), "name"), "shutting-down");
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(text(call("DescribeInstances", "InstanceId.1=" + id), "name"), "terminated");
  EXPECT_EQ(call("StartInstances", "InstanceId.1=i-zzz"), "InvalidInstanceID.Malformed");
}

TEST_F(InstanceCalls, status_is_of_running_instances_unless_all_are_asked_for) {
  const auto id = run();
  EXPECT_EQ(text(call("DescribeInstanceStatus", ""), "instanceId"), id);
  EXPECT_EQ(text(call("DescribeInstanceStatus", ""), "status"), "ok");
  call("StopInstances", "InstanceId.1=" + id);
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(count(call("DescribeInstanceStatus", ""), id), 0U);
  EXPECT_EQ(text(call("DescribeInstanceStatus", "IncludeAllInstances=true"), "status"), "not-applicable");
}

TEST_F(InstanceCalls, attributes_are_read_and_changed_one_by_one) {
  const auto id = run();
  const auto read = [&](const std::string& name) {
    return call("DescribeInstanceAttribute", "InstanceId=" + id + "&Attribute=" + name);
  };
  EXPECT_EQ(text(read("instanceInitiatedShutdownBehavior"), "value"), "stop");
  EXPECT_EQ(
      text(call("ModifyInstanceAttribute", "InstanceId=" + id + "&InstanceInitiatedShutdownBehavior.Value=terminate"),
           "return"),
      "true");
  EXPECT_EQ(text(read("instanceInitiatedShutdownBehavior"), "value"), "terminate");
  call("ModifyInstanceAttribute", "InstanceId=" + id + "&DisableApiTermination.Value=true");
  EXPECT_EQ(call("TerminateInstances", "InstanceId.1=" + id), "OperationNotPermitted");
  EXPECT_EQ(text(call("ModifyInstanceAttribute", "InstanceId=" + id + "&Attribute=disableApiTermination&Value=false"),
                 "return"),
            "true");
  EXPECT_EQ(text(read("disableApiTermination"), "value"), "false");
  EXPECT_EQ(read("colour"), "InvalidParameterValue");
  const auto device = world_.row(id).root_device_name;
  call("ModifyInstanceAttribute", "InstanceId=" + id + "&BlockDeviceMapping.1.DeviceName=" + device +
                                      "&BlockDeviceMapping.1.Ebs.DeleteOnTermination=false");
  EXPECT_EQ(text(read("blockDeviceMapping"), "deleteOnTermination"), "false");
  const auto options = call("ModifyInstanceMetadataOptions", "InstanceId=" + id + "&HttpTokens=required");
  EXPECT_EQ(text(options, "httpTokens"), "required");
}

TEST_F(InstanceCalls, types_are_found_by_name_and_filter) {
  const auto xml = call("DescribeInstanceTypes", "InstanceType.1=t3.nano");
  EXPECT_EQ(text(xml, "sizeInMiB"), "512");
  EXPECT_EQ(text(xml, "defaultVCpus"), "2");
  EXPECT_EQ(call("DescribeInstanceTypes", "InstanceType.1=t9.mega"), "InvalidInstanceType");
  EXPECT_EQ(count(call("DescribeInstanceTypes", "Filter.1.Name=instance-type&Filter.1.Value.1=m5.*"), "<instanceType>"),
            4U);
}

TEST_F(InstanceCalls, the_console_is_base64) {
  const auto id = run();
  EXPECT_EQ(count(call("GetConsoleOutput", "InstanceId=" + id), "<output>"), 0U);
  ASSERT_TRUE(world_.region().files.replace(world_.region().console_log(id), base::as_bytes("KILN ready\n")).ok());
  const auto xml = call("GetConsoleOutput", "InstanceId=" + id);
  EXPECT_EQ(base::from_base64(text(xml, "output")), "KILN ready\n");
}

TEST_F(InstanceCalls, an_empty_no_device_leaves_a_device_out) {
  const auto root = world_.import_disk("other", control::RegionFixture::pattern(1 << 20, 8)).snapshot_id;
  const auto image =
      control::register_image(world_.region(), world_.alice,
                              {.name = "two",
                               .architecture = "x86_64",
                               .root_device_name = "/dev/sda1",
                               .devices = {{.device_name = "/dev/sda1", .has_ebs = true, .snapshot_id = root},
                                           {.device_name = "/dev/sdb", .has_ebs = true, .size_gib = 1}}});
  const std::string form = "ImageId=" + image.id + "&InstanceType=kiln.tiny&MinCount=1&MaxCount=1";
  const auto volumes = [&](const std::string& more) {
    const auto id = text(call("RunInstances", form + more), "instanceId");
    EXPECT_TRUE(world_.settle());
    return world_.volumes_of(id).size();
  };
  EXPECT_EQ(volumes(""), 2U);
  EXPECT_EQ(volumes("&BlockDeviceMapping.1.DeviceName=/dev/sdb&BlockDeviceMapping.1.NoDevice="), 1U);
  EXPECT_EQ(volumes("&BlockDeviceMapping.1.DeviceName=/dev/sdb&BlockDeviceMapping.1.NoDevice=%22%22"), 1U);
  EXPECT_EQ(call("RunInstances", form + "&BlockDeviceMapping.1.DeviceName=/dev/sda1&BlockDeviceMapping.1.NoDevice="),
            "InvalidBlockDeviceMapping");
}

TEST_F(InstanceCalls, what_run_instances_cannot_do_is_refused) {
  const std::string base_form = "ImageId=" + world_.image_id() + "&InstanceType=kiln.tiny&MaxCount=1";
  EXPECT_EQ(call("RunInstances", base_form), "MissingParameter");
  EXPECT_EQ(call("RunInstances", "MinCount=1&MaxCount=1"), "MissingParameter");
  EXPECT_EQ(call("RunInstances", base_form + "&MinCount=1&IamInstanceProfile.Name=role"), "InvalidParameterValue");
  EXPECT_EQ(call("RunInstances", base_form + "&MinCount=1&MetadataOptions.HttpTokens=maybe"), "InvalidParameterValue");
  EXPECT_EQ(call("RunInstances", base_form + "&MinCount=1&TagSpecification.1.ResourceType=image"
                                             "&TagSpecification.1.Tag.1.Key=a"),
            "InvalidParameterValue");
  EXPECT_EQ(count(call("DescribeInstances", ""), "<instanceId>"), 0U);
}

}  // namespace
}  // namespace kiln::services::ec2
