// Every golden file of tests/golden is told in words, and so is what is wrong with a damaged one.
#include "cli/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/bytes.h"
#include "base/ids.h"
#include "blocks/ingest.h"
#include "blocks/store.h"
#include "blocks/volume.h"

namespace kiln::cli {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const fs::path golden = fs::path(KILN_SOURCE_DIR) / "tests/golden";

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

// What the program says of path, whether it can tell anything of it or not.
std::string said_of(const fs::path& path) {
  try {
    const auto found = describe_file(path);
    auto said = found.text;
    for (const auto& damage : found.damage) said += "damaged: " + damage + "\n";
    return said;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr(path.parent_path().filename().string())) << "an error names the file";
    return std::string("refused: ") + error.what();
  }
}

struct Inspect : testing::Test {
  fs::path directory = fs::temp_directory_path() / ("kiln-inspect-" + base::random_hex(6));
  void SetUp() override { fs::create_directories(directory); }
  void TearDown() override { fs::remove_all(directory); }
};

TEST_F(Inspect, every_golden_file_is_described_and_those_of_an_old_version_are_refused_by_name) {
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    if (!entry.is_regular_file()) continue;
    files += 1;
    const auto said = said_of(entry.path());
    SCOPED_TRACE(entry.path().string() + "\n" + said);
    if (entry.path().parent_path().filename() == "blocks-1") {
      EXPECT_THAT(said, AllOf(HasSubstr("refused"), HasSubstr("pack format 1; this program reads format 2")));
    } else if (entry.path().extension() == ".head") {
      EXPECT_THAT(said, AllOf(HasSubstr("slot         of chunk "), HasSubstr("damaged: it has 0 bytes of data")));
    } else {
      EXPECT_THAT(said, AllOf(Not(HasSubstr("refused")), Not(HasSubstr("damaged"))));
    }
  }
  EXPECT_GE(files, 11);
  EXPECT_THAT(
      said_of(golden / "archive/snap-encrypted.archive"),
      AllOf(HasSubstr("archive      of snap-1"), HasSubstr("20 in 21 places, in 2 frames (their checksums only")));
  EXPECT_THAT(
      said_of(golden / "volume/VOLUME"),
      AllOf(HasSubstr("vol-0123456789abcdef0"), HasSubstr("cut of snap-0123456789abcdef0"), HasSubstr("64.0 MiB")));
  EXPECT_THAT(said_of(golden / "keys/1234abcd-12ab-34cd-56ef-1234567890ab.key"),
              AllOf(HasSubstr("1234abcd-12ab-34cd-56ef-1234567890ab"), HasSubstr("opens        with the root key")));
  EXPECT_THAT(said_of(golden / "volume/gen-1.map"),
              AllOf(HasSubstr("2 units of 4 KiB"), HasSubstr("zero         100 units")));
  EXPECT_THAT(said_of(golden / "blocks/01890a5d-ac97-7000-8000-000000000001.pack"), HasSubstr("level 3, 2 entries"));
  EXPECT_THAT(said_of(golden / "blocks/01890a5d-ac96-774b-bcce-b302099a8057.pack"), HasSubstr("refers to "));
}

TEST_F(Inspect, whatever_is_damaged_is_said_to_be_and_nothing_crashes) {
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    if (!entry.is_regular_file() || entry.path().parent_path().filename() == "blocks-1") continue;
    fs::create_directories(directory / "copy");
    fs::copy_file(golden / "volume/VOLUME", directory / "copy/VOLUME", fs::copy_options::overwrite_existing);
    const auto copy = directory / "copy" / entry.path().filename();
    const auto good = text_of(entry.path());
    write(copy, good);
    const auto said_of_good = said_of(copy);
    const auto step = std::max<std::size_t>(1, good.size() / 80);
    for (std::size_t at = 0; at < good.size(); at += step) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x40);
      write(copy, bad);
      const auto said = said_of(copy);
      write(copy, good.substr(0, at));
      const auto said_of_short = said_of(copy);
      EXPECT_NE(said_of_short, said_of_good) << entry.path() << " cut at " << at;
      // A slot's mark of use and its padding are covered by no checksum.
      if (entry.path().extension() == ".head" && (at == 12 || (at > 12 && at < 16) || at >= 1080)) continue;
      EXPECT_NE(said, said_of_good) << entry.path() << " flipped at " << at;
    }
    write(copy, good);
  }
}

// A store and a volume as the daemon makes them.
TEST_F(Inspect, the_index_a_generation_a_slot_and_a_list_of_open_volumes_are_described) {
  auto& files = base::posix_files();
  fs::create_directories(directory / "store");
  const base::Bytes chunk(blocks::chunk_bytes, std::byte{7});
  {
    auto store = blocks::Store::open({.files = files,
                                      .directory = directory / "store",
                                      .access = blocks::Access::write,
                                      .slots = blocks::SlotCacheOptions{.directory = directory / "cache"}});
    ASSERT_TRUE(store.ok()) << store.error().message();
    blocks::Ingest ingest(**store, {.session = "test"});
    ASSERT_TRUE(ingest.put(0, chunk).ok());
    const auto made = ingest.finish(4 << 20);
    ASSERT_TRUE(made.ok());
    base::Bytes read(4096);
    ASSERT_TRUE((*store)->read_chunk(base::sha256(chunk), 0, read).ok());
    ASSERT_TRUE(blocks::Volume::create(files, directory / "vol-1",
                                       {.volume = "vol-1", .size_bytes = 4 << 20, .base = made->disk, .epoch = 1})
                    .ok());
    auto volume = blocks::Volume::open(files, directory / "vol-1", **store, {.epoch = 1});
    ASSERT_TRUE(volume.ok());
    ASSERT_TRUE((*volume)->write(1 << 20, base::Bytes(8192, std::byte{1}), blocks::Fua::yes).ok());
    ASSERT_TRUE((*volume)->close().ok());
  }
  const auto index = said_of(directory / "store/index/CURRENT");
  EXPECT_THAT(index, AllOf(HasSubstr("chunk index  gen-"), HasSubstr("packs        2"), HasSubstr(" nodes epoch")));
  EXPECT_EQ(said_of(directory / "store/index"), index);
  EXPECT_THAT(said_of(directory / "vol-1"), HasSubstr("generation   1 current"));
  EXPECT_THAT(said_of(directory / "vol-1/gen-1.data"),
              AllOf(HasSubstr("generation   1 of vol-1, current"), HasSubstr("2 units of 4 KiB (8.0 KiB)")));
  fs::resize_file(directory / "vol-1/gen-1.data", 1 << 20);
  EXPECT_THAT(said_of(directory / "vol-1/gen-1.data"), HasSubstr("damaged: it ends at byte 1048576"));
  write(directory / "store/index/CURRENT", "kiln-index 1 gen-0123456789abcdef\n");
  EXPECT_THAT(said_of(directory / "store/index/CURRENT"), AllOf(HasSubstr("refused"), HasSubstr("kiln-index 1")));

  int slots = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory / "cache")) {
    if (!entry.is_regular_file() || entry.file_size() < blocks::slot_file_bytes) continue;
    slots += 1;
    EXPECT_THAT(said_of(entry.path()), AllOf(HasSubstr(base::sha256(chunk).hex()), HasSubstr("0 of them damaged")));
    auto bad = text_of(entry.path());
    bad[blocks::slot_head_bytes + 5 * 4096] ^= 1;
    write(entry.path(), bad);
    EXPECT_THAT(said_of(entry.path()), HasSubstr("damaged: unit 5 at byte 24576"));
  }
  EXPECT_EQ(slots, 1);
  write(directory / "open", "kiln-open-volumes 1\nvol-0123456789abcdef0 3\nend\n");
  EXPECT_THAT(said_of(directory / "open"), HasSubstr("vol-0123456789abcdef0 at epoch 3"));
  write(directory / "open", "kiln-open-volumes 1\nvol-0123456789abcdef0 3\n");
  EXPECT_THAT(said_of(directory / "open"), HasSubstr("damaged"));
  write(directory / "other", "hello");
  EXPECT_THAT(said_of(directory / "other"), HasSubstr("not a file of ours"));
  EXPECT_THAT(said_of(directory), HasSubstr("a directory, of neither"));
}

}  // namespace
}  // namespace kiln::cli
