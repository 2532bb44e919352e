#include "wire/query.h"

#include <gtest/gtest.h>

#include "base/api_error.h"

namespace kiln::wire::query_test {

struct Filter {
  std::string name;
  std::vector<std::string> value;
};
struct Ebs {
  std::optional<std::string> snapshot_id;
  std::optional<int> volume_size;
  std::optional<bool> encrypted;
};
struct Mapping {
  std::string device_name;
  std::optional<Ebs> ebs;
};
struct Tree {
  std::string name;
  std::vector<Tree> child;
};
struct Everything {
  std::vector<std::string> image_id;
  std::vector<Filter> filter;
  std::vector<Mapping> block_device_mapping;
  std::optional<int> max_results;
  bool dry_run = false;
  std::int64_t large = 0;
  double real = 0;
  Timestamp start;
  Blob user_data;
  std::optional<std::vector<std::string>> groups;
  std::string return_;
  std::string vpc_id;
  Ebs ebs;
  Tree tree;
};

}  // namespace kiln::wire::query_test

KILN_WIRE(kiln::wire::query_test::Filter, name, value)
KILN_WIRE(kiln::wire::query_test::Ebs, snapshot_id, volume_size, encrypted)
KILN_WIRE(kiln::wire::query_test::Mapping, device_name, ebs)
KILN_WIRE(kiln::wire::query_test::Tree, name, child)
KILN_WIRE_NAME(kiln::wire::query_test::Everything, vpc_id, "VPCId")
KILN_WIRE(kiln::wire::query_test::Everything, image_id, filter, block_device_mapping, max_results, dry_run, large, real,
          start, user_data, groups, return_, vpc_id, ebs, tree)

namespace kiln::wire::query_test {
namespace {

Everything decode(std::string_view form, Lists lists = Lists::flattened) {
  Everything out;
  decode_query(Params::parse(form), lists, type_of<Everything>(), &out);
  return out;
}

std::string refusal(std::string_view form, Lists lists = Lists::flattened) {
  try {
    decode(form, lists);
    return "accepted";
  } catch (const base::ApiError& error) {
    return error.code() + ": " + error.what();
  }
}

TEST(Query, fills_scalars_of_every_kind) {
  const auto got = decode(
      "MaxResults=7&DryRun=True&Large=-9000000000&Real=1.5&Start=2026-01-02T03:04:05Z&UserData=aGk%3D&Return=a%2Bb+c");
  EXPECT_EQ(got.max_results, 7);
  EXPECT_TRUE(got.dry_run);
  EXPECT_EQ(got.large, -9'000'000'000);
  EXPECT_EQ(got.real, 1.5);
  EXPECT_EQ(base::to_iso8601(got.start.micros), "2026-01-02T03:04:05.000Z");
  EXPECT_EQ(got.user_data.bytes, "hi");
  EXPECT_EQ(got.return_, "a+b c");
}

TEST(Query, an_exact_name_replaces_the_derived_one) { EXPECT_EQ(decode("VPCId=vpc-1&VpcId=vpc-2").vpc_id, "vpc-1"); }

TEST(Query, fills_lists_of_structures_with_lists) {
  const auto got = decode("Filter.1.Name=state&Filter.1.Value.1=available&Filter.1.Value.2=pending&Filter.2.Name=x");
  ASSERT_EQ(got.filter.size(), 2u);
  EXPECT_EQ(got.filter[0].name, "state");
  EXPECT_EQ(got.filter[0].value, (std::vector<std::string>{"available", "pending"}));
  EXPECT_EQ(got.filter[1].name, "x");
}

TEST(Query, sparse_indexes_come_in_the_order_of_their_numbers) {
  EXPECT_EQ(decode("ImageId.10=c&ImageId.2=b&ImageId.1=a&ImageId.4294967295=d").image_id,
            (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST(Query, fills_nested_optionals) {
  const auto got = decode(
      "BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=8&"
      "BlockDeviceMapping.2.DeviceName=/dev/sdb&Ebs.Encrypted=false");
  ASSERT_EQ(got.block_device_mapping.size(), 2u);
  EXPECT_EQ(got.block_device_mapping[0].ebs->volume_size, 8);
  EXPECT_FALSE(got.block_device_mapping[0].ebs->snapshot_id);
  EXPECT_FALSE(got.block_device_mapping[1].ebs);
  EXPECT_EQ(got.ebs.encrypted, false);
}

TEST(Query, empty_values_are_absent) {
  const auto got = decode("MaxResults=&UserData=&ImageId.1=&BlockDeviceMapping.1.Ebs.SnapshotId=&Groups.1=&Start");
  EXPECT_FALSE(got.max_results);
  EXPECT_TRUE(got.image_id.empty());
  EXPECT_TRUE(got.block_device_mapping.empty());
  EXPECT_FALSE(got.groups);
}

TEST(Query, an_optional_list_tells_absent_from_given) {
  EXPECT_FALSE(decode("MaxResults=1").groups);
  EXPECT_EQ(decode("Groups.1=all").groups, std::vector<std::string>{"all"});
}

TEST(Query, unknown_parameters_are_ignored) {
  const auto got = decode("Action=X&Version=2016-11-15&NewThisWeek.1.A=b&MaxResults=1&MaxResults.Sub=2&Max=3");
  EXPECT_EQ(got.max_results, 1);
  EXPECT_FALSE(decode("MaxResults.Sub=2").max_results);
}

TEST(Query, members_form_has_a_level_more) {
  EXPECT_EQ(decode("ImageId.member.1=a&ImageId.member.2=b", Lists::members).image_id,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(decode("ImageId.1=a", Lists::members).image_id.empty());
  EXPECT_EQ(decode("Filter.member.1.Value.member.3=v", Lists::members).filter.at(0).value.at(0), "v");
}

TEST(Query, a_type_may_hold_itself) {
  const auto got = decode("Tree.Name=a&Tree.Child.1.Name=b&Tree.Child.1.Child.1.Name=c");
  EXPECT_EQ(got.tree.child.at(0).child.at(0).name, "c");
}

TEST(Query, errors_name_the_parameter) {
  EXPECT_EQ(refusal("MaxResults=ten"), "InvalidParameterValue: Value (ten) for parameter MaxResults is invalid.");
  EXPECT_EQ(refusal("BlockDeviceMapping.3.Ebs.VolumeSize=8GB"),
            "InvalidParameterValue: Value (8GB) for parameter BlockDeviceMapping.3.Ebs.VolumeSize is invalid.");
  EXPECT_EQ(refusal("DryRun=yes"), "InvalidParameterValue: Value (yes) for parameter DryRun is invalid.");
  EXPECT_EQ(refusal("MaxResults=99999999999"),
            "InvalidParameterValue: Value (99999999999) for parameter MaxResults is invalid.");
  EXPECT_EQ(refusal("Real=inf"), "InvalidParameterValue: Value (inf) for parameter Real is invalid.");
}

TEST(Query, a_list_index_is_a_positive_number) {
  for (const char* form : {"ImageId.0=a", "ImageId.x=a", "ImageId.01=a", "ImageId.-1=a", "ImageId.=a", "ImageId=a",
                           "ImageId.4294967296=a", "ImageId.1x=a"}) {
    EXPECT_TRUE(refusal(form).starts_with("InvalidParameterValue")) << form;
  }
}

TEST(Query, malformed_and_excessive_queries_are_refused) {
  EXPECT_TRUE(refusal("MaxResults=%zz").starts_with("InvalidQueryParameter"));
  EXPECT_TRUE(refusal("MaxResults=1&MaxResults=2").starts_with("InvalidQueryParameter"));
  EXPECT_TRUE(refusal(std::string(600, 'a') + "=1").starts_with("InvalidQueryParameter"));
  std::string many;
  for (int i = 0; i < 10'001; ++i) many += "a" + std::to_string(i) + "=1&";
  EXPECT_TRUE(refusal(many).starts_with("InvalidQueryParameter"));
}

TEST(Query, deep_nesting_ends_with_the_name) {
  std::string form = "Tree";
  while (form.size() < 480) form += ".Child.1";
  EXPECT_EQ(refusal(form + ".Name=x"), "accepted");
}

}  // namespace
}  // namespace kiln::wire::query_test
