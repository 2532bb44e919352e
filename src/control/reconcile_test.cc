#include "control/reconcile.h"

#include <gtest/gtest.h>

#include "base/api_error.h"
#include "catalog/client_tokens.h"
#include "control/instances_fixture.h"

namespace kiln::control {
namespace {

using World = InstancesFixture;
using hypervisor::Power;

// One round and what follows from it.
void reconcile(World& world) {
  world.reconcile();
  ASSERT_TRUE(world.settle());
}

TEST(Reconcile, a_guest_that_turned_itself_off_is_stopped) {
  World world;
  const auto id = world.running_instance();
  world.host().guest_powers_off(id);
  reconcile(world);
  EXPECT_EQ(world.state(id), "stopped");
  EXPECT_EQ(world.row(id).state_reason_code, "Client.InstanceInitiatedShutdown");
  world.expect_nothing_astray();
}

TEST(Reconcile, or_terminated_when_that_is_its_shutdown_behavior) {
  World world;
  auto what = world.request();
  what.shutdown_behavior = "terminate";
  const auto id = launch(world.region(), world.alice, what).instance_ids.at(0);
  ASSERT_TRUE(world.settle());
  world.host().guest_powers_off(id);
  reconcile(world);
  EXPECT_EQ(world.state(id), "terminated");
  world.expect_nothing_astray();
}

TEST(Reconcile, a_killed_disk_server_comes_back_with_its_volumes) {
  World world;
  const auto id = world.running_instance();
  const auto volume = world.volumes_of(id).at(0);
  world.write(volume, 0, World::pattern(4096, 1));
  world.region().disk_servers.stop(id);
  world.host().disk_fails(id);
  reconcile(world);
  EXPECT_EQ(world.state(id), "running");
  EXPECT_EQ(world.host().power(id), Power::running);
  EXPECT_EQ(world.read(volume, 0, 4096), World::pattern(4096, 1));
  world.expect_nothing_astray();
}

TEST(Reconcile, a_volume_that_its_disk_server_does_not_serve_is_opened_there_again) {
  World world;
  const auto id = world.running_instance();
  const auto volume = world.volumes_of(id).at(0);
  const auto served = [&] {
    const auto stats = world.region().disk_servers.of(id)->stats();
    return stats.ok() && stats->size() == 1;
  };
  ASSERT_TRUE(served());
  // As after a start on a full file system, where a volume cannot write down that it is open.
  ASSERT_TRUE(world.region().disk_servers.of(id)->close(volume).ok());
  ASSERT_FALSE(served());
  world.host().disk_fails(id);
  reconcile(world);
  EXPECT_TRUE(served());
  EXPECT_EQ(world.host().power(id), Power::running);
}

TEST(Reconcile, an_instance_that_is_well_needs_no_job) {
  World world;
  const auto id = world.running_instance();
  world.reconcile();
  EXPECT_TRUE(world.runner().idle(world.region().name, 0));
  EXPECT_EQ(world.state(id), "running");
}

TEST(Reconcile, what_should_run_runs_again_after_the_host_restarted) {
  World world;
  const auto id = world.running_instance();
  const auto stopped = world.stopped_instance();
  world.region().disk_servers.stop(id);
  world.host().reboot_host();
  reconcile(world);
  EXPECT_EQ(world.state(id), "running");
  EXPECT_EQ(world.state(stopped), "stopped");
  world.expect_nothing_astray();
}

TEST(Reconcile, a_guest_that_cannot_be_started_again_is_stopped) {
  World world;
  const auto id = world.running_instance();
  world.region().disk_servers.stop(id);
  world.host().reboot_host();
  for (int i = 0; i < 20; ++i) world.host().fail_next("start", "no memory");
  reconcile(world);
  EXPECT_EQ(world.state(id), "stopped");
  EXPECT_EQ(world.row(id).state_reason_code, "Server.ScheduledStop");
  world.expect_nothing_astray();
}

TEST(Reconcile, removes_what_is_nobodys) {
  World world;
  const auto kept = world.running_instance();
  const std::string stranger = "i-0123456789abcdef0";
  auto spec = world.host().spec(kept);
  spec.instance_id = stranger;
  world.host().start(spec);
  std::filesystem::create_directories(world.region().run_directory(stranger));
  const auto volume = world.region().volume_directory("vol-0123456789abcdef0");
  ASSERT_TRUE(blocks::Volume::create(world.region().files, volume,
                                     {.volume = "vol-0123456789abcdef0", .size_bytes = 1 << 20, .base = {}, .epoch = 1})
                  .ok());
  reconcile(world);
  EXPECT_EQ(world.host().power(stranger), Power::absent);
  EXPECT_FALSE(std::filesystem::exists(world.region().run_directory(stranger)));
  EXPECT_FALSE(std::filesystem::exists(volume));
  EXPECT_EQ(world.state(kept), "running");
  world.expect_nothing_astray();
}

TEST(Reconcile, prunes_an_instance_an_hour_after_its_end) {
  World world;
  const auto id = world.running_instance();
  terminate_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  reconcile(world);
  EXPECT_EQ(world.state(id), "terminated");
  Reconciler(world.regions(), {.keep_terminated = 0}).pass();
  EXPECT_EQ(world.row(id).id, "");
  EXPECT_FALSE(std::filesystem::exists(world.region().console_log(id)));
}

TEST(Reconcile, forgets_client_tokens_a_day_after_their_first_use) {
  World world;
  catalog::Database& catalog = world.region().catalog;
  const auto use = [&](const std::string& token, base::Micros ago) {
    catalog.run_in_txn([&](catalog::Txn& txn) {
      catalog::remember_client_token(txn, {world.region().name, world.alice.account, "RunInstances", token, "", "r-1",
                                           world.region().clock.now() - ago});
    });
  };
  const auto known = [&](const std::string& token) {
    return catalog::in_read(catalog, [&](catalog::Txn& txn) {
      return catalog::find_client_token(txn, world.region().name, world.alice.account, "RunInstances", token)
          .has_value();
    });
  };
  use("young", base::seconds(23 * 3600));
  use("old", base::seconds(25 * 3600));
  Reconciler reconciler(world.regions(), {});
  reconciler.pass();
  EXPECT_TRUE(known("young"));
  EXPECT_FALSE(known("old"));
  use("old", base::seconds(25 * 3600));
  reconciler.pass();
  EXPECT_TRUE(known("old")) << "it looks once an hour";
}

TEST(Reconcile, leaves_an_instance_alone_while_a_job_works_on_it) {
  World world;
  const auto id = world.running_instance();
  world.host().set_guests_obey(false);
  reboot_instances(world.region(), world.alice, {id});
  world.host().disk_fails(id);
  world.reconcile();
  const auto jobs = catalog::in_read(world.region().catalog, [&](catalog::Txn& txn) {
    return catalog::unfinished_jobs_of(txn, world.region().name, id);
  });
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].kind, "reboot");
  world.host().set_guests_obey(true);
  terminate_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "terminated");
  world.expect_nothing_astray();
}

TEST(Reconcile, looks_by_itself_while_it_runs) {
  World world;
  const auto id = world.running_instance();
  Reconciler reconciler(world.regions(), {.interval = base::seconds(1) / 20});
  reconciler.start();
  world.host().guest_powers_off(id);
  base::Mutex mutex;
  base::Condition never;
  base::Lock lock(mutex);
  for (int i = 0; i < 200 && world.state(id) != "stopped"; ++i) {
    never.wait_for(mutex, std::chrono::milliseconds(50), [&] { return world.state(id) == "stopped"; });
  }
  EXPECT_EQ(world.state(id), "stopped");
  reconciler.stop();
}

}  // namespace
}  // namespace kiln::control
