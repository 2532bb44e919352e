// The files of tests/golden/volume were written once and are read for ever: VOLUME and map logs of format 1. And the
// fuzz targets of the decoders, run over damaged golden files: the same damage every time.

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "blocks/control_protocol.h"
#include "blocks/map_log.h"
#include "blocks/volume_file.h"
#include "blocks/volume_testing.h"

extern "C" {
int fuzz_blocks_volume_file(const std::uint8_t* data, std::size_t size);
int fuzz_blocks_map_log(const std::uint8_t* data, std::size_t size);
int fuzz_blocks_control_line(const std::uint8_t* data, std::size_t size);
}

namespace kiln::blocks {
namespace {

using base::Bytes;

const base::Path golden = base::Path(KILN_SOURCE_DIR) / "tests" / "golden" / "volume";
const MapLogName log_name{.volume = "vol-0123456789abcdef0", .generation = 1};
constexpr std::uint64_t size_bytes = 64 << 20;

VolumeFile golden_volume() {
  VolumeFile volume;
  volume.volume = "vol-0123456789abcdef0";
  volume.size_bytes = size_bytes;
  volume.base = {.root = base::sha256("base"), .size_bytes = 8 << 20};
  volume.epoch = 7;
  auto sealed = Generation::entry(1, GenerationState::sealed);
  sealed.snapshot = "snap-0123456789abcdef0";
  sealed.size_bytes = 32 << 20;
  volume.generations = {sealed, Generation::entry(3, GenerationState::merged),
                        Generation::entry(4, GenerationState::current), Generation::entry(5, GenerationState::next)};
  return volume;
}

// Written with a boot id of "boot-1": data 8..9 and zero 100..199 are committed, data 10 is not.
std::string written_log() {
  base::FaultyFiles files;
  EXPECT_TRUE(MapLog::create(files, "/log", log_name, "boot-1").ok());
  auto file = *files.open("/log", base::Open::read_write);
  const auto read = [&](std::uint64_t offset, std::span<std::byte> out) { return file->read_at(offset, out); };
  const auto replay = replay_map_log(read, log_name, size_bytes, "boot-1", Replay::as_boot_allows);
  MapLog log(std::move(file), *replay);
  EXPECT_TRUE(log.append(MapRecordType::data, 8, 2).ok());
  EXPECT_TRUE(log.append(MapRecordType::zero, 100, 100).ok());
  EXPECT_TRUE(log.append(MapRecordType::commit, 3, 0).ok());
  EXPECT_TRUE(log.append(MapRecordType::data, 10, 1).ok());
  return *files.read_all("/log");
}

// With KILN_WRITE_GOLDEN set a missing file is written, which is how they were made.
std::string golden_file(const std::string& name, std::string_view content) {
  if (std::getenv("KILN_WRITE_GOLDEN") != nullptr && !std::filesystem::exists(golden / name)) {
    std::ofstream(golden / name, std::ios::binary) << content;
  }
  const auto found = base::posix_files().read_all(golden / name);
  EXPECT_TRUE(found.ok()) << name;
  return found ? *found : "";
}

MapReplay replay(std::string_view content, std::string_view boot_id, Replay how) {
  const auto read = [&](std::uint64_t offset, std::span<std::byte> out) -> base::Result<std::size_t> {
    const auto part = content.substr(std::min<std::size_t>(offset, content.size()), out.size());
    std::copy_n(base::as_bytes(part).begin(), part.size(), out.begin());
    return part.size();
  };
  auto result = replay_map_log(read, log_name, size_bytes, boot_id, how);
  EXPECT_TRUE(result.ok()) << result.error().message();
  return std::move(*result);
}

TEST(VolumeFormat, the_golden_volume_file_is_read_and_written_as_it_is) {
  const auto wanted = encode(golden_volume());
  const auto found = golden_file("VOLUME", base::as_text(wanted));
  EXPECT_EQ(found, base::as_text(wanted));
  const auto decoded = decode_volume_file(base::as_bytes(found));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(*decoded, golden_volume());
}

TEST(VolumeFormat, an_encrypted_volume_names_its_domains) {
  auto volume = golden_volume();
  volume.domain.bytes.fill(std::byte{0xd0});
  volume.base_domain.bytes.fill(std::byte{0xb0});
  const auto wanted = encode(volume);
  const auto found = golden_file("VOLUME-encrypted", base::as_text(wanted));
  EXPECT_EQ(found, base::as_text(wanted));
  const auto decoded = decode_volume_file(base::as_bytes(found));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, volume);
  volume.domain = {};
  EXPECT_FALSE(volume.valid()) << "a plain volume on an encrypted disk";
}

TEST(VolumeFormat, the_golden_log_says_what_it_said) {
  const auto found = golden_file("gen-1.map", written_log());
  EXPECT_EQ(found, written_log());
  for (const auto& [boot_id, uncommitted] : {std::pair("boot-1", true), std::pair("boot-2", false)}) {
    const auto said = replay(found, boot_id, Replay::as_boot_allows);
    EXPECT_EQ(said.map.state(9), UnitState::data);
    EXPECT_EQ(said.map.state(199), UnitState::zero);
    EXPECT_EQ(said.map.state(200), UnitState::absent);
    EXPECT_EQ(said.map.state(10), uncommitted ? UnitState::data : UnitState::absent) << boot_id;
  }
}

TEST(VolumeFormat, a_newer_version_is_refused_by_name) {
  auto volume = encode(golden_volume());
  volume[8] = std::byte{2};
  EXPECT_EQ(decode_volume_file(volume).error().fault(), base::Fault::unsupported);
  EXPECT_NE(decode_volume_file(volume).error().message().find("version 2"), std::string::npos);
  volume[8] = std::byte{1};
  volume[12] = std::byte{1};
  EXPECT_EQ(decode_volume_file(volume).error().fault(), base::Fault::unsupported) << "an unknown feature";
}

TEST(VolumeFormat, a_log_ends_at_its_first_bad_record_wherever_that_is) {
  const auto whole = written_log();
  for (std::size_t at = map_record_bytes; at < whole.size(); ++at) {
    auto bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_EQ(replay(bad, "boot-1", Replay::as_boot_allows).good_bytes, at / map_record_bytes * map_record_bytes);
  }
}

void run(int (*target)(const std::uint8_t*, std::size_t), const std::string& good, int rounds) {
  std::mt19937_64 random(20260101);
  target(nullptr, 0);
  for (int i = 0; i < rounds; ++i) {
    std::vector<std::uint8_t> bad(good.begin(), good.end());
    for (auto count = random() % 4 + (i > 0 ? 1 : 0); count > 0 && !bad.empty(); --count) {
      const auto place = bad.begin() + static_cast<std::ptrdiff_t>(random() % bad.size());
      switch (random() % 5) {
        case 0: *place ^= static_cast<std::uint8_t>(1 << random() % 8); break;
        case 1: *place = random() % 2 == 0 ? 0 : 0xff; break;
        case 2: bad.erase(place, place + static_cast<std::ptrdiff_t>(random() % (bad.end() - place + 1) % 40)); break;
        case 3: bad.insert(place, random() % 40, static_cast<std::uint8_t>(random())); break;
        default: bad.resize(random() % (bad.size() + 1)); break;
      }
    }
    target(bad.data(), bad.size());
  }
}

TEST(VolumeFormat, damaged_input_is_refused_and_nothing_else_happens) {
  run(fuzz_blocks_volume_file, std::string(base::as_text(encode(golden_volume()))), 5000);
  run(fuzz_blocks_map_log, written_log(), 1000);
  run(fuzz_blocks_control_line, control::rebase({"vol-1", 1, {}}), 5000);
  run(fuzz_blocks_control_line, control::seal({{"vol-1", "snap-1"}, {"vol-2", "snap-1"}}), 5000);
}

}  // namespace
}  // namespace kiln::blocks
