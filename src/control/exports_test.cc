#include "control/exports.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "catalog/blocks.h"
#include "control/garbage.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;
using images::Format;

base::Bytes content(int fd) {
  struct stat about {};
  EXPECT_EQ(::fstat(fd, &about), 0);
  base::Bytes bytes(static_cast<std::size_t>(about.st_size));
  EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), 0), about.st_size);
  return bytes;
}

// Data, a hole, data.
base::Bytes sparse_disk() {
  auto bytes = Fixture::pattern(1 << 20, 1);
  bytes.resize(20 << 20);
  const auto end = Fixture::pattern(300 << 10, 2);
  std::copy(end.begin(), end.end(), bytes.end() - static_cast<std::ptrdiff_t>(end.size()));
  return bytes;
}

TEST(Exports, every_format_comes_back_as_it_went) {
  Fixture world;
  const auto bytes = sparse_disk();
  const auto image = world.import_disk("disk", bytes);
  for (const auto format : {Format::raw, Format::qcow2, Format::vmdk, Format::vhd}) {
    const auto name = std::string(to_string(format));
    const auto out = world.file({});
    Exported made;
    ASSERT_NO_THROW(made =
                        export_disk(world.region(), world.alice, out.get(), {.id = image.image_id, .format = format}))
        << name;
    EXPECT_EQ(made.snapshot_id, image.snapshot_id);
    EXPECT_EQ(made.disk_bytes, bytes.size());
    EXPECT_LT(made.allocated_bytes, 6U << 20) << name << " has no holes";
    EXPECT_TRUE(format != Format::raw || content(out.get()) == bytes);
    const auto again =
        import_image(world.region(), world.alice, out.get(), {.name = "again-" + name, .format = format});
    EXPECT_EQ(again.total.total_bytes, bytes.size()) << name;
    EXPECT_EQ(again.total.new_bytes, 0U) << name;
    EXPECT_EQ(world.read(world.volume(world.alice, again.snapshot_id), 0, bytes.size()), bytes) << name;
  }
}

TEST(Exports, a_snapshot_is_exported_by_its_own_id_and_a_disk_of_zeros_too) {
  Fixture world;
  const auto image = world.import_disk("zeros", base::Bytes(4 << 20));
  for (const auto format : {Format::raw, Format::qcow2, Format::vmdk, Format::vhd}) {
    const auto out = world.file({});
    const auto made = export_disk(world.region(), world.alice, out.get(), {.id = image.snapshot_id, .format = format});
    EXPECT_EQ(made.disk_bytes, 4U << 20) << to_string(format);
    EXPECT_LT(made.allocated_bytes, 1U << 20) << to_string(format);
  }
}

TEST(Exports, what_is_not_there_not_ours_or_not_complete_is_refused) {
  Fixture world;
  const auto image = world.import_disk("disk", Fixture::pattern(1 << 20, 1));
  const auto exported = [&](const Principal& caller, const std::string& id, int fd) {
    return refusal_of([&] { export_disk(world.region(), caller, fd, {.id = id}); });
  };
  const auto out = world.file({});
  EXPECT_EQ(exported(world.bob, image.snapshot_id, out.get()), "InvalidSnapshot.NotFound");
  EXPECT_EQ(exported(world.bob, image.image_id, out.get()), "InvalidAMIID.NotFound");
  EXPECT_EQ(exported(world.alice, "snap-0123456789abcdef0", out.get()), "InvalidSnapshot.NotFound");
  EXPECT_EQ(exported(world.alice, "ami-0123456789abcdef0", out.get()), "InvalidAMIID.NotFound");
  EXPECT_EQ(exported(world.alice, "disk", out.get()), "InvalidParameterValue");
  EXPECT_EQ(exported(world.alice, image.image_id, world.file(base::Bytes(1)).get()), "InvalidParameterValue");
  EXPECT_TRUE(content(out.get()).empty());
}

TEST(Exports, the_snapshot_may_be_deleted_and_collected_meanwhile) {
  Fixture world;
  const auto bytes = sparse_disk();
  const auto image = world.import_disk("disk", bytes);
  const auto out = world.file({});
  bool deleted = false;
  export_disk(world.region(), world.alice, out.get(), {.id = image.image_id}, [&](const ExportProgress&) {
    if (deleted) return true;
    deleted = true;
    deregister_image(world.region(), world.alice, image.image_id, WithSnapshots::yes);
    for (int i = 0; i < 3; ++i) collect(world.region(), {.grace = 0, .force = true});
    return true;
  });
  EXPECT_TRUE(deleted);
  EXPECT_EQ(content(out.get()), bytes);
}

TEST(Exports, one_that_is_given_up_ends_and_keeps_nothing_alive) {
  Fixture world;
  const auto image = world.import_disk("disk", sparse_disk());
  for (const std::string_view step : {"reading", "converting", "writing"}) {
    const auto out = world.file({});
    EXPECT_EQ(refusal_of([&] {
                export_disk(world.region(), world.alice, out.get(), {.id = image.image_id, .format = Format::qcow2},
                            [&](const ExportProgress& progress) { return progress.step != step; });
              }),
              "OperationCanceled")
        << step;
  }
  catalog::in_read(world.region().catalog, [&](catalog::Txn& txn) {
    EXPECT_TRUE(catalog::sessions(txn, world.region().name).empty());
    return true;
  });
}

}  // namespace
}  // namespace kiln::control
