#include "control/images.h"

#include <gtest/gtest.h>

#include "base/api_error.h"
#include "blocks/sealed_generation.h"
#include "catalog/blocks.h"
#include "catalog/instances.h"
#include "control/garbage.h"
#include "control/instances.h"
#include "control/launch.h"
#include "control/region_fixture.h"
#include "control/usage.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;

catalog::Image row(Fixture& world, const std::string& id) {
  return catalog::in_read(world.region().catalog,
                          [&](catalog::Txn& txn) { return catalog::find_image(txn, "us-east-1", id).value(); });
}

std::vector<catalog::Attachment> disks_of(Fixture& world, const std::string& instance_id) {
  return catalog::in_read(world.region().catalog, [&](catalog::Txn& txn) {
    return catalog::attachments_of_instance(txn, "us-east-1", instance_id);
  });
}

std::string run(Fixture& world, const std::string& image_id, bool with_data_disk = false) {
  Launch request{.image_id = image_id, .instance_type = "t3.micro"};
  if (with_data_disk)
    request.devices.push_back({.device_name = "/dev/sdf", .size_gib = 1, .delete_on_termination = true});
  const auto launched = launch(world.region(), world.alice, request);
  EXPECT_TRUE(world.settle());
  return launched.instance_ids.at(0);
}

std::string state_of(Fixture& world, const std::string& instance_id) {
  return catalog::in_read(world.region().catalog, [&](catalog::Txn& txn) {
    return catalog::find_instance(txn, "us-east-1", instance_id).value().state;
  });
}

NewImage new_image(const std::string& name, const std::string& snapshot_id) {
  return {.name = name,
          .architecture = "x86_64",
          .virtualization_type = "hvm",
          .root_device_name = "/dev/xvda",
          .devices = {{.device_name = "/dev/xvda", .has_ebs = true, .snapshot_id = snapshot_id}}};
}

// --- registering

TEST(Images, one_that_is_registered_is_listed_and_launches) {
  Fixture world;
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  auto what = new_image("mine", base.snapshot_id);
  what.tags = {{"team", "a"}};
  what.devices.push_back({.device_name = "/dev/sdf", .has_ebs = true, .size_gib = 2});
  const auto image = register_image(world.region(), world.alice, what);
  const auto listed = describe_images(world.region(), world.alice, {.ids = {image.id}});
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].image.state, "available");
  ASSERT_EQ(listed[0].devices.size(), 2U);
  EXPECT_EQ(listed[0].devices[0].size_gib, 1);
  EXPECT_EQ(listed[0].tags.at(0).value, "a");
  EXPECT_EQ(state_of(world, run(world, image.id)), "running");
}

TEST(Images, what_would_not_launch_is_refused_when_it_is_registered) {
  Fixture world;
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto refusal = [&](const std::function<void(NewImage&)>& change) {
    auto what = new_image("other", base.snapshot_id);
    change(what);
    return refusal_of([&] { register_image(world.region(), world.alice, what); });
  };
  EXPECT_EQ(refusal([](NewImage& w) { w.name = "ab"; }), "InvalidAMIName.Malformed");
  EXPECT_EQ(refusal([](NewImage& w) { w.name = "a*b"; }), "InvalidAMIName.Malformed");
  EXPECT_EQ(refusal([](NewImage& w) { w.name = "base"; }), "InvalidAMIName.Duplicate");
  EXPECT_EQ(refusal([](NewImage& w) { w.architecture = "vax"; }), "InvalidParameterValue");
  EXPECT_EQ(refusal([](NewImage& w) { w.architecture.clear(); }), "UnsupportedOperation");
  EXPECT_EQ(refusal([](NewImage& w) { w.virtualization_type = "paravirtual"; }), "UnsupportedOperation");
  EXPECT_EQ(refusal([](NewImage& w) { w.root_device_name = "/dev/sda1"; }), "InvalidBlockDeviceMapping");
  EXPECT_EQ(refusal([](NewImage& w) { w.devices.clear(); }), "InvalidBlockDeviceMapping");
  EXPECT_EQ(refusal([](NewImage& w) { w.devices.push_back(w.devices[0]); }), "InvalidBlockDeviceMapping");
  EXPECT_EQ(refusal([](NewImage& w) { w.devices[0].snapshot_id = "snap-0123456789abcdef0"; }),
            "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal([](NewImage& w) { w.devices[0].encrypted = true; }), "InvalidParameter");
  EXPECT_EQ(refusal([](NewImage& w) { w.tpm_support = "v2.0"; }), "InvalidParameterCombination");
  EXPECT_EQ(refusal_of([&] { register_image(world.region(), world.bob, new_image("theirs", base.snapshot_id)); }),
            "InvalidSnapshot.NotFound");
}

TEST(Images, a_name_is_unique_in_an_account_until_its_image_is_deregistered) {
  Fixture world;
  const auto a = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  EXPECT_EQ(refusal_of([&] { world.import_disk("base", Fixture::pattern(1 << 20, 2)); }), "InvalidAMIName.Duplicate");
  const auto fd = world.file(Fixture::pattern(1 << 20, 2));
  import_image(world.region(), world.bob, fd.get(), {.name = "base"});
  deregister_image(world.region(), world.alice, a.image_id, WithSnapshots::no);
  world.import_disk("base", Fixture::pattern(1 << 20, 3));
}

// --- seeing, sharing, deregistering

TEST(Images, another_account_sees_what_is_shared_and_may_only_launch_it) {
  Fixture world;
  auto& region = world.region();
  const auto id = world.import_disk("base", Fixture::pattern(1 << 20, 1)).image_id;
  const auto launches = [&](const Principal& who) {
    return refusal_of(
        [&] { region.catalog.run_in_txn([&](catalog::Txn& txn) { image_for_launch(txn, region, who, id); }); });
  };
  EXPECT_TRUE(describe_images(region, world.bob, {}).empty());
  EXPECT_EQ(refusal_of([&] { describe_images(region, world.bob, {.ids = {id}}); }), "InvalidAMIID.NotFound");
  EXPECT_EQ(launches(world.bob), "InvalidAMIID.NotFound");
  EXPECT_EQ(refusal_of([&] { deregister_image(region, world.bob, id, WithSnapshots::no); }), "InvalidAMIID.NotFound");

  change_image(region, world.alice, id, {.shares = {.add = {{"account", world.bob.account}}}});
  EXPECT_EQ(describe_images(region, world.bob, {}).size(), 1U);
  EXPECT_EQ(describe_images(region, world.bob, {.executable_users = {"self"}}).size(), 1U);
  EXPECT_EQ(launches(world.bob), "no error");
  EXPECT_EQ(refusal_of([&] { deregister_image(region, world.bob, id, WithSnapshots::no); }), "AuthFailure");
  EXPECT_EQ(refusal_of([&] { change_image(region, world.bob, id, {.description = "mine"}); }), "AuthFailure");
  EXPECT_EQ(refusal_of([&] { image_permissions(region, world.bob, id); }), "AuthFailure");
  EXPECT_EQ(image_permissions(region, world.alice, id).size(), 1U);

  change_image(region, world.alice, id,
               {.shares = {.add = {{"group", "all"}}, .remove = {{"account", world.bob.account}}}});
  EXPECT_TRUE(describe_images(region, world.bob, {}).at(0).is_public);
  EXPECT_TRUE(describe_images(region, world.bob, {.owners = {"self"}}).empty());
  EXPECT_EQ(describe_images(region, world.bob, {.executable_users = {"all"}}).size(), 1U);
  EXPECT_EQ(refusal_of([&] {
              change_image(region, world.alice, id, {.shares = {.add = {{"account", "foo"}}}});
            }),
            "InvalidAMIAttributeItemValue");
}

TEST(Images, unknown_ids_are_named_one_by_one) {
  Fixture world;
  try {
    describe_images(world.region(), world.alice, {.ids = {"ami-0123456789abcdef0", "ami-0123456789abcdef1"}});
    FAIL();
  } catch (const base::ApiError& e) {
    EXPECT_EQ(e.code(), "InvalidAMIID.NotFound");
    EXPECT_STREQ(e.what(), "The image ids '[ami-0123456789abcdef0, ami-0123456789abcdef1]' do not exist");
  }
  EXPECT_EQ(refusal_of([&] { describe_images(world.region(), world.alice, {.ids = {"ami-xyz"}}); }),
            "InvalidAMIID.Malformed");
}

TEST(Images, deregistering_deletes_the_snapshots_that_no_other_image_uses) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto more = register_image(region, world.alice, new_image("more", base.snapshot_id));
  auto deleted = deregister_image(region, world.alice, more.id, WithSnapshots::yes);
  ASSERT_EQ(deleted.size(), 1U);
  EXPECT_EQ(deleted[0].code, "skipped");
  deleted = deregister_image(region, world.alice, base.image_id, WithSnapshots::yes);
  EXPECT_EQ(deleted.at(0).code, "success");
  EXPECT_EQ(refusal_of([&] { deregister_image(region, world.alice, base.image_id, WithSnapshots::no); }),
            "InvalidAMIID.Unavailable");
  EXPECT_TRUE(describe_images(region, world.alice, {.ids = {base.image_id}}).empty());
  EXPECT_EQ(refusal_of([&] { describe_images(region, world.bob, {.ids = {base.image_id}}); }), "InvalidAMIID.NotFound");
  world.clock().advance(base::seconds(3600));
  EXPECT_EQ(refusal_of([&] { describe_images(region, world.alice, {.ids = {base.image_id}}); }),
            "InvalidAMIID.NotFound");
  EXPECT_TRUE(describe_snapshots(region, world.alice, {}).empty());
  const auto collected = collect(region, {.grace = 0});
  EXPECT_GT(collected.deleted_bytes, 0U);
  EXPECT_EQ(usage(region).store_bytes, 0U);
}

TEST(Images, a_deregistered_one_lives_on_in_its_instances) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto instance = run(world, base.image_id);
  deregister_image(region, world.alice, base.image_id, WithSnapshots::yes);
  collect(region, {.grace = 0});
  EXPECT_TRUE(describe_images(region, world.alice, {.ids = {base.image_id}}).empty());
  EXPECT_EQ(world.read(disks_of(world, instance).at(0).volume_id, 0, 1 << 20), Fixture::pattern(1 << 20, 1));
  terminate_instances(region, world.alice, {instance});
  ASSERT_TRUE(world.settle());
  world.clock().advance(base::seconds(3600));
  EXPECT_EQ(refusal_of([&] { describe_images(region, world.alice, {.ids = {base.image_id}}); }),
            "InvalidAMIID.NotFound");
  collect(region, {.grace = 0});
  EXPECT_EQ(usage(region).store_bytes, 0U);
}

// --- imaging instances

TEST(Images, an_image_of_an_instance_has_what_its_guest_wrote) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(2 << 20, 1));
  const auto instance = run(world, base.image_id, true);
  const auto disks = disks_of(world, instance);
  ASSERT_EQ(disks.size(), 2U);
  world.write(disks[0].volume_id, 1 << 20, Fixture::pattern(1 << 20, 2));
  world.write(disks[1].volume_id, 0, Fixture::pattern(1 << 20, 3));
  for (const auto reboot : {Reboot::no, Reboot::yes}) {
    const auto image = create_image(region, world.alice,
                                    {.instance_id = instance,
                                     .name = reboot == Reboot::no ? "warm" : "cold",
                                     .reboot = reboot,
                                     .image_tags = {{"a", "1"}},
                                     .snapshot_tags = {{"b", "2"}}});
    EXPECT_EQ(image.state, "pending");
    EXPECT_EQ(describe_images(region, world.alice, {.ids = {image.id}}).size(), 1U);
    ASSERT_TRUE(world.settle());
    ASSERT_EQ(row(world, image.id).state, "available") << row(world, image.id).state_reason_message;
    EXPECT_EQ(row(world, image.id).source_image_id, base.image_id);
    EXPECT_EQ(row(world, image.id).source_instance_id, instance);
    EXPECT_EQ(state_of(world, instance), "running");
    const auto copies = disks_of(world, run(world, image.id));
    ASSERT_EQ(copies.size(), 2U);
    EXPECT_EQ(world.read(copies[0].volume_id, 0, 1 << 20), world.read(disks[0].volume_id, 0, 1 << 20));
    EXPECT_EQ(world.read(copies[0].volume_id, 1 << 20, 1 << 20), Fixture::pattern(1 << 20, 2));
    EXPECT_EQ(world.read(copies[1].volume_id, 0, 1 << 20), Fixture::pattern(1 << 20, 3));
  }
  const auto snapshots = describe_snapshots(region, world.alice, {});
  EXPECT_EQ(snapshots.size(), 5U);
}

TEST(Images, a_stopped_instance_can_be_imaged_and_stays_stopped) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto instance = run(world, base.image_id);
  const auto volume = disks_of(world, instance).at(0).volume_id;
  world.write(volume, 0, Fixture::pattern(4096, 9));
  stop_instances(region, world.alice, {instance}, Force::no);
  ASSERT_TRUE(world.settle());
  const auto image = create_image(region, world.alice, {.instance_id = instance, .name = "stopped"});
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(row(world, image.id).state, "available") << row(world, image.id).state_reason_message;
  EXPECT_EQ(state_of(world, instance), "stopped");
  EXPECT_EQ(world.read(disks_of(world, run(world, image.id)).at(0).volume_id, 0, 4096), Fixture::pattern(4096, 9));
}

TEST(Images, the_mapping_of_an_imaged_instance_may_leave_out_and_add_devices) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto instance = run(world, base.image_id, true);
  const auto refusal = [&](const ImageDeviceRequest& entry) {
    return refusal_of([&] {
      create_image(region, world.alice,
                   {.instance_id = instance, .name = "refused", .reboot = Reboot::no, .devices = {entry}});
    });
  };
  EXPECT_EQ(refusal({.device_name = "/dev/sda1", .no_device = true}), "InvalidBlockDeviceMapping");
  EXPECT_EQ(refusal({.device_name = "/dev/sda1", .has_ebs = true, .size_gib = 9}), "InvalidBlockDeviceMapping");
  const auto image =
      create_image(region, world.alice,
                   {.instance_id = instance,
                    .name = "changed",
                    .reboot = Reboot::no,
                    .devices = {{.device_name = "/dev/sda1", .has_ebs = true, .delete_on_termination = false},
                                {.device_name = "/dev/sdf", .no_device = true},
                                {.device_name = "/dev/sdg", .has_ebs = true, .size_gib = 3}}});
  ASSERT_TRUE(world.settle());
  const auto listed = describe_images(region, world.alice, {.ids = {image.id}}).at(0);
  EXPECT_EQ(listed.image.state, "available");
  ASSERT_EQ(listed.devices.size(), 2U);
  EXPECT_FALSE(listed.devices[0].delete_on_termination);
  EXPECT_EQ(listed.devices[1].device_name, "/dev/sdg");
  EXPECT_EQ(listed.devices[1].size_gib, 3);
}

TEST(Images, only_the_owner_of_an_instance_in_a_fitting_state_can_image_it) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto instance = run(world, base.image_id);
  EXPECT_EQ(refusal_of([&] { create_image(region, world.bob, {.instance_id = instance, .name = "theirs"}); }),
            "InvalidInstanceID.NotFound");
  EXPECT_EQ(refusal_of([&] { create_image(region, world.alice, {.instance_id = instance, .name = "base"}); }),
            "InvalidAMIName.Duplicate");
  terminate_instances(region, world.alice, {instance});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(refusal_of([&] { create_image(region, world.alice, {.instance_id = instance, .name = "late"}); }),
            "IncorrectInstanceState");
}

TEST(Images, a_daemon_killed_at_any_step_completes_the_image_after_its_restart) {
  for (const std::string point :
       {"create-image/shut-down/before", "create-image/shut-down/after", "create-image/cut/before",
        "create-image/cut/after", "create-image/boot/before", "create-image/boot/after", "create-snapshot/cut/before",
        "create-snapshot/durable/after", "create-snapshot/upload/before", "create-snapshot/upload/after"}) {
    SCOPED_TRACE(point);
    const KillOnce kill(point);
    Fixture world(kill);
    const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
    const auto instance = run(world, base.image_id, true);
    const auto disks = disks_of(world, instance);
    world.write(disks[0].volume_id, 0, Fixture::pattern(1 << 20, 2));
    world.write(disks[1].volume_id, 0, Fixture::pattern(1 << 20, 3));
    const auto image = create_image(world.region(), world.alice, {.instance_id = instance, .name = "made"}).id;
    EXPECT_FALSE(world.settle());
    EXPECT_TRUE(kill.killed());
    world.restart();
    ASSERT_TRUE(world.settle());
    ASSERT_EQ(row(world, image).state, "available") << row(world, image).state_reason_message;
    EXPECT_EQ(state_of(world, instance), "running");
    EXPECT_EQ(world.host().state(instance).power, hypervisor::Power::running);
    collect(world.region(), {.grace = 0});
    const auto copies = disks_of(world, run(world, image, false));
    EXPECT_EQ(world.read(copies.at(0).volume_id, 0, 1 << 20), Fixture::pattern(1 << 20, 2));
    EXPECT_EQ(world.read(copies.at(1).volume_id, 0, 1 << 20), Fixture::pattern(1 << 20, 3));
    for (const auto& disk : disks) {
      EXPECT_TRUE(blocks::waiting_cuts(world.region().files, world.region().volume_directory(disk.volume_id))->empty());
    }
  }
}

TEST(Images, one_whose_cut_fails_says_why_and_the_guest_runs_again) {
  Fixture world;
  auto& region = world.region();
  const auto base = world.import_disk("base", Fixture::pattern(1 << 20, 1));
  const auto instance = run(world, base.image_id);
  world.host().fail_next("press_power_button", "no such button");
  const auto image = create_image(region, world.alice, {.instance_id = instance, .name = "made"}).id;
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(row(world, image).state, "failed");
  EXPECT_NE(row(world, image).state_reason_message.find("no such button"), std::string::npos);
  EXPECT_EQ(describe_snapshots(region, world.alice, {}).size(), 2U);
  EXPECT_EQ(state_of(world, instance), "running");
  EXPECT_EQ(world.host().state(instance).power, hypervisor::Power::running);
  // A failed image holds neither its name nor its snapshots.
  const auto again = create_image(region, world.alice, {.instance_id = instance, .name = "made"}).id;
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(row(world, again).state, "available");
}

}  // namespace
}  // namespace kiln::control
