#include <gtest/gtest.h>

#include "catalog/blocks.h"
#include "catalog/client_tokens.h"
#include "catalog/images.h"
#include "catalog/instances.h"
#include "catalog/network.h"
#include "catalog/sharing.h"
#include "catalog/snapshots.h"
#include "catalog/tags.h"
#include "catalog/temp_catalog.h"
#include "catalog/volumes.h"

namespace kiln::catalog {
namespace {

const std::string region = "us-east-1";
const std::string alice = "111111111111", bob = "222222222222";

// Each test is one transaction on an empty catalog.
class Queries : public testing::Test {
 protected:
  void in_txn(const std::function<void(Txn&)>& body) { catalog_.database->run_in_txn(body); }
  TempCatalog catalog_;
};

Image image(const std::string& id, const std::string& name, const std::string& state = "available") {
  return {.region = region, .id = id, .account = alice, .name = name, .state = state};
}

Instance instance(const std::string& id, const std::string& ip, const std::string& state = "running") {
  return {.region = region, .id = id, .account = alice, .state = state, .vpc_id = "vpc-1", .private_ip = ip};
}

template <class Body>
bool breaks_constraint(Txn& txn, Body body) {
  try {
    body(txn);
    return false;
  } catch (const DatabaseError& error) {
    return error.kind() == DatabaseError::Kind::constraint;
  }
}

TEST_F(Queries, an_image_name_is_taken_until_the_image_is_deregistered_or_failed) {
  in_txn([](Txn& txn) {
    insert(txn, image("ami-1", "web"));
    EXPECT_TRUE(breaks_constraint(txn, [](Txn& t) { insert(t, image("ami-2", "web", "pending")); }));
    Image other = image("ami-3", "web");
    other.account = bob;
    insert(txn, other);
    EXPECT_EQ(find_registered_image_named(txn, region, alice, "web")->id, "ami-1");
    update(txn, image("ami-1", "web", "deregistered"));
    EXPECT_FALSE(find_registered_image_named(txn, region, alice, "web"));
    insert(txn, image("ami-2", "web"));
    insert(txn, image("ami-4", "web", "failed"));
  });
}

TEST_F(Queries, an_image_is_seen_by_its_owner_those_it_is_shared_with_and_all_when_public) {
  in_txn([](Txn& txn) {
    const auto seen = [&](const std::string& account) {
      std::string ids;
      for (const Image& found : images_visible_to(txn, region, account, "", 100)) ids += found.id + " ";
      return ids;
    };
    for (const std::string id : {"ami-1", "ami-2", "ami-3"}) insert(txn, image(id, id));
    insert(txn, image("ami-4", "gone", "deregistered"));
    insert(txn, LaunchPermission{region, "ami-2", "account", bob});
    insert(txn, LaunchPermission{region, "ami-3", "group", "all"});
    insert(txn, LaunchPermission{region, "ami-4", "group", "all"});
    EXPECT_EQ(seen(alice), "ami-1 ami-2 ami-3 ");
    EXPECT_EQ(seen(bob), "ami-2 ami-3 ");
    EXPECT_EQ(seen("333333333333"), "ami-3 ");
    EXPECT_TRUE(has_launch_permission(txn, region, "ami-2", bob));
    EXPECT_FALSE(has_launch_permission(txn, region, "ami-1", bob));
    set_memberships(txn, bob, {"arn:of/unit"});
    insert(txn, LaunchPermission{region, "ami-1", "organizational-unit", "arn:of/unit"});
    EXPECT_EQ(seen(bob), "ami-1 ami-2 ami-3 ");
    EXPECT_TRUE(has_launch_permission(txn, region, "ami-1", bob));
    set_memberships(txn, bob, {"arn:of/other"});
    EXPECT_EQ(seen(bob), "ami-2 ami-3 ");
    std::string pages;
    for (std::string after; after.size() < 6;) {
      const auto page = images_visible_to(txn, region, alice, after, 2);
      if (page.empty()) break;
      after = page.back().id;
      pages += std::to_string(page.size()) + after + " ";
    }
    EXPECT_EQ(pages, "2ami-2 1ami-3 ");
  });
}

TEST_F(Queries, a_snapshot_is_used_by_registered_images_only) {
  in_txn([](Txn& txn) {
    insert(txn, image("ami-1", "a"));
    insert(txn, image("ami-2", "b", "deregistered"));
    for (const std::string id : {"ami-1", "ami-2"}) {
      insert(txn,
             ImageDevice{.region = region, .image_id = id, .position = 0, .device_name = "a", .snapshot_id = "snap-1"});
      insert(txn,
             ImageDevice{.region = region, .image_id = id, .position = 1, .device_name = "b", .snapshot_id = "snap-2"});
      insert(txn,
             ImageDevice{.region = region, .image_id = id, .position = 2, .device_name = "c", .snapshot_id = "snap-1"});
    }
    insert(txn, Snapshot{.region = region, .id = "snap-1", .account = alice});
    insert(txn, Snapshot{.region = region, .id = "snap-2", .account = alice});
    const auto using_it = images_using_snapshot(txn, region, "snap-1");
    ASSERT_EQ(using_it.size(), 1u);
    EXPECT_EQ(using_it[0].id, "ami-1");
    const auto of_image = snapshots_of_image(txn, region, "ami-1");
    ASSERT_EQ(of_image.size(), 2u);
    EXPECT_EQ(of_image[0].id, "snap-1");
    remove(txn, image("ami-1", "a"));
    EXPECT_TRUE(image_devices(txn, region, "ami-1").empty()) << "devices go with their image";
  });
}

TEST_F(Queries, addresses_skip_the_reserved_and_the_taken_and_come_back_after_termination) {
  in_txn([](Txn& txn) {
    const Subnet subnet{.region = region,
                        .id = "subnet-1",
                        .account = alice,
                        .vpc_id = "vpc-1",
                        .zone = "us-east-1a",
                        .cidr = "10.0.1.16/28"};
    EXPECT_EQ(next_private_ip(txn, subnet), "10.0.1.20");
    EXPECT_EQ(free_addresses(txn, subnet), 11);
    insert(txn, instance("i-1", "10.0.1.20"));
    insert(txn, instance("i-2", "10.0.1.22", "pending"));
    insert(txn, instance("i-3", "10.0.2.21"));  // of another subnet
    EXPECT_EQ(next_private_ip(txn, subnet), "10.0.1.21");
    insert(txn, instance("i-4", "10.0.1.21", "terminated"));
    EXPECT_EQ(next_private_ip(txn, subnet), "10.0.1.23") << "an address rests while there are others";
    EXPECT_TRUE(breaks_constraint(txn, [](Txn& t) { insert(t, instance("i-9", "10.0.1.20")); }));
    EXPECT_EQ(find_instance_at(txn, region, "vpc-1", "10.0.1.20")->id, "i-1");
    for (int last = 21; last <= 30; ++last) {
      if (last != 22) insert(txn, instance("i-" + std::to_string(last), "10.0.1." + std::to_string(last)));
    }
    EXPECT_FALSE(next_private_ip(txn, subnet));
    EXPECT_EQ(free_addresses(txn, subnet), 0);
    update(txn, instance("i-1", "10.0.1.20", "terminated"));
    EXPECT_EQ(next_private_ip(txn, subnet), "10.0.1.20");
    EXPECT_FALSE(find_instance_at(txn, region, "vpc-1", "10.0.1.20"));
  });
}

TEST_F(Queries, tags_belong_to_the_account_that_set_them) {
  in_txn([](Txn& txn) {
    set_tags(txn, {{region, alice, "ami-1", "Name", "image", "web"},
                   {region, bob, "ami-1", "Name", "image", "theirs"},
                   {region, alice, "i-1", "Name", "instance", "one"}});
    set_tags(txn, {{region, alice, "ami-1", "Name", "image", "web2"}});
    const auto tags = tags_of(txn, region, alice, {"ami-1", "ami-1", "ami-9"});
    ASSERT_EQ(tags.size(), 1u);
    EXPECT_EQ(tags[0].value, "web2");
    EXPECT_EQ(tags_of(txn, region, alice).size(), 2u);
    EXPECT_FALSE(remove_tag(txn, region, alice, "ami-1", "Name", "web"));
    EXPECT_TRUE(remove_tag(txn, region, alice, "ami-1", "Name", "web2"));
    remove_tags_of(txn, region, alice, "ami-1");
    EXPECT_EQ(tags_of(txn, region, bob, {"ami-1"}).size(), 1u);
    forget_tags(txn, region, "ami-1");
    EXPECT_TRUE(tags_of(txn, region, bob, {"ami-1"}).empty());
  });
}

TEST_F(Queries, tags_of_more_resources_than_one_statement_takes) {
  in_txn([](Txn& txn) {
    std::vector<std::string> ids;
    for (int i = 0; i < 1201; ++i) {
      ids.push_back("i-" + std::to_string(i));
      set_tags(txn, {{region, alice, ids.back(), "k", "instance", "v"}});
    }
    EXPECT_EQ(tags_of(txn, region, alice, ids).size(), 1201u);
  });
}

TEST_F(Queries, a_pack_is_condemned_only_when_nobody_can_need_it_and_deleted_only_in_a_later_mark) {
  in_txn([](Txn& txn) {
    insert(txn, Session{.region = region, .id = "s-1"});
    insert(txn, Pack{.region = region, .id = "p-1", .kind = "data", .state = "live", .session = "s-1"});
    insert(txn, Pack{.region = region, .id = "p-2", .kind = "data", .state = "live", .session = "s-0"});
    const auto first_mark = next_epoch(txn, region);
    EXPECT_EQ(first_mark, 1);
    EXPECT_EQ(next_epoch(txn, "eu-west-1"), 1) << "each region counts for itself";
    EXPECT_TRUE(reference_packs(txn, region, {"p-2"}).empty());
    EXPECT_FALSE(condemn_pack(txn, region, "p-1", first_mark, 10)) << "its session lives";
    EXPECT_FALSE(condemn_pack(txn, region, "p-2", first_mark, 10)) << "a commit referenced it during the mark";
    remove(txn, Session{.region = region, .id = "s-1"});
    EXPECT_TRUE(condemn_pack(txn, region, "p-1", first_mark, 10));
    EXPECT_EQ(reference_packs(txn, region, {"p-1", "p-2", "p-3"}), (std::vector<std::string>{"p-1", "p-3"}));
    EXPECT_FALSE(begin_delete_pack(txn, region, "p-1", first_mark, 10)) << "the same mark";
    const auto second_mark = next_epoch(txn, region);
    EXPECT_FALSE(begin_delete_pack(txn, region, "p-1", second_mark, 9)) << "still within its grace";
    EXPECT_TRUE(begin_delete_pack(txn, region, "p-1", second_mark, 10));
    EXPECT_FALSE(revive_pack(txn, region, "p-1")) << "too late";
    EXPECT_TRUE(condemn_pack(txn, region, "p-2", second_mark, 20));
    EXPECT_TRUE(revive_pack(txn, region, "p-2"));
    EXPECT_FALSE(condemn_pack(txn, region, "p-2", second_mark, 21));
  });
}

TEST_F(Queries, roots_are_found_whatever_their_kind) {
  in_txn([](Txn& txn) {
    for (const std::string kind : {"snapshot", "volume", "session", "kind-of-tomorrow"}) {
      insert(txn, Root{.region = region, .kind = kind, .owner = "o-" + kind, .digest = "d"});
    }
    insert(txn, Root{.region = region, .kind = "volume", .owner = "o-volume", .digest = "e"});
    insert(txn, Root{.region = "eu-west-1", .kind = "volume", .owner = "o", .digest = "d"});
    EXPECT_EQ(roots(txn, region).size(), 5u);
    EXPECT_EQ(roots_of(txn, region, "o-volume").size(), 2u);
    EXPECT_EQ(drop_roots(txn, region, "volume", "o-volume"), 2);
    EXPECT_EQ(roots(txn, region).size(), 3u);
  });
}

TEST_F(Queries, a_client_token_is_known_per_account_region_and_operation) {
  in_txn([](Txn& txn) {
    remember_client_token(txn, {region, alice, "RunInstances", "t", "sha", "r-1", 5});
    EXPECT_EQ(find_client_token(txn, region, alice, "RunInstances", "t")->result, "r-1");
    EXPECT_FALSE(find_client_token(txn, region, bob, "RunInstances", "t"));
    EXPECT_FALSE(find_client_token(txn, region, alice, "CreateVolume", "t"));
    EXPECT_TRUE(breaks_constraint(txn, [](Txn& t) {
      remember_client_token(t, {region, alice, "RunInstances", "t", "sha", "r-2", 6});
    }));
    EXPECT_EQ(forget_client_tokens(txn, region, 5), 0);
    EXPECT_EQ(forget_client_tokens(txn, "eu-west-1", 6), 0);
    EXPECT_EQ(forget_client_tokens(txn, region, 6), 1);
  });
}

TEST_F(Queries, volumes_of_an_instance_come_by_position_and_the_fence_only_rises) {
  in_txn([](Txn& txn) {
    insert(txn, Volume{.region = region, .id = "vol-1", .account = alice});
    insert(txn, Volume{.region = region, .id = "vol-2", .account = alice});
    insert(txn,
           Attachment{
               .region = region, .volume_id = "vol-1", .instance_id = "i-1", .device_name = "/dev/sdb", .position = 1});
    insert(txn, Attachment{.region = region, .volume_id = "vol-2", .instance_id = "i-1", .device_name = "/dev/sda1"});
    const auto volumes = volumes_of_instance(txn, region, "i-1");
    ASSERT_EQ(volumes.size(), 2u);
    EXPECT_EQ(volumes[0].id, "vol-2");
    EXPECT_EQ(attachment_of_volume(txn, region, "vol-1")->position, 1);
    EXPECT_EQ(raise_epoch(txn, region, "vol-1"), 2);
    EXPECT_EQ(raise_epoch(txn, region, "vol-1"), 3);
    EXPECT_EQ(raise_epoch(txn, region, "vol-9"), 0);
    EXPECT_TRUE(breaks_constraint(txn, [](Txn& t) {
      insert(
          t,
          Attachment{
              .region = region, .volume_id = "vol-3", .instance_id = "i-1", .device_name = "/dev/sdb", .position = 2});
    }));
  });
}

TEST_F(Queries, a_security_group_knows_who_is_in_it_and_who_refers_to_it) {
  in_txn([](Txn& txn) {
    insert(txn, SecurityGroup{.region = region, .id = "sg-1", .account = alice, .vpc_id = "vpc-1", .name = "web"});
    insert(txn, SecurityGroup{.region = region, .id = "sg-2", .account = alice, .vpc_id = "vpc-1", .name = "db"});
    EXPECT_TRUE(breaks_constraint(txn, [](Txn& t) {
      insert(t, SecurityGroup{.region = region, .id = "sg-3", .account = alice, .vpc_id = "vpc-1", .name = "web"});
    }));
    SecurityGroupRule rule{.region = region,
                           .id = "sgr-1",
                           .group_id = "sg-2",
                           .protocol = "tcp",
                           .from_port = 5432,
                           .to_port = 5432,
                           .source_group = "sg-1"};
    insert(txn, rule);
    rule.id = "sgr-2";
    EXPECT_TRUE(breaks_constraint(txn, [&](Txn& t) { insert(t, rule); }));
    EXPECT_EQ(groups_referring_to(txn, region, "sg-1"), std::vector<std::string>{"sg-2"});
    insert(txn, instance("i-1", "10.0.0.4"));
    insert(txn, instance("i-2", "", "terminated"));
    insert(txn, InstanceGroup{region, "i-1", "sg-1"});
    insert(txn, InstanceGroup{region, "i-2", "sg-1"});
    EXPECT_EQ(instances_in_group(txn, region, "sg-1"), std::vector<std::string>{"i-1"});
    EXPECT_EQ(groups_of_instance(txn, region, "i-1"), std::vector<std::string>{"sg-1"});
    leave_groups(txn, region, "i-1");
    EXPECT_TRUE(groups_of_instance(txn, region, "i-1").empty());
    EXPECT_TRUE(instances_in_group(txn, region, "sg-1").empty());
    EXPECT_EQ(instances_in_state(txn, region, {"running", "terminated"}).size(), 2u);
    EXPECT_TRUE(instances_in_state(txn, region, {}).empty());
    EXPECT_EQ(security_group_rules(txn, region, "sg-2").size(), 1u);
  });
}

}  // namespace
}  // namespace kiln::catalog
