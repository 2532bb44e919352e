#include "control/imports.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/api_error.h"
#include "base/process.h"
#include "catalog/blocks.h"
#include "control/garbage.h"
#include "control/partition_table.h"
#include "control/region_fixture.h"
#include "control/usage.h"
#include "images/samples_testing.h"

namespace kiln::control {
namespace {

using Fixture = RegionFixture;
using images::Format;

template <class Body>
std::string refusal(Body body) {
  try {
    body();
  } catch (const base::ApiError& e) {
    return e.code() + ": " + e.what();
  }
  return "no error";
}

// A file made by qemu-img, of a disk of bytes.
base::Fd made_of(Fixture& world, const base::Bytes& bytes, const std::string& driver,
                 const std::vector<std::string>& options = {}) {
  const auto raw = world.directory() / "disk.raw", made = world.directory() / ("disk." + driver);
  std::ofstream(raw, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  std::vector<std::string> arguments{"qemu-img", "convert", "-f", "raw", "-O", driver};
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.insert(arguments.end(), {raw.string(), made.string()});
  const auto ended = base::run({.arguments = arguments}, std::chrono::seconds(60));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  return base::Fd(::open(made.c_str(), O_RDWR | O_CLOEXEC));
}

void expect_nothing_left(Fixture& world) {
  auto& region = world.region();
  EXPECT_TRUE(describe_images(region, world.alice, {}).empty());
  EXPECT_TRUE(describe_snapshots(region, world.alice, {}).empty());
  collect(region, {.grace = 0});
  EXPECT_EQ(usage(region).store_bytes, 0U);
  catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    EXPECT_TRUE(catalog::sessions(txn, region.name).empty());
    EXPECT_TRUE(catalog::roots(txn, region.name).empty());
    return true;
  });
  const auto names = region.files.list(region.directory / "imports");
  EXPECT_TRUE(!names || names->empty());
}

TEST(Imports, a_raw_disk_becomes_an_image_and_holes_cost_nothing) {
  Fixture world;
  auto bytes = Fixture::pattern(1 << 20, 1);
  auto fd = world.file(bytes);
  ASSERT_EQ(::ftruncate(fd.get(), std::int64_t{100} << 30), 0);
  std::vector<ImportProgress> seen;
  const auto made =
      import_image(world.region(), world.alice, fd.get(), {.name = "sparse", .description = "big"}, [&](const auto& p) {
        seen.push_back(p);
        return true;
      });
  EXPECT_EQ(made.total.total_bytes, std::uint64_t{100} << 30);
  EXPECT_EQ(made.total.new_bytes, 1U << 20);
  EXPECT_LT(made.total.stored_bytes, 2U << 20);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().done_bytes, seen.back().total_bytes);
  const auto image = describe_images(world.region(), world.alice, {.ids = {made.image_id}}).at(0);
  EXPECT_EQ(image.image.state, "available");
  EXPECT_EQ(image.devices.at(0).size_gib, 100);
  const auto volume = world.volume(world.alice, made.snapshot_id);
  EXPECT_EQ(world.read(volume, 0, 1 << 20), bytes);
}

TEST(Imports, the_same_disk_again_stores_nothing) {
  Fixture world;
  const auto bytes = Fixture::pattern(3 << 20, 1);
  world.import_disk("one", bytes);
  const auto again = world.import_disk("two", bytes);
  EXPECT_EQ(again.total.new_bytes, 0U);
  EXPECT_EQ(again.total.stored_bytes, 0U);
  EXPECT_EQ(again.total.known_bytes, 3U << 20);
}

TEST(Imports, a_qcow2_disk_is_converted) {
  Fixture world;
  const auto bytes = Fixture::pattern(3 << 20, 4);
  for (const auto& options : std::vector<std::vector<std::string>>{{}, {"-c"}, {"-o", "compat=0.10"}}) {
    const auto fd = made_of(world, bytes, "qcow2", options);
    const auto made =
        import_image(world.region(), world.alice, fd.get(), {.name = "q" + base::new_uuid(), .format = Format::qcow2});
    EXPECT_EQ(world.read(world.volume(world.alice, made.snapshot_id), 0, 3 << 20), bytes);
  }
}

TEST(Imports, disks_in_the_formats_of_others_are_what_they_hold) {
  Fixture world;
  // Holes between the data, and data at the very end.
  auto bytes = Fixture::pattern(1 << 20, 4);
  bytes.resize(9 << 20);
  const auto end = Fixture::pattern(200 << 10, 5);
  std::copy(end.begin(), end.end(), bytes.end() - static_cast<std::ptrdiff_t>(end.size()));
  struct Case {
    Format format;
    std::string driver;
    std::vector<std::string> options;
  };
  const Case cases[] = {{Format::qcow2, "qcow2", {"-c", "-o", "compression_type=zstd"}},
                        {Format::qcow2, "qcow2", {"-o", "extended_l2=on,cluster_size=128k"}},
                        {Format::vmdk, "vmdk", {}},
                        {Format::vmdk, "vmdk", {"-o", "subformat=streamOptimized"}},
                        {Format::vhd, "vpc", {"-o", "subformat=dynamic,force_size=on"}},
                        {Format::vhd, "vpc", {"-o", "subformat=fixed,force_size=on"}},
                        {Format::vhdx, "vhdx", {}},
                        {Format::vhdx, "vhdx", {"-o", "subformat=fixed,block_size=1M"}}};
  for (const auto& [format, driver, options] : cases) {
    const auto fd = made_of(world, bytes, driver, options);
    const auto name = driver + (options.empty() ? "" : " " + options.back());
    Imported made;
    ASSERT_NO_THROW(
        made = import_image(world.region(), world.alice, fd.get(), {.name = "i" + base::new_uuid(), .format = format}))
        << name;
    EXPECT_EQ(made.total.total_bytes, bytes.size()) << name;
    EXPECT_EQ(world.read(world.volume(world.alice, made.snapshot_id), 0, bytes.size()), bytes) << name;
  }
}

// A VMDK as a stream is written by other programs: grains behind markers, the table and the directory behind them, and
// a footer that says where. Each grain is compressed without compression: blocks of zlib's that are stored.
base::Bytes vmdk_stream(const base::Bytes& disk) {
  using namespace images::testing;
  constexpr std::size_t sector = 512, grain = 128 * sector;
  const auto sectors = disk.size() / sector;
  auto file = vmdk(vmdk_descriptor("streamOptimized", "RW " + std::to_string(sectors) + " SPARSE \"disk.vmdk\""));
  file.resize(128 * sector);
  put_little(file, 4, 4, 3);
  put_little(file, 8, 4, 3 | 1 << 16 | 1 << 17);
  put_little(file, 12, 8, sectors);
  put_little(file, 56, 8, ~std::uint64_t{0});
  put_little(file, 77, 2, 1);
  const auto align = [&] { file.resize((file.size() + sector - 1) / sector * sector); };
  base::Bytes table(4 * sector);
  for (std::size_t i = 0; i < disk.size() / grain; ++i) {
    const auto bytes = std::span(disk).subspan(i * grain, grain);
    if (std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{}; })) continue;
    put_little(table, 4 * i, 4, file.size() / sector);
    base::Bytes packed{std::byte{0x78}, std::byte{0x01}};
    std::uint32_t a = 1, b = 0;
    for (const auto byte : bytes) b = (b + (a = (a + std::to_integer<std::uint32_t>(byte)) % 65521)) % 65521;
    for (std::size_t at = 0; at < grain; at += grain / 2) {
      packed.push_back(static_cast<std::byte>(at != 0));
      base::append_int(packed, static_cast<std::uint16_t>(grain / 2));
      base::append_int(packed, static_cast<std::uint16_t>(~(grain / 2)));
      base::append(packed, bytes.subspan(at, grain / 2));
    }
    for (const auto sum : {b >> 8, b, a >> 8, a}) packed.push_back(static_cast<std::byte>(sum));
    base::append_int(file, std::uint64_t{i * grain / sector});
    base::append_int(file, static_cast<std::uint32_t>(packed.size()));
    base::append(file, packed);
    align();
  }
  const auto marker = [&](std::uint64_t length, std::uint32_t type) {
    base::append_int(file, length);
    base::append_int(file, std::uint32_t{0});
    base::append_int(file, type);
    align();
  };
  marker(4, 1);
  const auto table_at = file.size() / sector;
  base::append(file, table);
  marker(1, 2);
  const auto directory_at = file.size() / sector;
  base::append_int(file, static_cast<std::uint32_t>(table_at));
  align();
  marker(1, 3);
  auto footer = base::Bytes(file.begin(), file.begin() + sector);
  put_little(footer, 56, 8, directory_at);
  base::append(file, footer);
  file.resize(file.size() + sector);
  return file;
}

TEST(Imports, a_vmdk_whose_footer_says_where_its_tables_are_is_what_it_holds) {
  Fixture world;
  auto bytes = Fixture::pattern(1 << 20, 7);
  bytes.resize(4 << 20);
  bytes.back() = std::byte{1};
  const auto fd = world.file(vmdk_stream(bytes));
  const auto made = import_image(world.region(), world.alice, fd.get(), {.name = "stream", .format = Format::vmdk});
  EXPECT_EQ(world.read(world.volume(world.alice, made.snapshot_id), 0, bytes.size()), bytes);
}

TEST(Imports, files_that_are_not_what_they_say_are_refused_and_leave_nothing) {
  Fixture world;
  auto& region = world.region();
  const auto import = [&](int fd, Format format) {
    return refusal([&] { import_image(region, world.alice, fd, {.name = "evil", .format = format}); });
  };
  const auto good = made_of(world, Fixture::pattern(1 << 20, 1), "qcow2");
  EXPECT_TRUE(import(good.get(), Format::raw).starts_with("InvalidParameterValue: The file is refused"));
  EXPECT_TRUE(
      import(world.file(Fixture::pattern(1 << 20, 1)).get(), Format::qcow2).starts_with("InvalidParameterValue"));

  const auto backed = world.directory() / "backed.qcow2";
  const auto ended = base::run({.arguments = {"qemu-img", "create", "-f", "qcow2", "-F", "raw", "-b",
                                              (world.directory() / "disk.raw").string(), backed.string()}},
                               std::chrono::seconds(60));
  ASSERT_EQ(ended.exit_code, 0) << ended.output;
  const base::Fd with_backing(::open(backed.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(import(with_backing.get(), Format::qcow2).starts_with("InvalidParameterValue: The file is refused"));

  struct stat about {};
  ASSERT_EQ(::fstat(good.get(), &about), 0);
  ASSERT_EQ(::ftruncate(good.get(), about.st_size / 2), 0);
  EXPECT_TRUE(import(good.get(), Format::qcow2).starts_with("InvalidParameterValue"))
      << import(good.get(), Format::qcow2);

  EXPECT_TRUE(
      import(world.file(Fixture::pattern(1'000'000, 1)).get(), Format::raw).starts_with("InvalidParameterValue"));
  EXPECT_TRUE(import(world.file({}).get(), Format::raw).starts_with("InvalidParameterValue"));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_TRUE(import(ends[0], Format::raw).starts_with("InvalidParameterValue"));
  ::close(ends[0]);
  ::close(ends[1]);
  expect_nothing_left(world);
}

TEST(Imports, a_truncated_download_is_known_by_its_partition_table) {
  Fixture world;
  // The MBR of a disk with one partition from sector 2048 on, 8 MiB long.
  auto bytes = Fixture::pattern(4 << 20, 1);
  std::fill(bytes.begin(), bytes.begin() + 512, std::byte{});
  const std::uint8_t entry[] = {0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 64, 0, 0};
  std::memcpy(bytes.data() + 446, entry, sizeof entry);
  bytes[510] = std::byte{0x55};
  bytes[511] = std::byte{0xaa};
  EXPECT_EQ(partitioned_bytes(std::span(bytes).first(1024)), (2048U + 16384U) * 512);
  EXPECT_NE(refusal([&] { world.import_disk("short", bytes); }).find("truncated"), std::string::npos);
  expect_nothing_left(world);
  bytes.resize((2048 + 16384) * 512);
  world.import_disk("whole", bytes);
}

TEST(Imports, one_that_is_given_up_half_way_leaves_nothing) {
  Fixture world;
  const auto fd = world.file(Fixture::pattern(8 << 20, 1));
  EXPECT_TRUE(refusal([&] {
                import_image(world.region(), world.alice, fd.get(), {.name = "stopped"},
                             [](const auto&) { return false; });
              }).starts_with("OperationCanceled"));
  expect_nothing_left(world);
}

TEST(Imports, a_name_that_is_taken_is_refused_before_anything_is_read) {
  Fixture world;
  world.import_disk("taken", Fixture::pattern(1 << 20, 1));
  bool asked = false;
  const auto fd = world.file(Fixture::pattern(1 << 20, 2));
  EXPECT_TRUE(refusal([&] {
                import_image(world.region(), world.alice, fd.get(), {.name = "taken"},
                             [&](const auto&) { return asked = true; });
              }).starts_with("InvalidAMIName.Duplicate"));
  EXPECT_FALSE(asked);
}

TEST(Imports, what_a_dead_daemon_was_importing_is_collected_after_its_restart) {
  Fixture world;
  catalog::in_txn(world.region().catalog, [&](catalog::Txn& txn) {
    catalog::insert(txn, catalog::Session{.region = "us-east-1", .id = "s-1", .heartbeat = 1});
    catalog::insert(txn, catalog::Pack{.region = "us-east-1",
                                       .id = blocks::PackId::make().text(),
                                       .kind = "data",
                                       .state = "uploading",
                                       .session = "s-1"});
    return true;
  });
  world.restart();
  expect_nothing_left(world);
}

}  // namespace
}  // namespace kiln::control
