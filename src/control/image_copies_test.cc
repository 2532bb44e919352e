#include "control/image_copies.h"

#include <gtest/gtest.h>

#include "catalog/boot_touches.h"
#include "control/far_region_testing.h"
#include "control/region_fixture.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

constexpr std::uint64_t chunk = blocks::chunk_bytes;

struct CopiesOfImages : ::testing::Test {
  FarRegions far;
  RegionFixture world{{},
                      {.neighbours = {"eu-west-1"},
                       .copies = {.most_failures = 2, .first_pause = 1000, .longest_pause = 1000},
                       .remotes = &far}};
  CopiesOfImages() {
    far.behind = [this]() -> Region& { return world.neighbour("eu-west-1"); };
  }

  Region& here() { return world.region(); }
  Region& there() { return world.neighbour("eu-west-1"); }

  ImageDetails details(const std::string& id) { return describe_images(here(), world.alice, {.ids = {id}}).at(0); }
  catalog::Snapshot snapshot(const std::string& id) {
    return catalog::in_read(here().catalog,
                            [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, here().name, id).value(); });
  }
  // Two disks, the first of them as two devices, and an empty volume.
  std::string original() {
    const auto root = world.import_disk(there(), "root disk", RegionFixture::pattern(3 * chunk, 1)).snapshot_id;
    const auto data = world.import_disk(there(), "data disk", RegionFixture::pattern(2 * chunk, 2)).snapshot_id;
    const auto image = register_image(
        there(), world.alice,
        {.name = "original",
         .description = "the original",
         .architecture = "x86_64",
         .root_device_name = "/dev/xvda",
         .boot_mode = "uefi",
         .imds_support = "v2.0",
         .ena_support = true,
         .devices = {{.device_name = "/dev/xvda", .has_ebs = true, .snapshot_id = root, .size_gib = 4},
                     {.device_name = "/dev/xvdb", .has_ebs = true, .snapshot_id = data, .delete_on_termination = false},
                     {.device_name = "/dev/xvdc", .has_ebs = true, .snapshot_id = root},
                     {.device_name = "/dev/xvdd", .has_ebs = true, .size_gib = 7}},
         .tags = {{"kind", "golden"}, {"team", "a"}}});
    return image.id;
  }
  catalog::Image copy(const std::string& id, const std::string& from, const std::string& name) {
    return copy_image(here(), world.alice, {.source_region = from, .source_image_id = id, .name = name});
  }
  std::string refusal(const Principal& caller, const NewImageCopy& what) {
    return refusal_of([&] { copy_image(here(), caller, what); });
  }
};

TEST_F(CopiesOfImages, a_copy_is_the_same_image_with_snapshots_of_its_own) {
  const auto source = original();
  change_image(there(), world.alice, source, {.shares = {.add = {{"account", world.bob.account}, {"group", "all"}}}});
  const auto made = copy_image(here(), world.alice,
                               {.source_region = "eu-west-1",
                                .source_image_id = source,
                                .name = "the copy",
                                .description = "mine",
                                .copy_tags = CopyImageTags::yes,
                                .image_tags = {{"team", "b"}},
                                .snapshot_tags = {{"of", "copy"}}});
  EXPECT_EQ(details(made.id).image.state, "pending");
  ASSERT_TRUE(world.settle());
  const auto copied = details(made.id);
  EXPECT_EQ(copied.image.state, "available") << copied.image.state_reason_message;
  EXPECT_EQ(copied.image.name, "the copy");
  EXPECT_EQ(copied.image.description, "mine");
  EXPECT_EQ(copied.image.location, world.alice.account + "/the copy");
  EXPECT_EQ(copied.image.source_image_id, source);
  EXPECT_EQ(copied.image.source_image_region, "eu-west-1");
  EXPECT_EQ(copied.image.boot_mode, "uefi");
  EXPECT_EQ(copied.image.imds_support, "v2.0");
  EXPECT_EQ(copied.image.root_device_name, "/dev/xvda");
  EXPECT_FALSE(copied.is_public);
  EXPECT_TRUE(image_permissions(here(), world.alice, made.id).empty());
  std::map<std::string, std::string> tags;
  for (const auto& tag : copied.tags) tags[tag.key] = tag.value;
  EXPECT_EQ(tags, (std::map<std::string, std::string>{{"kind", "golden"}, {"team", "b"}}));

  ASSERT_EQ(copied.devices.size(), 4U);
  EXPECT_EQ(copied.devices[0].snapshot_id, copied.devices[2].snapshot_id);
  EXPECT_NE(copied.devices[0].snapshot_id, copied.devices[1].snapshot_id);
  EXPECT_EQ(copied.devices[0].size_gib, 4);
  EXPECT_FALSE(copied.devices[1].delete_on_termination);
  EXPECT_EQ(copied.devices[3].snapshot_id, "");
  EXPECT_EQ(copied.devices[3].size_gib, 7);
  const auto root = snapshot(copied.devices[0].snapshot_id);
  EXPECT_EQ(root.state, "completed");
  EXPECT_EQ(root.full_bytes, 3 * chunk);
  EXPECT_EQ(root.description.find("Copied for DestinationAmi " + made.id + " from SourceAmi " + source), 0U);
  EXPECT_EQ(describe_snapshots(here(), world.alice, {.ids = {root.id}}).at(0).tags.at(0).value, "copy");
  EXPECT_EQ(refusal_of([&] { delete_snapshot(here(), world.alice, root.id); }), "InvalidSnapshot.InUse");
}

TEST_F(CopiesOfImages, a_copy_in_the_same_region_is_available_at_once) {
  const auto base = world.import_disk("base disk", RegionFixture::pattern(2 * chunk, 1));
  const auto made = copy(base.image_id, here().name, "renamed");
  EXPECT_EQ(made.state, "available");
  EXPECT_EQ(details(made.id).image.source_image_region, here().name);
  const auto copied = snapshot(details(made.id).devices.at(0).snapshot_id);
  EXPECT_NE(copied.id, base.snapshot_id);
  EXPECT_EQ(copied.state, "completed");
  EXPECT_EQ(copied.full_bytes, 2 * chunk);
  // Without the tags and the image that it was made of.
  EXPECT_TRUE(details(made.id).tags.empty());
  deregister_image(here(), world.alice, base.image_id, WithSnapshots::yes);
  const auto volume = world.volume(world.alice, copied.id);
  EXPECT_EQ(world.read(volume, 0, 2 * chunk), RegionFixture::pattern(2 * chunk, 1));
}

TEST_F(CopiesOfImages, a_boot_trace_comes_along_from_a_neighbour) {
  const auto source = original();
  here().catalog.run_in_txn([&](catalog::Txn& txn) {
    catalog::insert(txn, catalog::BootTouches{.region = there().name,
                                              .image_id = source,
                                              .instance_id = "i-1",
                                              .touches = "0@10 1@20",
                                              .noted = here().clock.now()});
  });
  const auto made = copy(source, "eu-west-1", "with trace");
  const auto touches = catalog::in_read(
      here().catalog, [&](catalog::Txn& txn) { return catalog::boot_touches_of(txn, here().name, made.id); });
  ASSERT_EQ(touches.size(), 1U);
  EXPECT_EQ(touches[0].touches, "0@10 1@20");
  ASSERT_TRUE(world.settle());
}

TEST_F(CopiesOfImages, an_image_whose_snapshot_cannot_be_copied_has_failed) {
  const auto source = original();
  far.on_block = [](const SourceBlock&, blocks::ChunkBytes&) { throw SourceFailure("no route to far.example"); };
  const auto made = copy(source, FarRegions::name, "from far");
  ASSERT_TRUE(world.settle());
  const auto failed = details(made.id).image;
  EXPECT_EQ(failed.state, "failed");
  EXPECT_EQ(failed.state_reason_code, "Client.InternalError");
  EXPECT_EQ(failed.state_reason_message, "The source failed 2 times in a row: no route to far.example");
  // Its name is free.
  far.on_block = [](const SourceBlock&, blocks::ChunkBytes&) {};
  const auto again = copy(source, FarRegions::name, "from far");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(details(again.id).image.state, "available");
}

TEST_F(CopiesOfImages, what_cannot_be_copied_is_refused) {
  const auto source = original();
  const NewImageCopy good{.source_region = "eu-west-1", .source_image_id = source, .name = "the copy"};
  const auto with = [&](auto change) {
    auto what = good;
    change(what);
    return refusal(world.alice, what);
  };
  EXPECT_EQ(with([](auto& what) { what.name = ""; }), "MissingParameter");
  EXPECT_EQ(with([](auto& what) { what.name = "a?"; }), "InvalidAMIName.Malformed");
  EXPECT_EQ(with([](auto& what) { what.description = std::string(256, 'x'); }), "InvalidParameterValue");
  EXPECT_EQ(with([](auto& what) { what.source_region = "eu-nowhere-1"; }), "InvalidRegion");
  EXPECT_EQ(with([](auto& what) { what.source_image_id = "ami-1"; }), "InvalidAMIID.Malformed");
  EXPECT_EQ(with([](auto& what) { what.source_image_id = "ami-00000000000000000"; }), "InvalidAMIID.NotFound");
  EXPECT_EQ(with([](auto& what) { what.source_region = "us-east-1"; }), "InvalidAMIID.NotFound");
  EXPECT_EQ(refusal(world.bob, good), "InvalidAMIID.NotFound");

  // Shared to be launched, which shares no snapshot.
  change_image(there(), world.alice, source, {.shares = {.add = {{"account", world.bob.account}}}});
  try {
    copy_image(here(), world.bob, good);
    FAIL() << "bob may not read its snapshots";
  } catch (const base::ApiError& error) {
    EXPECT_EQ(error.code(), "InvalidRequest");
    EXPECT_TRUE(std::string(error.what()).starts_with("You do not have permission to access the storage of this ami"));
  }
  EXPECT_EQ(with([](auto&) {}), "no error");
  EXPECT_EQ(with([](auto&) {}), "InvalidAMIName.Duplicate");
  ASSERT_TRUE(world.settle());
  deregister_image(there(), world.alice, source, WithSnapshots::no);
  EXPECT_EQ(with([](auto& what) { what.name = "another"; }), "InvalidAMIID.Unavailable");
}

}  // namespace
}  // namespace kiln::control
