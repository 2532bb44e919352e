// Many requests on the same names and images at once: what they leave is what some order of them would have left.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "control/image_lifecycle.h"
#include "control/region_fixture.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

constexpr int writers = 64, names = 4, turns = 20;

struct Counts {
  std::atomic<int> registered = 0, deregistered = 0;
};

class ImageConcurrency : public testing::Test {
 protected:
  ImageConcurrency() { base_ = world_.import_disk("base", RegionFixture::pattern(1 << 20, 1)); }

  static std::string name(int index) { return "name-" + std::to_string(index); }

  // That the name is taken, or that the image is in no state for it, is an answer like others. No other may come.
  template <class Body>
  static bool done(Body body) {
    try {
      body();
      return true;
    } catch (const base::ApiError& refusal) {
      const std::set<std::string> expected{"InvalidAMIName.Duplicate", "InvalidAMIID.Unavailable",
                                           "InvalidAMIID.NotFound", "IncorrectState"};
      EXPECT_TRUE(expected.contains(refusal.code())) << refusal.code() << ": " << refusal.what();
      return false;
    }
  }

  std::string registered_as(const std::string& wanted) {
    const auto found = catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      return catalog::find_registered_image_named(txn, region().name, world_.alice.account, wanted);
    });
    return found ? found->id : std::string();
  }

  void turn(std::mt19937_64& random, std::vector<Counts>& counts) {
    const auto index = static_cast<std::size_t>(random() % names);
    const auto wanted = name(static_cast<int>(index));
    const auto id = registered_as(wanted);
    const auto kind = random() % 6;
    if (kind == 0 || id.empty()) {
      const NewImage what{.name = wanted,
                          .architecture = "x86_64",
                          .root_device_name = "/dev/sda1",
                          .devices = {{.device_name = "/dev/sda1", .has_ebs = true, .snapshot_id = base_.snapshot_id}},
                          .tags = {{"by", wanted}}};
      counts[index].registered += done([&] { register_image(region(), world_.alice, what); }) ? 1 : 0;
    } else if (kind == 1) {
      counts[index].deregistered +=
          done([&] { deregister_image(region(), world_.alice, id, WithSnapshots::no); }) ? 1 : 0;
    } else if (kind == 2) {
      done([&] { change_image(region(), world_.alice, id, {.shares = {.add = {{"account", world_.bob.account}}}}); });
    } else if (kind == 3) {
      done([&] { create_tags(region(), world_.alice.account, {id}, {{"more", "1"}}); });
    } else if (kind == 4) {
      done([&] { disable_image(region(), world_.alice, id); });
    } else {
      done([&] { enable_image(region(), world_.alice, id); });
    }
  }

  Region& region() { return world_.region(); }

  RegionFixture world_;
  Imported base_;
};

TEST_F(ImageConcurrency, what_many_writers_leave_of_the_same_names_is_what_some_order_would_have) {
  const char* const given = std::getenv("KILN_SEED");
  const auto seed = given != nullptr ? std::stoull(given) : std::random_device()();
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::vector<Counts> counts(names);
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers; ++writer) {
    threads.emplace_back([&, writer] {
      std::mt19937_64 random(seed + static_cast<std::uint64_t>(writer));
      for (int i = 0; i < turns; ++i) turn(random, counts);
    });
  }
  for (auto& thread : threads) thread.join();

  const auto images = catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
    return catalog::select<catalog::Image>(txn, "WHERE region = $1 AND name <> 'base'", {region().name});
  });
  int registered = 0;
  for (int index = 0; index < names; ++index) {
    const auto& count = counts[static_cast<std::size_t>(index)];
    const int left = count.registered - count.deregistered;
    EXPECT_EQ(left, registered_as(name(index)).empty() ? 0 : 1) << name(index);
    registered += count.registered;
  }
  EXPECT_EQ(images.size(), static_cast<std::size_t>(registered));
  for (const auto& image : images) {
    region().catalog.read([&](catalog::Txn& txn) {
      const auto shares = catalog::launch_permissions(txn, region().name, image.id);
      const auto tags = tags_of(txn, region(), world_.alice.account, image.id);
      // Nothing is left of a deregistered one, and a disabled one is shared with nobody.
      EXPECT_TRUE(image.state == "available" || shares.empty()) << image.id << " is " << image.state;
      EXPECT_EQ(tags.empty(), image.state == "deregistered") << image.id << " is " << image.state;
    });
  }
}

TEST_F(ImageConcurrency, of_many_that_deregister_one_image_one_does_and_of_many_tags_one_is_left) {
  std::atomic<int> deregistered = 0, tagged = 0;
  std::vector<std::thread> threads;
  for (int writer = 0; writer < writers; ++writer) {
    threads.emplace_back([&, writer] {
      const auto value = std::to_string(writer);
      tagged += done([&] { create_tags(region(), world_.alice.account, {base_.image_id}, {{"by", value}}); }) ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(tagged, writers);
  const auto tags = catalog::in_read(
      region().catalog, [&](auto& txn) { return tags_of(txn, region(), world_.alice.account, base_.image_id); });
  ASSERT_EQ(tags.size(), 1U);
  EXPECT_LT(std::stoi(tags[0].value), writers);
  threads.clear();
  for (int writer = 0; writer < writers; ++writer) {
    threads.emplace_back([&] {
      deregistered +=
          done([&] { deregister_image(region(), world_.alice, base_.image_id, WithSnapshots::yes); }) ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(deregistered, 1);
}

}  // namespace
}  // namespace kiln::control
