#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "control/instances_fixture.h"
#include "services/ec2/operations.h"
#include "wire/query.h"
#include "wire/xml.h"

namespace kiln::services::ec2 {
namespace {

using World = control::InstancesFixture;
using testing::Test;

// Reads parameters and writes XML, as dispatch does once a signature has been checked.
class FormExchange final : public Exchange {
 public:
  explicit FormExchange(const std::string& form) : params_(wire::Params::parse(form)) {}
  void read(const wire::Type& type, void* request) override {
    wire::decode_query(params_, wire::Lists::flattened, type, request);
  }
  void write(const wire::Type& type, const void* response) override {
    wire::encode_xml(wire::XmlNames::lower_items, type, response, xml);
  }
  std::string xml;

 private:
  wire::Params params_;
};

class InstanceCalls : public Test {
 protected:
  // The answer's XML, or the error's code.
  std::string call(const std::string& action, const std::string& form) {
    Call call{.region = world_.region(), .principal = world_.alice, .action = action};
    for (const auto& table :
         {instance_operations(), instance_status_operations(), instance_type_operations(), console_operations()}) {
      for (const auto& operation : table) {
        if (operation.name != action) continue;
        FormExchange exchange(form);
        try {
          operation.answer(call, exchange);
        } catch (const base::ApiError& error) {
          return error.code();
        }
        return exchange.xml;
      }
    }
    return "no such action";
  }
  std::string run(const std::string& more = "") {
    const auto xml =
        call("RunInstances", "ImageId=" + world_.image_id() + "&InstanceType=kiln.tiny&MinCount=1&MaxCount=1" + more);
    EXPECT_TRUE(world_.settle());
    return text(xml, "instanceId");
  }
  // The text of the first element with this tag.
  static std::string text(const std::string& xml, const std::string& tag) {
    const auto begin = xml.find("<" + tag + ">");
    if (begin == std::string::npos) return "(none)";
    const auto from = begin + tag.size() + 2;
    return xml.substr(from, xml.find("</", from) - from);
  }
  static std::size_t count(const std::string& xml, const std::string& part) {
    std::size_t found = 0;
    for (auto at = xml.find(part); at != std::string::npos; at = xml.find(part, at + 1)) ++found;
    return found;
  }

  World world_;
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
