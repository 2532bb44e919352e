#include "control/boot_traces.h"

#include <chrono>
#include <thread>

#include "blocks/volume_table.h"
#include "catalog/blocks.h"
#include "catalog/boot_touches.h"
#include "catalog/volumes.h"
#include "control/images.h"
#include "control/instances_fixture.h"
#include "control/volumes.h"

namespace kiln::control {
namespace {

struct BootTracesTest : ::testing::Test, InstancesFixture {
  void note(const std::string& instance_id, const std::string& touches) {
    region().catalog.run_in_txn([&](catalog::Txn& txn) {
      catalog::insert(txn, catalog::BootTouches{.region = region().name,
                                                .image_id = image_id(),
                                                .instance_id = instance_id,
                                                .touches = touches,
                                                .noted = region().clock.now()});
    });
  }
  std::vector<catalog::BootTouches> noted(const std::string& image) {
    return catalog::in_read(region().catalog,
                            [&](catalog::Txn& txn) { return catalog::boot_touches_of(txn, region().name, image); });
  }
  blocks::DiskId volume_disk(const std::string& volume) {
    return catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      const auto roots = catalog::roots_of(txn, region().name, volume);
      return blocks::DiskId{.root = base::Digest::from_hex(roots.at(0).digest).value(),
                            .size_bytes = static_cast<std::uint64_t>(roots.at(0).size_bytes)};
    });
  }
  // As its guest would.
  void read_disk(const std::string& instance_id) {
    const auto table = std::dynamic_pointer_cast<blocks::VolumeTable>(region().disk_servers.of(instance_id));
    ASSERT_NE(table, nullptr);
    base::Bytes out(4096);
    ASSERT_TRUE(table->find(volumes_of(instance_id).at(0))->read(0, out).ok());
  }
};

TEST_F(BootTracesTest, a_guest_that_still_boots_is_not_noted) {
  const auto id = running_instance();
  read_disk(id);
  reconcile();
  EXPECT_TRUE(noted(image_id()).empty());
}

TEST_F(BootTracesTest, a_launch_succeeds_whatever_the_trace_holds) {
  note("i-1", "0@10 1@20");
  EXPECT_EQ(state(running_instance()), "running");
  note("i-2", "this is no list");
  EXPECT_EQ(state(running_instance()), "running");
  note("i-3", "134217727@20");
  EXPECT_EQ(state(running_instance()), "running");
}

TEST_F(BootTracesTest, a_volume_with_an_initialization_rate_is_fetched_once_it_is_served) {
  auto what = request();
  what.devices.push_back({.device_name = "/dev/sda1", .initialization_rate = 300});
  const auto id = launch(region(), alice, what).instance_ids.at(0);
  ASSERT_TRUE(settle());
  ASSERT_EQ(state(id), "running");
  const auto details = describe_volumes(region(), alice, volumes_of(id)).at(0);
  EXPECT_EQ(details.volume.initialization_rate, 300);
  const auto chunk = region().store.chunk_id(volume_disk(details.volume.id), 0);
  ASSERT_TRUE(chunk);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (served_store().held(*chunk) == nullptr && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_NE(served_store().held(*chunk), nullptr);
}

TEST_F(BootTracesTest, the_trace_goes_with_the_image_and_an_image_made_of_its_instance_has_none) {
  note("i-1", "0@10");
  const auto id = running_instance();
  const auto child = create_image(region(), alice, {.instance_id = id, .name = "child", .reboot = Reboot::no}).id;
  ASSERT_TRUE(settle());
  EXPECT_TRUE(noted(child).empty());
  deregister_image(region(), alice, image_id(), WithSnapshots::no);
  EXPECT_TRUE(noted(image_id()).empty());
}

}  // namespace
}  // namespace kiln::control
