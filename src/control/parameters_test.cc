#include "control/parameters.h"

#include <gtest/gtest.h>

#include <thread>

#include "control/image_aliases.h"
#include "control/images.h"
#include "control/parameter_checks.h"
#include "control/parameter_names.h"
#include "control/parameter_reading.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

struct Parameters : testing::Test {
  RegionFixture world;
  Region& region() { return world.region(); }
  std::string value(const Principal& who, const std::string& name) {
    return open_parameter(region(), who, read_parameter(region(), who, name).row);
  }
};

TEST_F(Parameters, a_secret_is_bound_to_its_parameter_and_its_ciphertext_lies_in_the_catalog) {
  const auto row =
      put_parameter(region(), world.alice, {.name = "/a", .value = "hush", .type = "SecureString", .tags = {}});
  EXPECT_EQ(row.value.find("hush"), std::string::npos);
  EXPECT_EQ(value(world.alice, "/a"), "hush");
  auto moved = row;
  moved.name = "/b";
  region().catalog.run_in_txn([&](catalog::Txn& txn) { catalog::insert(txn, moved); });
  EXPECT_EQ(refusal_of([&] { value(world.alice, "/b"); }), "InvalidKeyId");
}

TEST_F(Parameters, eight_who_write_at_once_make_eight_versions_of_which_the_last_is_read) {
  put_parameter(region(), world.alice, {.name = "n", .value = "0", .type = "String", .tags = {}});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        put_parameter(region(), world.alice, {.name = "n", .value = std::to_string(i), .overwrite = true, .tags = {}});
      });
    }
  }
  const auto versions = parameter_history(region(), world.alice, "n");
  ASSERT_EQ(versions.size(), 9U);
  for (std::size_t i = 0; i < versions.size(); ++i) {
    EXPECT_EQ(versions[i].version, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(versions[i].latest, i == 8);
  }
  EXPECT_EQ(value(world.alice, "n"), versions.back().value);
}

TEST_F(Parameters, an_alias_names_to_each_account_the_newest_image_that_it_could_launch) {
  const auto old_image = world.import_disk("old", RegionFixture::pattern(1 << 20, 1));
  const auto new_image = world.import_disk("new", RegionFixture::pattern(1 << 20, 2));
  ASSERT_TRUE(world.settle());
  change_image(region(), world.alice, old_image.image_id, {.shares = {.add = {{"group", "all"}}}});
  set_image_alias(region(), world.alice, "base", old_image.image_id);
  EXPECT_FALSE(set_image_alias(region(), world.alice, "base", new_image.image_id).is_public);
  const auto name = alias_parameter("base");
  EXPECT_EQ(value(world.alice, name), new_image.image_id);
  EXPECT_EQ(value(world.bob, name), old_image.image_id);
  deregister_image(region(), world.alice, old_image.image_id, WithSnapshots::no);
  EXPECT_EQ(refusal_of([&] { value(world.bob, name); }), "ParameterNotFound");
  EXPECT_EQ(value(world.alice, name), new_image.image_id);
}

TEST(ParameterChecks, a_pattern_that_would_take_for_ever_is_given_up) {
  const auto check = [](const std::string& pattern, const std::string& value) {
    return refusal_of([&] { check_allowed_pattern(pattern, value); });
  };
  EXPECT_EQ(check("", "x"), "no error");
  EXPECT_EQ(check("b", "abc"), "no error");
  EXPECT_EQ(check("^b", "abc"), "ParameterPatternMismatchException");
  EXPECT_EQ(check("(", "abc"), "InvalidAllowedPatternException");
  EXPECT_NE(check("^(a|aa)+(b|a)*$", std::string(5000, 'a') + "!"), "no error");
}

TEST(ParameterNames, labels_are_words_that_are_no_numbers) {
  for (const auto* label : {"live", "a.b-c_d", "v1"}) EXPECT_TRUE(is_parameter_label(label)) << label;
  for (const auto* label : {"", "1", "AWSx", "ssm", "a/b", "a b"}) EXPECT_FALSE(is_parameter_label(label)) << label;
  EXPECT_FALSE(is_parameter_label(std::string(101, 'a')));
}

}  // namespace
}  // namespace kiln::control
