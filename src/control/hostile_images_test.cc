// Files that were made to harm whoever reads them, imported as a stranger would hand them in: refused with a reason,
// within 2 seconds and 256 MiB, by the inspector or by the converter in its sandbox.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "base/api_error.h"
#include "base/process.h"
#include "base/sandbox.h"
#include "catalog/blocks.h"
#include "control/region_fixture.h"
#include "images/samples_testing.h"

namespace kiln::control {
namespace {

using namespace images::testing;
using Fixture = RegionFixture;
using images::Format;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t most_memory = 256 * mib;
constexpr auto most_time = std::chrono::seconds(2);

struct Refusal {
  std::string why = "nothing";
  std::chrono::steady_clock::duration took{};
  std::uint64_t memory = 0;  // that we grew by at most, or a converter had at most
};

std::uint64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

Refusal refusal(Fixture& world, int fd, Format format) {
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak begins anew
  const auto before = status_bytes("VmRSS:");
  const auto began = std::chrono::steady_clock::now();
  Refusal refusal;
  try {
    import_image(world.region(), world.alice, fd, {.name = "evil", .format = format});
  } catch (const base::ApiError& error) {
    refusal.why = error.what();
  }
  refusal.took = std::chrono::steady_clock::now() - began;
  rusage children{};
  ::getrusage(RUSAGE_CHILDREN, &children);
  const auto peak = status_bytes("VmHWM:");
  refusal.memory = std::max(peak > before ? peak - before : 0, static_cast<std::uint64_t>(children.ru_maxrss) * 1024);
  return refusal;
}

struct Hostile {
  std::string name;
  Format format;
  Bytes file;
  std::string why;  // a part of the reason
};

Bytes changed(Bytes file, std::size_t offset, std::size_t length, std::uint64_t value) {
  put_big(file, offset, length, value);
  return file;
}

// 4 million entries of a first table, each naming the same second one.
Bytes endless_tables() {
  Bytes file = qcow2();
  constexpr std::uint64_t entries = 4 << 20;
  put_big(file, 36, 4, entries);
  put_big(file, 40, 8, file.size());
  const auto at = file.size();
  file.resize(at + entries * 8);
  for (std::size_t i = 0; i < entries; ++i) put_big(file, at + 8 * i, 8, 4 * 4096);
  return file;
}

std::vector<Hostile> hostiles() {
  const auto flat = vmdk_descriptor("monolithicSparse", "RW 2048 FLAT \"/etc/shadow\" 0");
  auto truncated = qcow2();
  truncated.pop_back();
  VhdParts vhd_parent;
  put_big(vhd_parent.footer, 60, 4, 4);
  VhdParts vhd_huge;
  put_big(vhd_huge.header, 28, 4, 0xffffffff);
  VhdxParts vhdx_parent;
  vhdx_parent.add_item(images::vhdx::parent_locator, 24, 8, 0);
  VhdxParts vhdx_huge;
  put_little(vhdx_huge.metadata, 65536 + 8, 8, ~std::uint64_t{0} - 511);
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a b='c'>";
  return {{"a backing file", Format::qcow2, changed(qcow2(), 8, 8, 512), "backing file"},
          {"a data file", Format::qcow2, changed(qcow2(), 72, 8, 4), "another file"},
          {"an unknown feature", Format::qcow2, changed(qcow2(), 72, 8, 32), "unknown incompatible feature 5"},
          {"version 1", Format::qcow2, changed(qcow2(), 4, 4, 1), "is a qcow1 image"},
          {"encryption", Format::qcow2, changed(qcow2(), 32, 4, 2), "encrypted"},
          {"an endless disk", Format::qcow2, changed(qcow2(), 24, 8, ~std::uint64_t{0} - 511), "are accepted"},
          {"an endless table", Format::qcow2, changed(qcow2(), 36, 4, 0xffffffff), "first table"},
          {"tables that are shared", Format::qcow2, endless_tables(), "the same second table"},
          {"a cut", Format::qcow2, truncated, "cut short"},
          {"qcow2 as raw", Format::raw, qcow2(), "is a qcow2 image"},
          {"VMDK as raw", Format::raw, vmdk(), "is a vmdk image"},
          {"a fixed VHD as raw", Format::raw, fixed_vhd(), "is a vhd image"},
          {"a descriptor", Format::vmdk, bytes_of(flat), "only a descriptor"},
          {"a path", Format::vmdk, vmdk(flat), "names a path"},
          {"a parent", Format::vmdk, vmdk(vmdk_descriptor() + "parentFileNameHint=\"/etc/shadow\"\n"), "a parent"},
          {"no grain that could be decoded", Format::vmdk, stream_vmdk(), "cannot be read"},
          {"a parent", Format::vhd, vhd_parent.file(), "a parent"},
          {"an endless table", Format::vhd, vhd_huge.file(), "cut short"},
          {"a parent", Format::vhdx, vhdx_parent.file(), "a parent"},
          {"an endless disk", Format::vhdx, vhdx_huge.file(), "are accepted"},
          {"a descriptor of elements in elements", Format::ova,
           tar({{"vm.ovf", bytes_of(deep)}, {"disk1.vmdk", stream_vmdk()}}), "no XML"},
          {"a path in an archive", Format::ova, tar({{"vm.ovf", bytes_of(ovf())}, {"../disk1.vmdk", vmdk()}}),
           "no plain file name"}};
}

TEST(HostileImages, each_is_refused_with_its_reason_quickly_and_cheaply) {
  Fixture world;
  for (const auto& hostile : hostiles()) {
    const auto name = std::string(to_string(hostile.format)) + ": " + hostile.name;
    const auto refused = refusal(world, world.file(hostile.file).get(), hostile.format);
    EXPECT_NE(refused.why.find(hostile.why), std::string::npos) << name << ": " << refused.why;
    EXPECT_LE(refused.took, most_time) << name;
    EXPECT_LE(refused.memory, most_memory) << name;
  }
  EXPECT_TRUE(describe_snapshots(world.region(), world.alice, {}).empty());
}

// The most that is looked at: second tables of almost 48 MiB, each of whose 6 million entries is right by itself, in a
// file that is nearly all holes; the very last one is the same as the one before.
TEST(HostileImages, the_largest_tables_that_are_read_cost_no_more) {
  Fixture world;
  constexpr std::uint64_t cluster = 65536, tables = 750, entries = cluster / 8, data = 1024 * cluster;
  auto head = qcow2();
  head.resize(4 * cluster);
  put_big(head, 20, 4, 16);
  put_big(head, 24, 8, tables * entries * cluster);
  put_big(head, 36, 4, tables);
  put_big(head, 40, 8, 3 * cluster);
  put_big(head, 48, 8, cluster);
  put_big(head, 56, 4, 1);
  std::fill(head.begin() + cluster, head.end(), std::byte{});
  for (std::uint64_t i = 0; i < tables; ++i) put_big(head, 3 * cluster + 8 * i, 8, (4 + i) * cluster);
  const auto fd = world.file(head);
  Bytes table(cluster);
  for (std::uint64_t i = 0; i < tables; ++i) {
    for (std::uint64_t j = 0; j < entries; ++j) {
      const bool last = i == tables - 1 && j == entries - 1;
      put_big(table, 8 * j, 8, data + (i * entries + j - (last ? 1 : 0)) * cluster);
    }
    ASSERT_EQ(::pwrite(fd.get(), table.data(), table.size(), static_cast<off_t>((4 + i) * cluster)),
              static_cast<ssize_t>(cluster));
  }
  ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(data + tables * entries * cluster)), 0);
  const auto refused = refusal(world, fd.get(), Format::qcow2);
  EXPECT_NE(refused.why.find("the same cluster"), std::string::npos) << refused.why;
  EXPECT_LE(refused.took, most_time) << std::chrono::duration<double>(refused.took).count();
  EXPECT_LE(refused.memory, most_memory);
}

// 512 MiB of one byte, compressed; written in pieces, as qemu-io keeps each in memory and children's are counted.
base::Path qcow2_bomb(Fixture& world) {
  const auto file = world.directory() / "bomb.qcow2";
  std::vector<std::string> write{"qemu-io", "-f", "qcow2"};
  for (int i = 0; i < 16; ++i) write.insert(write.end(), {"-c", fmt::format("write -c -P 85 {}M 32M", 32 * i)});
  write.push_back(file.string());
  for (const auto& arguments :
       {std::vector<std::string>{"qemu-img", "create", "-q", "-f", "qcow2", file.string(), "512M"}, write}) {
    const auto ended = base::run({.arguments = arguments}, std::chrono::seconds(120));
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
  }
  return file;
}

// The inspector sees how much the clusters of a bomb are. One in a file that holes make long is for the converter's
// limits, which count what is really there.
TEST(HostileImages, a_bomb_is_defused_before_or_while_it_is_converted) {
  Fixture world;
  const auto file = qcow2_bomb(world);
  const base::Fd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  const auto bomb = refusal(world, fd.get(), Format::qcow2);
  EXPECT_NE(bomb.why.find("taken for an attack"), std::string::npos) << bomb.why;
  EXPECT_LE(bomb.took, most_time);
  ASSERT_EQ(::ftruncate(fd.get(), std::int64_t{1} << 30), 0);
  const auto long_bomb = refusal(world, fd.get(), Format::qcow2);
  EXPECT_NE(long_bomb.why.find("becomes more than"), std::string::npos) << long_bomb.why;
  EXPECT_LE(long_bomb.took, most_time);
  EXPECT_LE(long_bomb.memory, most_memory);
}

// Should the inspector ever let a name through, there is nothing by that name where the converter is.
TEST(HostileImages, a_converter_that_follows_a_name_finds_nothing) {
  Fixture world;
  const auto file = world.directory() / "backed.qcow2";
  const auto made = base::run(
      {.arguments = {"qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", file.string()}},
      std::chrono::seconds(60));
  ASSERT_EQ(made.exit_code, 0) << made.output;
  ASSERT_EQ(::chmod(file.c_str(), 0444), 0);
  const base::Fd backed(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  const auto out = world.file(Bytes(4096));
  ASSERT_EQ(::fchmod(out.get(), 0666), 0);
  const auto ended = base::run_sandboxed({.program = "/usr/bin/qemu-img",
                                          .arguments = {"convert", "-n", "-f", "qcow2", "-O", "raw", "/image", "/out"},
                                          .files = {{backed.get(), "image"}, {out.get(), "out"}},
                                          .file_bytes = mib});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_NE(ended.output.find("Could not open '/etc/passwd'"), std::string::npos) << ended.output;
}

}  // namespace
}  // namespace kiln::control
