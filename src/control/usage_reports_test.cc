#include "control/usage_reports.h"

#include <gtest/gtest.h>

#include "control/instances_fixture.h"

namespace kiln::control {
namespace {

class UsageReports : public testing::Test {
 protected:
  Region& region() { return world_.region(); }
  std::string create(const NewUsageReport& what) { return create_usage_report(region(), world_.alice, what).id; }
  std::string refused(const NewUsageReport& what) {
    return refusal_of([&] { create_usage_report(region(), world_.alice, what); });
  }
  std::vector<std::string> entries(const std::string& id) {
    std::vector<std::string> found;
    for (const auto& each : describe_usage_reports(region(), world_.alice, {.report_ids = {id}}).at(0).entries) {
      found.push_back(each.account + " " + each.resource_type + " " + std::to_string(each.count));
    }
    return found;
  }

  InstancesFixture world_;
};

TEST_F(UsageReports, they_count_what_other_accounts_have_launched_and_stay_as_they_were) {
  change_image(region(), world_.alice, world_.image_id(), {.shares = {.add = {{"account", world_.bob.account}}}});
  world_.running_instance();
  const auto first = launch(region(), world_.bob, world_.request()).instance_ids.at(0);
  launch(region(), world_.bob, world_.request());
  ASSERT_TRUE(world_.settle());
  const NewUsageReport what{.image_id = world_.image_id(), .types = {{"ec2:Instance"}, {"ec2:LaunchTemplate", 5}}};
  const auto id = create(what);
  EXPECT_EQ(entries(id), std::vector<std::string>{world_.bob.account + " ec2:Instance 2"});
  terminate_instances(region(), world_.bob, {first});
  ASSERT_TRUE(world_.settle());
  EXPECT_EQ(entries(id), std::vector<std::string>{world_.bob.account + " ec2:Instance 2"});
  EXPECT_EQ(entries(create(what)), std::vector<std::string>{world_.bob.account + " ec2:Instance 1"});
  auto narrow = what;
  narrow.accounts = {"333333333333"};
  EXPECT_TRUE(entries(create(narrow)).empty());
  const auto details = describe_usage_reports(region(), world_.alice, {.image_ids = {world_.image_id()}});
  ASSERT_EQ(details.size(), 3U);
  EXPECT_EQ(details[0].types.at(1).version_depth, 5);
  EXPECT_EQ(details[2].accounts, narrow.accounts);
  EXPECT_TRUE(describe_usage_reports(region(), world_.bob, {}).empty());
}

TEST_F(UsageReports, they_go_after_thirty_days_or_when_they_are_deleted) {
  const NewUsageReport what{.image_id = world_.image_id(), .types = {{"ec2:Instance"}}};
  const auto first = create(what), second = create(what);
  EXPECT_EQ(refusal_of([&] { delete_usage_report(region(), world_.bob, first); }), "InvalidParameterValue");
  delete_usage_report(region(), world_.alice, first);
  EXPECT_EQ(refusal_of([&] { delete_usage_report(region(), world_.alice, first); }), "InvalidParameterValue");
  world_.clock().advance(base::seconds(30 * 86'400) - base::seconds(60));
  end_usage_reports(region());
  EXPECT_EQ(describe_usage_reports(region(), world_.alice, {}).at(0).report.id, second);
  world_.clock().advance(base::seconds(60));
  end_usage_reports(region());
  EXPECT_TRUE(describe_usage_reports(region(), world_.alice, {}).empty());
}

TEST_F(UsageReports, what_makes_no_sense_is_refused) {
  const auto& id = world_.image_id();
  EXPECT_EQ(refused({.image_id = id, .types = {}}), "MissingParameter");
  EXPECT_EQ(refused({.image_id = id, .types = {{"ec2:Lemon"}}}), "InvalidParameterValue");
  EXPECT_EQ(refused({.image_id = id, .types = {{"ec2:Instance", 3}}}), "InvalidParameterCombination");
  EXPECT_EQ(refused({.image_id = id, .types = {{"ec2:LaunchTemplate", 10'001}}}), "InvalidParameterValue");
  EXPECT_EQ(refused({.image_id = id, .types = {{"ec2:Instance"}}, .accounts = {"x"}}), "InvalidParameterValue");
  EXPECT_EQ(refused({.image_id = "ami-0123456789abcdef0", .types = {{"ec2:Instance"}}}), "InvalidAMIID.NotFound");
  EXPECT_EQ(
      refusal_of([&] { create_usage_report(region(), world_.bob, {.image_id = id, .types = {{"ec2:Instance"}}}); }),
      "InvalidAMIID.NotFound");
}

}  // namespace
}  // namespace kiln::control
