#pragma once
// For tests: a region with an image to launch from, and what must hold of it whenever no job is open.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "catalog/blocks.h"
#include "catalog/instances.h"
#include "control/instances.h"
#include "control/launch.h"
#include "control/reconcile.h"
#include "control/region_fixture.h"

namespace kiln::control {

class InstancesFixture : public RegionFixture {
 public:
  InstancesFixture() { image_id_ = import_disk("base", pattern(1 << 20, 7)).image_id; }

  const std::string& image_id() const { return image_id_; }

  Launch request() const {
    Launch what;
    what.image_id = image_id_;
    what.instance_type = "kiln.tiny";
    return what;
  }
  // Asks for one instance and does not wait for it.
  std::string begin_launch() { return launch(region(), alice, request()).instance_ids.at(0); }
  std::string running_instance() {
    const auto id = begin_launch();
    EXPECT_TRUE(settle());
    EXPECT_EQ(state(id), "running");
    return id;
  }
  std::string stopped_instance() {
    const auto id = running_instance();
    stop_instances(region(), alice, {id}, Force::no);
    EXPECT_TRUE(settle());
    EXPECT_EQ(state(id), "stopped");
    return id;
  }

  catalog::Instance row(const std::string& id) {
    return catalog::in_read(region().catalog, [&](catalog::Txn& txn) {
      return catalog::find_instance(txn, region().name, id).value_or(catalog::Instance{});
    });
  }
  std::string state(const std::string& id) { return row(id).state; }
  std::vector<std::string> volumes_of(const std::string& id) {
    std::vector<std::string> ids;
    const auto details = describe_instances(region(), alice, {id}).at(0);
    for (const auto& disk : details.disks) ids.push_back(disk.volume.id);
    return ids;
  }
  void reconcile() { Reconciler(regions(), {}).pass(); }

  // Every row has what it says it has, and there is nothing besides.
  void expect_nothing_astray() {
    std::set<std::string> addresses, directories, volumes, roots;
    region().catalog.read([&](catalog::Txn& txn) {
      for (const auto& instance : catalog::instances_of(txn, region().name, alice.account)) {
        check_instance(instance);
        if (instance.state != "terminated") addresses.insert(instance.private_ip);
      }
      for (const auto& volume : catalog::volumes_of(txn, region().name, alice.account)) {
        volumes.insert(volume.id);
        EXPECT_TRUE(volume.state == "in-use" || volume.state == "available") << volume.id << " is " << volume.state;
      }
      for (const auto& root : catalog::roots(txn, region().name)) {
        if (root.kind == "volume") roots.insert(root.owner);
      }
    });
    for (const auto& entry : std::filesystem::directory_iterator(region().volumes_directory())) {
      directories.insert(entry.path().filename().string());
    }
    EXPECT_EQ(directories, volumes);
    EXPECT_EQ(roots, volumes);
    std::set<std::string> reserved;
    for (const auto& nic : host().addresses()) reserved.insert(nic.private_ip);
    EXPECT_EQ(reserved, addresses);
    for (const auto& domain : host().list()) EXPECT_FALSE(row(domain.instance_id).id.empty()) << domain.instance_id;
  }

 private:
  void check_instance(const catalog::Instance& instance) {
    using hypervisor::Power;
    const auto power = host().power(instance.id);
    const bool served = region().disk_servers.runs(instance.id);
    if (instance.state == "running") {
      EXPECT_EQ(power, Power::running) << instance.id;
      EXPECT_TRUE(served) << instance.id;
    } else if (instance.state == "stopped") {
      EXPECT_EQ(power, Power::off) << instance.id;
      EXPECT_FALSE(served) << instance.id;
    } else if (instance.state == "terminated") {
      EXPECT_EQ(power, Power::absent) << instance.id;
      EXPECT_FALSE(served) << instance.id;
      EXPECT_FALSE(std::filesystem::exists(region().run_directory(instance.id)));
    } else {
      ADD_FAILURE() << instance.id << " is still " << instance.state;
    }
  }

  std::string image_id_;
};

}  // namespace kiln::control
