#include "control/instance_jobs.h"

#include <gtest/gtest.h>

#include "base/api_error.h"
#include "control/instances_fixture.h"

namespace kiln::control {
namespace {

using World = InstancesFixture;
using hypervisor::Power;

// Every point that a job of this kind passes, as in "launch/boot/after".
std::vector<std::string> points_of(const std::string& kind, const std::vector<std::string>& steps) {
  std::vector<std::string> points;
  for (const auto& step : steps) {
    for (const auto* when : {"before", "after"}) points.push_back(kind + "/" + step + "/" + when);
  }
  return points;
}

// The daemon dies at the point while begin's job runs; another one finishes what it left.
std::string through_death(World& world, const std::string& point, const std::function<std::string(World&)>& begin) {
  SCOPED_TRACE(point);
  const KillOnce kill(point);
  world.restart(kill);
  const std::string id = begin(world);
  world.settle();
  EXPECT_TRUE(kill.killed());
  world.restart();
  world.reconcile();
  EXPECT_TRUE(world.settle());
  world.reconcile();
  EXPECT_TRUE(world.settle());
  world.expect_nothing_astray();
  return world.state(id);
}

TEST(InstanceJobs, launch_survives_a_death_at_every_step) {
  World world;
  for (const auto& point : points_of("launch", {"make volumes", "give address", "boot", "run"})) {
    EXPECT_EQ(through_death(world, point, [](World& w) { return w.begin_launch(); }), "running") << point;
  }
}

TEST(InstanceJobs, a_launch_that_fails_is_undone_also_through_deaths) {
  World world;
  const auto begin = [](World& w) {
    w.host().fail_next("start", "no memory");
    return w.begin_launch();
  };
  for (const auto* point :
       {"launch/boot/undo/before", "launch/boot/undo/after", "launch/give address/undo/before",
        "launch/give address/undo/after", "delete-volume/remove/before", "delete-volume/remove/after"}) {
    EXPECT_EQ(through_death(world, point, begin), "terminated") << point;
  }
}

TEST(InstanceJobs, stop_survives_a_death_at_every_step) {
  World world;
  const auto id = world.running_instance();
  for (const auto& point : points_of("stop", {"guest off", "disk server off", "stopped"})) {
    EXPECT_EQ(through_death(world, point,
                            [&](World& w) {
                              stop_instances(w.region(), w.alice, {id}, Force::no);
                              return id;
                            }),
              "stopped");
    start_instances(world.region(), world.alice, {id});
    ASSERT_TRUE(world.settle());
  }
}

TEST(InstanceJobs, start_survives_a_death_at_every_step) {
  World world;
  const auto id = world.stopped_instance();
  for (const auto& point : points_of("start", {"boot", "run"})) {
    EXPECT_EQ(through_death(world, point,
                            [&](World& w) {
                              start_instances(w.region(), w.alice, {id});
                              return id;
                            }),
              "running");
    stop_instances(world.region(), world.alice, {id}, Force::no);
    ASSERT_TRUE(world.settle());
  }
}

TEST(InstanceJobs, reboot_survives_a_death_at_every_step) {
  World world;
  const auto id = world.running_instance();
  for (const auto& point : points_of("reboot", {"guest off", "guest on"})) {
    EXPECT_EQ(through_death(world, point,
                            [&](World& w) {
                              reboot_instances(w.region(), w.alice, {id});
                              return id;
                            }),
              "running");
  }
}

TEST(InstanceJobs, recover_survives_a_death_at_every_step) {
  World world;
  const auto id = world.running_instance();
  for (const auto& point : points_of("recover", {"recover"})) {
    EXPECT_EQ(through_death(world, point,
                            [&](World& w) {
                              w.region().disk_servers.stop(id);
                              w.host().disk_fails(id);
                              w.reconcile();
                              return id;
                            }),
              "running");
  }
}

TEST(InstanceJobs, terminate_survives_a_death_at_every_step) {
  World world;
  for (const auto& point :
       points_of("terminate", {"guest off", "domain and disk server gone", "address gone", "terminated"})) {
    const auto id = world.running_instance();
    EXPECT_EQ(through_death(world, point,
                            [&](World& w) {
                              terminate_instances(w.region(), w.alice, {id});
                              return id;
                            }),
              "terminated");
  }
}

TEST(InstanceJobs, whatever_the_host_refuses_ends_a_launch_with_a_reason) {
  World world;
  for (const auto* call : {"ensure_network", "add_address", "start"}) {
    SCOPED_TRACE(call);
    world.host().fail_next(call, "the host is in a bad mood");
    const auto id = world.begin_launch();
    ASSERT_TRUE(world.settle());
    const auto row = world.row(id);
    EXPECT_EQ(row.state, "terminated");
    EXPECT_EQ(row.state_reason_code, "Server.InternalError");
    EXPECT_EQ(row.state_reason_message, "Server.InternalError: Internal error on launch");
    world.expect_nothing_astray();
  }
  // The domain is there, but the host did not manage to say so.
  world.host().fail_after_next("start", "lost");
  const auto id = world.begin_launch();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "terminated");
  world.expect_nothing_astray();
}

TEST(InstanceJobs, an_undo_that_the_host_refuses_is_tried_again) {
  World world;
  world.host().fail_next("start", "no memory");
  world.host().fail_next("remove", "busy");
  const auto id = world.begin_launch();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "terminated");
  world.expect_nothing_astray();
}

TEST(InstanceJobs, a_start_that_fails_leaves_the_instance_stopped) {
  World world;
  const auto id = world.stopped_instance();
  world.host().fail_next("start", "no memory");
  start_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "stopped");
  EXPECT_EQ(world.row(id).state_reason_code, "Server.InternalError");
  world.expect_nothing_astray();
  start_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "running");
  EXPECT_EQ(world.row(id).state_reason_code, "");
}

TEST(InstanceJobs, what_the_guest_wrote_is_there_after_a_stop_and_a_start) {
  World world;
  const auto id = world.running_instance();
  const auto volume = world.volumes_of(id).at(0);
  const auto bytes = World::pattern(64 << 10, 99);
  world.write(volume, 4 << 20, bytes);
  stop_instances(world.region(), world.alice, {id}, Force::no);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.volumes_of(id).at(0), volume);
  start_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.read(volume, 4 << 20, bytes.size()), bytes);
}

TEST(InstanceJobs, a_forced_stop_does_not_wait_for_a_guest_that_does_not_listen) {
  World world;
  const auto id = world.running_instance();
  world.host().set_guests_obey(false);
  stop_instances(world.region(), world.alice, {id}, Force::no);
  EXPECT_EQ(world.state(id), "stopping");
  stop_instances(world.region(), world.alice, {id}, Force::yes);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "stopped");
  world.expect_nothing_astray();
}

TEST(InstanceJobs, terminating_overtakes_a_stop_that_waits_for_the_guest) {
  World world;
  const auto id = world.running_instance();
  world.host().set_guests_obey(false);
  stop_instances(world.region(), world.alice, {id}, Force::no);
  terminate_instances(world.region(), world.alice, {id});
  world.host().set_guests_obey(true);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "terminated");
  world.expect_nothing_astray();
}

TEST(InstanceJobs, an_instance_can_be_terminated_before_it_runs) {
  World world;
  const auto id = world.begin_launch();
  const auto changes = terminate_instances(world.region(), world.alice, {id});
  EXPECT_EQ(changes.at(0).current, "shutting-down");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.state(id), "terminated");
  world.expect_nothing_astray();
}

TEST(InstanceJobs, terminating_keeps_the_volumes_that_are_to_stay) {
  World world;
  auto what = world.request();
  LaunchDevice data;
  data.device_name = "/dev/sdf";
  data.size_gib = 1;
  what.devices = {data};
  const auto id = launch(world.region(), world.alice, what).instance_ids.at(0);
  ASSERT_TRUE(world.settle());
  const auto volumes = world.volumes_of(id);
  ASSERT_EQ(volumes.size(), 2U);
  world.write(volumes[1], 0, World::pattern(4096, 5));
  terminate_instances(world.region(), world.alice, {id});
  ASSERT_TRUE(world.settle());
  const auto left = describe_volumes(world.region(), world.alice, {});
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].volume.id, volumes[1]);
  EXPECT_EQ(left[0].volume.state, "available");
  EXPECT_EQ(world.read(volumes[1], 0, 4096), World::pattern(4096, 5));
  world.expect_nothing_astray();
}

}  // namespace
}  // namespace kiln::control
