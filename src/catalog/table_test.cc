#include "catalog/table.h"

#include <gtest/gtest.h>

#include "catalog/accounts.h"
#include "catalog/blocks.h"
#include "catalog/boot_touches.h"
#include "catalog/client_tokens.h"
#include "catalog/iam.h"
#include "catalog/images.h"
#include "catalog/instance_profiles.h"
#include "catalog/instances.h"
#include "catalog/jobs.h"
#include "catalog/keys.h"
#include "catalog/kms_keys.h"
#include "catalog/launch_templates.h"
#include "catalog/lifecycle.h"
#include "catalog/network.h"
#include "catalog/organizations.h"
#include "catalog/parameters.h"
#include "catalog/sharing.h"
#include "catalog/snapshots.h"
#include "catalog/tags.h"
#include "catalog/temp_catalog.h"
#include "catalog/volumes.h"

namespace kiln::catalog {
namespace {

template <auto member>
struct MemberType;
template <class T, class M, M T::*member>
struct MemberType<member> {
  using type = M;
};

// "name TEXT NOT NULL key 1", from the struct.
template <class T>
std::vector<std::string> columns_of_struct() {
  std::vector<std::string> found;
  std::size_t position = 0;
  const T row{};
  for (const Column& column : TableOf<T>::columns) {
    const Value value = column.get(&row);
    // An optional is the only member whose default is NULL, and setting it shows its type.
    const bool optional = std::holds_alternative<std::monostate>(value);
    bool text = std::holds_alternative<std::string>(value);
    if (optional) {
      T probe{};
      column.set(&probe, Value(std::int64_t{1}));
      text = std::holds_alternative<std::string>(column.get(&probe));
    }
    ++position;
    found.push_back(std::string(column.name) + (text ? " TEXT" : " INTEGER") + (optional ? "" : " NOT NULL") +
                    (position <= TableOf<T>::key_columns ? " key " + std::to_string(position) : ""));
  }
  return found;
}

std::vector<std::string> columns_of_table(Txn& txn, std::string_view table) {
  std::vector<std::string> found;
  for (const Row& row :
       txn.query("SELECT name, type, \"notnull\", pk FROM pragma_table_info($1)", {std::string(table)})) {
    const auto key = std::get<std::int64_t>(row[3]);
    found.push_back(std::get<std::string>(row[0]) + " " + std::get<std::string>(row[1]) +
                    (std::get<std::int64_t>(row[2]) != 0 ? " NOT NULL" : "") +
                    (key > 0 ? " key " + std::to_string(key) : ""));
  }
  return found;
}

template <class... T>
struct Rows {
  static void expect_tables(Txn& txn) { (expect_table<T>(txn), ...); }
  template <class One>
  static void expect_table(Txn& txn) {
    EXPECT_EQ(columns_of_struct<One>(), columns_of_table(txn, TableOf<One>::name)) << TableOf<One>::name;
  }
  static std::vector<std::string> names() { return {std::string(TableOf<T>::name)...}; }
};
using EveryRow =
    Rows<Account, AccessKey, BootTouches, Root, Pack, Session, Epoch, ClientToken, Image, ImageDevice, LaunchPermission,
         Instance, InstanceGroup, Job, KeyPair, Vpc, Subnet, SecurityGroup, SecurityGroupRule, Snapshot,
         StartedSnapshot, Tag, Volume, Attachment, KmsKey, KmsAlias, KmsTag, KeyDomain, EbsDefaults, SnapshotPermission,
         SnapshotLock, SnapshotTier, FastRestore, UsageReport, UsageReportEntry, SharingSettings, Recycled, RecycleRule,
         RecycleRuleTag, AccountMembership, IamIdentity, IamMember, IamPolicy, IamPolicyVersion, IamAttachment,
         IamInlinePolicy, IamTag, ParameterVersion, ParameterLabel, ParameterTag, Organization, OrganizationUnit,
         OrganizationMember, AccountCreation, OrganizationInvitation, LaunchTemplate, LaunchTemplateVersion,
         ProfileAssociation>;

TEST(Table, every_struct_is_its_table_and_every_table_has_a_struct) {
  TempCatalog catalog;
  catalog.database->read([](Txn& txn) {
    EveryRow::expect_tables(txn);
    auto wanted = EveryRow::names();
    wanted.push_back("schema_version");
    std::sort(wanted.begin(), wanted.end());
    std::vector<std::string> found;
    for (const Row& row : txn.query("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")) {
      found.push_back(std::get<std::string>(row[0]));
      EXPECT_NE(std::get<std::string>(row[1]).find("\n) STRICT"), std::string::npos) << found.back();
    }
    EXPECT_EQ(found, wanted);
  });
}

Image some_image() {
  return {.region = "us-east-1",
          .id = "ami-1",
          .account = "123456789012",
          .name = "it's \"q\" $1 \xc3\xa9",
          .state = "available",
          .ena_support = false,
          .last_launched = 17,
          .created = 5};
}

TEST(Table, a_row_comes_back_as_it_was_written) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) {
    insert(txn, some_image());
    insert(txn, ImageDevice{.region = "us-east-1",
                            .image_id = "ami-1",
                            .position = 0,
                            .device_name = "/dev/sda1",
                            .size_gib = 8,
                            .delete_on_termination = false,
                            .iops = 3000});
  });
  catalog.reopen();
  catalog.database->read([](Txn& txn) {
    const auto image = find_image(txn, "us-east-1", "ami-1");
    ASSERT_TRUE(image);
    EXPECT_EQ(image->name, some_image().name);
    EXPECT_FALSE(image->ena_support);
    EXPECT_FALSE(image->deregistered);
    EXPECT_EQ(image->last_launched, 17);
    const auto devices = image_devices(txn, "us-east-1", "ami-1");
    ASSERT_EQ(devices.size(), 1u);
    EXPECT_FALSE(devices[0].delete_on_termination);
    EXPECT_EQ(devices[0].iops, 3000);
    EXPECT_FALSE(devices[0].throughput);
    EXPECT_FALSE(find_image(txn, "eu-west-1", "ami-1"));
  });
}

TEST(Table, update_and_remove_say_whether_the_row_was_there) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) {
    Image image = some_image();
    EXPECT_FALSE(update(txn, image));
    EXPECT_FALSE(remove(txn, image));
    upsert(txn, image);
    image.state = "deregistered";
    image.deregistered = 9;
    EXPECT_TRUE(update(txn, image));
    image.name = "other";
    upsert(txn, image);
    const auto found = find_image(txn, image.region, image.id);
    EXPECT_EQ(found->deregistered, 9);
    EXPECT_EQ(found->name, "other");
    EXPECT_TRUE(remove(txn, image));
    EXPECT_FALSE(find_image(txn, image.region, image.id));
  });
}

TEST(Table, a_table_of_keys_alone_can_be_written_twice_and_updated) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) {
    insert(txn, some_image());
    const LaunchPermission everyone{.region = "us-east-1", .image_id = "ami-1", .kind = "group", .value = "all"};
    EXPECT_FALSE(update(txn, everyone));
    upsert(txn, everyone);
    upsert(txn, everyone);
    EXPECT_TRUE(update(txn, everyone));
    EXPECT_EQ(launch_permissions(txn, "us-east-1", "ami-1").size(), 1u);
  });
}

TEST(Table, a_taken_key_is_a_constraint_error_and_a_wrong_type_is_refused) {
  TempCatalog catalog;
  catalog.database->run_in_txn([](Txn& txn) { insert(txn, some_image()); });
  try {
    catalog.database->run_in_txn([](Txn& txn) { insert(txn, some_image()); });
    FAIL() << "the same key was inserted twice";
  } catch (const DatabaseError& error) {
    EXPECT_EQ(error.kind(), DatabaseError::Kind::constraint);
  }
  EXPECT_THROW(catalog.database->run_in_txn([](Txn& txn) { txn.execute("UPDATE image SET created = 'soon'"); }),
               DatabaseError);
}

}  // namespace
}  // namespace kiln::catalog
