#include "blocks/volume.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "blocks/sealed_generation.h"
#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using base::FaultyFiles;

constexpr std::uint64_t mib = 1 << 20;

struct VolumeTest : ::testing::Test {
  FaultyFiles files{seed_or(1)};
  MemoryDisks disks;
  const base::Path root = durable_directory(files);
  const std::string id = "vol-0123456789abcdef0";
  const base::Path directory = root / id;
  std::unique_ptr<Volume> volume;

  void create(std::uint64_t size_bytes, const DiskId& base = {}) {
    const auto created =
        Volume::create(files, directory, {.volume = id, .size_bytes = size_bytes, .base = base, .epoch = 1});
    ASSERT_TRUE(created.ok()) << text_of(created);
  }
  void open() {
    volume.reset();
    auto opened = Volume::open(files, directory, disks, {.epoch = 1});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    volume = std::move(*opened);
  }
  void restart(FaultyFiles::Crash crash) {
    volume.reset();
    files.restart(crash);
    open();
  }
  std::vector<std::uint64_t> sectors(std::uint64_t first, std::uint64_t count) {
    Bytes out(count * sector_bytes);
    const auto read = volume->read(first * sector_bytes, out);
    EXPECT_TRUE(read.ok()) << text_of(read);
    return stamps_of(out);
  }
  base::Status write(std::uint64_t first, std::uint64_t stamp, std::uint64_t count = 1, Fua fua = Fua::no) {
    return volume->write(first * sector_bytes, stamped(stamp, count), fua);
  }
  base::Result<std::vector<SealedVolume>> seal(const std::string& snapshot) {
    const Volume::Cut cut{volume.get(), snapshot};
    return Volume::seal({&cut, 1});
  }
  using Stamps = std::vector<std::uint64_t>;
};

TEST_F(VolumeTest, reads_its_base_and_zeros_behind_it) {
  create(2 * mib, disks.add(stamped(7, mib / sector_bytes + 3)));
  open();
  EXPECT_EQ(sectors(mib / sector_bytes, 5), (Stamps{7, 7, 7, 0, 0}));
}

TEST_F(VolumeTest, a_write_of_a_part_of_a_unit_keeps_the_rest_of_it) {
  create(mib, disks.add(stamped(7, mib / sector_bytes)));
  open();
  ASSERT_TRUE(write(3, 1));
  EXPECT_EQ(sectors(0, 9), (Stamps{7, 7, 7, 1, 7, 7, 7, 7, 7}));
  ASSERT_TRUE(write(7, 2, 2));
  EXPECT_EQ(sectors(6, 4), (Stamps{7, 2, 2, 7}));
}

TEST_F(VolumeTest, trimmed_units_read_as_zeros_and_never_as_the_base_again) {
  create(mib, disks.add(stamped(7, mib / sector_bytes)));
  open();
  ASSERT_TRUE(volume->trim({4096 + 512, 3 * 4096}, Fua::no));
  EXPECT_EQ(sectors(8, 8), Stamps(8, 7)) << "the ragged edge stays";
  EXPECT_EQ(sectors(16, 16), Stamps(16, 0));
  ASSERT_TRUE(write(17, 1));
  EXPECT_EQ(sectors(16, 8), (Stamps{0, 1, 0, 0, 0, 0, 0, 0})) << "filled with zeros, not from the base";
  ASSERT_TRUE(volume->flush());
  restart(FaultyFiles::Crash::power);
  EXPECT_EQ(sectors(16, 8), (Stamps{0, 1, 0, 0, 0, 0, 0, 0}));
}

TEST_F(VolumeTest, zeroing_reaches_the_ragged_edges_too) {
  create(mib, disks.add(stamped(7, mib / sector_bytes)));
  open();
  ASSERT_TRUE(volume->zero({512, 3 * 4096}, Fua::no));
  EXPECT_EQ(sectors(0, 1), Stamps{7});
  EXPECT_EQ(sectors(1, 24), Stamps(24, 0));
  EXPECT_EQ(sectors(25, 3), Stamps(3, 7));
  ASSERT_TRUE(volume->zero({40 * sector_bytes + 512, 512}, Fua::no));
  EXPECT_EQ(sectors(40, 3), (Stamps{7, 0, 7}));
}

TEST_F(VolumeTest, works_at_the_largest_size_without_memory_to_match) {
  create(max_disk_bytes);
  open();
  const auto last = max_disk_bytes / sector_bytes - 1;
  ASSERT_TRUE(write(last, 5, 1, Fua::yes));
  ASSERT_TRUE(volume->trim({0, (std::uint64_t{1} << 32) - 4096}, Fua::no));
  EXPECT_EQ(sectors(last - 1, 2), (Stamps{0, 5}));
  EXPECT_EQ(volume->write(max_disk_bytes, stamped(1, 1), Fua::no).error().fault(), Fault::invalid);
}

TEST_F(VolumeTest, a_flush_costs_one_sync_unless_units_were_touched_first) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8));
  auto before = files.syncs();
  ASSERT_TRUE(volume->flush());
  EXPECT_EQ(files.syncs() - before, 2U);
  ASSERT_TRUE(write(0, 2, 8));
  before = files.syncs();
  ASSERT_TRUE(volume->flush());
  EXPECT_EQ(files.syncs() - before, 1U);
}

TEST_F(VolumeTest, extents_are_clamped_and_tell_zeros_from_data) {
  Stamps stamps(2 * mib / sector_bytes);
  std::fill(stamps.begin() + mib / sector_bytes, stamps.end(), 3);
  create(4 * mib, disks.add(content_of(stamps)));
  open();
  ASSERT_TRUE(write(0, 1, 8));
  ASSERT_TRUE(volume->trim({mib, 8192}, Fua::no));
  const auto found = volume->extents({512, max_disk_bytes});
  ASSERT_TRUE(found.ok());
  std::string text;
  for (const auto& extent : *found) {
    text += std::to_string(extent.offset) + "+" + std::to_string(extent.length) + (extent.zero ? "z " : "d ");
  }
  EXPECT_EQ(text, "512+3584d 4096+1052672z 1056768+1040384d 2097152+2097152z ");
}

TEST_F(VolumeTest, knows_the_chunks_that_were_touched_whatever_cut_they_are_in) {
  create(64 * mib, disks.add(Bytes(16 * mib, std::byte{1})));
  open();
  EXPECT_TRUE(volume->touched_chunks().empty());
  ASSERT_TRUE(write(9 * mib / sector_bytes, 1));
  ASSERT_TRUE(seal("snap-1"));
  ASSERT_TRUE(write(0, 2));
  ASSERT_TRUE(volume->zero({3 * mib, 2 * chunk_bytes}, Fua::yes));
  EXPECT_EQ(volume->touched_chunks(), (std::vector<std::uint64_t>{0, 6, 7, 18}));
  restart(FaultyFiles::Crash::process);
  EXPECT_EQ(volume->touched_chunks(), (std::vector<std::uint64_t>{0, 6, 7, 18}));
}

TEST_F(VolumeTest, overlapping_writes_do_not_mix_inside_a_unit) {
  create(mib);
  open();
  std::vector<std::thread> writers;
  for (std::uint64_t w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      std::mt19937_64 random(w);
      for (int i = 0; i < 300; ++i) {
        const auto sector = random() % 60 * 4 + w;  // each its own sectors of shared units
        EXPECT_TRUE(write(sector, 1000 + w));
        EXPECT_TRUE(i % 50 != 0 || volume->flush().ok());
      }
    });
  }
  for (auto& writer : writers) writer.join();
  const auto found = sectors(0, 240);
  for (std::uint64_t i = 0; i < 240; ++i)
    EXPECT_TRUE(found[i] == 0 || found[i] == 1000 + i % 4) << i << " " << found[i];
  restart(FaultyFiles::Crash::process);
  EXPECT_EQ(sectors(0, 240), found);
}

TEST_F(VolumeTest, cuts_of_two_volumes_under_writes_agree_on_one_point_in_time) {
  create(mib);
  open();
  const std::string other_id = "vol-0123456789abcdef1";
  ASSERT_TRUE(Volume::create(files, root / other_id, {.volume = other_id, .size_bytes = mib, .base = {}, .epoch = 1}));
  auto opened = Volume::open(files, root / other_id, disks, {.epoch = 1});
  ASSERT_TRUE(opened.ok());
  auto& other = **opened;
  // Stamp k goes to A and, when that is acknowledged, to B; so no cut may have k on B without k on A.
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> last = 0;
  std::thread writer([&] {
    for (std::uint64_t k = 1; !stop; ++k) {
      EXPECT_TRUE(write(k % 64, k));
      EXPECT_TRUE(other.write(k % 64 * sector_bytes, stamped(k, 1), Fua::no));
      last = k;
    }
  });
  for (int i = 0; i < 12; ++i) {
    const auto reached = last + 20;
    while (last < reached) std::this_thread::yield();
    const auto snapshot = "snap-" + std::to_string(i);
    const std::vector<Volume::Cut> cuts{{&other, snapshot}, {volume.get(), snapshot}};
    const auto sealed = Volume::seal(cuts);
    ASSERT_TRUE(sealed.ok()) << sealed.error().message();
    std::map<std::string, std::uint64_t> newest;
    for (auto* one : {volume.get(), &other}) {
      ASSERT_TRUE(one->sealed(snapshot).ok());
      const auto cut = SealedGeneration::open(files, root / one->name(), snapshot);
      ASSERT_TRUE(cut.ok());
      const auto chunk = cut->compose(0, nullptr);
      ASSERT_TRUE(chunk.ok());
      for (const auto stamp : stamps_of(std::span(*chunk).first(64 * sector_bytes))) {
        newest[one->name()] = std::max(newest[one->name()], stamp);
      }
      ASSERT_TRUE(one->unseal(snapshot).ok());
    }
    EXPECT_LE(newest[other_id], newest[id]) << "B is ahead of A";
    EXPECT_LE(newest[id], newest[other_id] + 1) << "A is ahead of what was in flight";
  }
  stop = true;
  writer.join();
}

TEST_F(VolumeTest, a_cut_is_found_again_and_its_chunks_are_the_disk_at_that_time) {
  create(2 * mib, disks.add(stamped(7, 2 * mib / sector_bytes)));
  open();
  ASSERT_TRUE(write(5, 1));
  const auto first = seal("snap-1");
  ASSERT_TRUE(first.ok()) << first.error().message();
  ASSERT_TRUE(write(5, 2));
  EXPECT_EQ(seal("snap-1")->front().generation, first->front().generation);
  ASSERT_TRUE(volume->sealed("snap-1"));
  EXPECT_EQ(volume->sealed("snap-2").error().fault(), Fault::not_found);
  open();
  EXPECT_EQ(seal("snap-1")->front().generation, first->front().generation);
  const auto cut = SealedGeneration::open(files, directory, "snap-1");
  ASSERT_TRUE(cut.ok());
  EXPECT_EQ(cut->touched_chunks(), std::vector<std::uint64_t>{0});
  EXPECT_TRUE(cut->needs_parent(0));
  const auto chunk = cut->compose(0, *disks.chunk(*disks.chunk_id(volume->base(), 0)));
  ASSERT_TRUE(chunk.ok());
  EXPECT_EQ(stamps_of(std::span(*chunk).first(8 * sector_bytes)), (Stamps{7, 7, 7, 7, 7, 1, 7, 7}));
  EXPECT_EQ(*waiting_cuts(files, directory), std::vector<std::string>{"snap-1"});
}

TEST_F(VolumeTest, no_more_cuts_wait_than_reads_can_look_through) {
  create(mib);
  open();
  for (std::size_t i = 0; i < max_pending_cuts; ++i) {
    ASSERT_TRUE(write(i, i + 1));
    ASSERT_TRUE(seal("snap-" + std::to_string(i)).ok());
  }
  EXPECT_EQ(seal("snap-x").error().fault(), Fault::busy);
  EXPECT_EQ(sectors(0, 6), (Stamps{1, 2, 3, 4, 5, 0}));
}

TEST_F(VolumeTest, rebase_drops_the_files_and_refuses_what_is_not_the_cut) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8));
  const auto generation = seal("snap-1")->front().generation;
  const auto whole = [&] {
    Stamps stamps(mib / sector_bytes);
    std::fill_n(stamps.begin(), 8, 1);
    return disks.add(content_of(stamps));
  }();
  EXPECT_EQ(volume->rebase(generation, {whole.root, mib / 2}).error().fault(), Fault::invalid);
  EXPECT_EQ(volume->rebase(generation, {base::sha256("no such disk"), mib}).error().fault(), Fault::not_found);
  EXPECT_EQ(volume->rebase(generation + 1, whole).error().fault(), Fault::invalid) << "it takes the writes";
  ASSERT_TRUE(volume->rebase(generation, whole));
  ASSERT_TRUE(volume->rebase(generation, whole)) << "asked again";
  EXPECT_EQ(*files.list(directory), (std::vector<std::string>{"LOCK", "VOLUME", "gen-2.data", "gen-2.map"}));
  EXPECT_EQ(sectors(0, 9), (Stamps{1, 1, 1, 1, 1, 1, 1, 1, 0}));
}

TEST_F(VolumeTest, grows_and_keeps_its_size_and_a_cut_keeps_the_size_of_its_time) {
  create(mib);
  open();
  ASSERT_TRUE(seal("snap-1").ok());
  ASSERT_TRUE(volume->grow(2 * mib));
  ASSERT_TRUE(volume->grow(2 * mib)) << "asked again";
  EXPECT_EQ(volume->grow(mib).error().fault(), Fault::invalid);
  ASSERT_TRUE(write(2 * mib / sector_bytes - 1, 4, 1, Fua::yes));
  restart(FaultyFiles::Crash::power);
  EXPECT_EQ(volume->size_bytes(), 2 * mib);
  EXPECT_EQ(sectors(2 * mib / sector_bytes - 2, 2), (Stamps{0, 4}));
  EXPECT_EQ(SealedGeneration::open(files, directory, "snap-1")->size_bytes(), mib);
}

TEST_F(VolumeTest, a_failed_sync_fails_the_volume_for_writes_but_not_for_reads) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8));
  files.fail_syncs("gen-1.data");
  EXPECT_EQ(volume->flush().error().fault(), Fault::failed);
  files.repair_syncs();
  EXPECT_EQ(volume->flush().error().fault(), Fault::failed) << "a later sync proves nothing about the lost pages";
  EXPECT_EQ(write(0, 2).error().fault(), Fault::failed);
  EXPECT_EQ(sectors(0, 1), Stamps{1});
  EXPECT_TRUE(volume->stats().failed);
  EXPECT_FALSE(seal("snap-1").ok());
}

TEST_F(VolumeTest, a_failed_volume_is_still_failed_in_the_next_process_until_somebody_opens_it_as_mended) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8, Fua::yes));
  ASSERT_TRUE(write(64, 2, 8));
  files.fail_syncs("gen-1.data");
  EXPECT_FALSE(volume->flush().ok());
  files.repair_syncs();
  const auto reopen = [&](bool mended) {
    volume.reset();
    files.restart(FaultyFiles::Crash::process);
    auto opened = Volume::open(files, directory, disks, {.epoch = 1, .mended = mended});
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    volume = std::move(*opened);
  };
  for (int i = 0; i < 2; ++i) {
    if (i == 1) {
      ASSERT_TRUE(volume->close().ok()) << "which commits nothing";
    }
    reopen(false);
    EXPECT_EQ(write(0, 3).error().fault(), Fault::failed);
    EXPECT_EQ(volume->flush().error().fault(), Fault::failed) << "the guest would believe that its writes are there";
    EXPECT_NE(volume->stats().failure.find("gen-1.data"), std::string::npos) << volume->stats().failure;
    EXPECT_EQ(sectors(0, 8), Stamps(8, 1));
    EXPECT_EQ(sectors(64, 8), Stamps(8, 0)) << "no flush covered it";
  }
  reopen(true);
  EXPECT_FALSE(volume->stats().failed);
  EXPECT_TRUE(write(64, 4, 8, Fua::yes).ok());
  reopen(false);
  EXPECT_TRUE(write(72, 5, 8, Fua::yes).ok()) << "the mark is gone";
  EXPECT_EQ(sectors(64, 8), Stamps(8, 4));
}

TEST_F(VolumeTest, a_volume_that_failed_in_another_boot_recovers_as_after_any_power_cut) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8, Fua::yes));
  files.fail_syncs("gen-1.data");
  ASSERT_TRUE(write(64, 2, 8));
  EXPECT_FALSE(volume->flush().ok());
  files.repair_syncs();
  ASSERT_TRUE(files.sync_directory(directory).ok());  // the mark outlives the power cut
  volume.reset();
  files.restart(FaultyFiles::Crash::power);
  auto opened = Volume::open(files, directory, disks, {.epoch = 1, .mended = false});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  volume = std::move(*opened);
  EXPECT_TRUE(write(0, 3, 8, Fua::yes).ok());
  EXPECT_EQ(sectors(64, 8), Stamps(8, 0));
}

TEST_F(VolumeTest, a_failed_sync_during_a_cut_makes_no_cut) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8, Fua::yes));
  ASSERT_TRUE(seal("snap-1").ok());
  files.fail_syncs("gen-1.map");
  EXPECT_FALSE(volume->sealed("snap-1").ok());
  restart(FaultyFiles::Crash::power);
  EXPECT_EQ(volume->sealed("snap-1").error().fault(), Fault::not_found);
  EXPECT_EQ(sectors(0, 1), Stamps{1});
}

TEST_F(VolumeTest, a_full_disk_refuses_writes_and_goes_on_when_there_is_space) {
  create(mib);
  open();
  ASSERT_TRUE(write(0, 1, 8, Fua::yes));
  files.set_capacity(files.used_bytes());
  EXPECT_EQ(write(64, 2, 8).error().fault(), Fault::no_space);
  EXPECT_EQ(sectors(64, 8), Stamps(8, 0)) << "the refused write left nothing";
  EXPECT_EQ(seal("snap-1").error().fault(), Fault::no_space);
  ASSERT_TRUE(write(0, 3, 8)) << "what has its space can be written";
  ASSERT_TRUE(volume->flush());
  files.set_capacity(0);
  ASSERT_TRUE(write(64, 4, 8, Fua::yes));
  ASSERT_TRUE(seal("snap-1").ok());
  restart(FaultyFiles::Crash::power);
  EXPECT_EQ(sectors(0, 1), Stamps{3});
  EXPECT_EQ(sectors(64, 1), Stamps{4});
}

TEST_F(VolumeTest, has_one_owner_and_refuses_a_lower_epoch) {
  create(mib);
  open();
  EXPECT_EQ(Volume::open(files, directory, disks, {.epoch = 1}).error().fault(), Fault::busy);
  EXPECT_EQ(Volume::remove(files, directory).error().fault(), Fault::busy);
  ASSERT_TRUE(volume->raise_epoch(4));
  EXPECT_EQ(volume->raise_epoch(3).error().fault(), Fault::fenced);
  ASSERT_TRUE(volume->close());
  EXPECT_EQ(write(0, 1).error().fault(), Fault::failed);
  EXPECT_EQ(Volume::open(files, directory, disks, {.epoch = 3}).error().fault(), Fault::fenced);
  EXPECT_TRUE(Volume::open(files, directory, disks, {.epoch = 5}).ok());
  EXPECT_EQ(Volume::open(files, directory, disks, {.epoch = 4}).error().fault(), Fault::fenced) << "5 was written down";
  EXPECT_TRUE(Volume::remove(files, directory));
  EXPECT_TRUE(Volume::remove(files, directory)) << "asked again";
  EXPECT_EQ(Volume::open(files, directory, disks, {.epoch = 5}).error().fault(), Fault::not_found);
}

TEST_F(VolumeTest, a_log_that_grew_long_is_rewritten_when_the_volume_is_opened) {
  create(4 * mib);
  open();
  for (std::uint64_t i = 0; i < 500; ++i) {
    ASSERT_TRUE(write(8 * (i * 7 % 500), i + 1, 8));
  }
  ASSERT_TRUE(volume->trim({0, 8192}, Fua::yes));
  const auto before = sectors(0, 4 * mib / sector_bytes);
  volume.reset();
  for (int i = 0; i < 3; ++i) {
    auto opened = Volume::open(files, directory, disks, {.epoch = 1, .checkpoint_log_bytes = 1000});
    ASSERT_TRUE(opened.ok());
    volume = std::move(*opened);
    EXPECT_EQ(sectors(0, 4 * mib / sector_bytes), before);
    ASSERT_TRUE(write(8, 99, 8, Fua::yes));
    ASSERT_TRUE(volume->trim({4096, 4096}, Fua::yes));
    volume.reset();
    files.restart(FaultyFiles::Crash::power);
  }
  EXPECT_EQ(*files.list(directory), (std::vector<std::string>{"LOCK", "VOLUME", "gen-1.b.map", "gen-1.data"}));
  EXPECT_LT(files.read_all(directory / "gen-1.b.map")->size(), 2000U);
}

TEST_F(VolumeTest, another_volumes_log_is_not_taken_for_its_own) {
  create(mib);
  const std::string other = "vol-0123456789abcdef1";
  ASSERT_TRUE(Volume::create(files, root / other, {.volume = other, .size_bytes = mib, .base = {}, .epoch = 1}));
  ASSERT_TRUE(files.rename(root / other / "gen-1.map", directory / "gen-1.map"));
  EXPECT_EQ(Volume::open(files, directory, disks, {.epoch = 1}).error().fault(), Fault::corrupt);
}

// Kills before every changing call of make(), as a process crash and as a power cut, then asks again.
template <class Prepare, class Make, class Check>
void kill_at_every_call(Prepare prepare, Make make, Check check) {
  for (const auto crash : {FaultyFiles::Crash::process, FaultyFiles::Crash::power}) {
    bool died = true;
    for (std::uint64_t n = 1; died; ++n) {
      ASSERT_LT(n, 200U);
      SCOPED_TRACE((crash == FaultyFiles::Crash::power ? "power, call " : "process, call ") + std::to_string(n));
      FaultyFiles files(n);
      durable_directory(files);
      prepare(files);
      files.die_before(n);
      const bool done = make(files);
      died = files.died();
      EXPECT_EQ(done, !died);
      files.restart(crash);
      check(files, done);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

const std::string kill_id = "vol-0123456789abcdef0";
const base::Path kill_root = "/disk/volumes/vol-0123456789abcdef0";
const NewVolume kill_volume{.volume = kill_id, .size_bytes = mib, .base = {}, .epoch = 1};

std::uint64_t first_stamp(Volume& volume) {
  Bytes out(sector_bytes);
  EXPECT_TRUE(volume.read(0, out).ok());
  return stamps_of(out)[0];
}

TEST(VolumeKillPoints, create_is_finished_by_asking_again) {
  MemoryDisks disks;
  kill_at_every_call([](FaultyFiles&) {},
                     [&](FaultyFiles& files) { return Volume::create(files, kill_root, kill_volume).ok(); },
                     [&](FaultyFiles& files, bool done) {
                       const auto opened = Volume::open(files, kill_root, disks, {.epoch = 1});
                       EXPECT_TRUE(!done || opened.ok());
                       if (!opened) {
                         const auto again = Volume::create(files, kill_root, kill_volume);
                         EXPECT_TRUE(again.ok()) << text_of(again);
                         EXPECT_TRUE(Volume::open(files, kill_root, disks, {.epoch = 1}).ok());
                       }
                     });
}

TEST(VolumeKillPoints, remove_leaves_a_whole_volume_or_none) {
  MemoryDisks disks;
  kill_at_every_call([](FaultyFiles& files) { (void)Volume::create(files, kill_root, kill_volume); },
                     [](FaultyFiles& files) { return Volume::remove(files, kill_root).ok(); },
                     [&](FaultyFiles& files, bool done) {
                       const auto opened = Volume::open(files, kill_root, disks, {.epoch = 1});
                       EXPECT_TRUE(opened.ok() || opened.error().fault() == Fault::not_found);
                       EXPECT_FALSE(done && opened.ok());
                       if (opened) return;
                       EXPECT_TRUE(Volume::remove(files, kill_root).ok());
                       EXPECT_FALSE(*files.exists(kill_root));
                     });
}

TEST(VolumeKillPoints, seal_leaves_the_cut_or_none) {
  MemoryDisks disks;
  const auto prepare = [&](FaultyFiles& files) {
    (void)Volume::create(files, kill_root, kill_volume);
    auto volume = Volume::open(files, kill_root, disks, {.epoch = 1});
    EXPECT_TRUE((*volume)->write(0, stamped(1, 8), Fua::yes).ok());
  };
  bool written = false;
  const auto make = [&](FaultyFiles& files) {
    written = false;
    auto volume = Volume::open(files, kill_root, disks, {.epoch = 1});
    if (!volume) return false;
    const Volume::Cut cut{volume->get(), "snap-1"};
    if (!Volume::seal({&cut, 1})) return false;
    // A flush on the generation above is acknowledged only when the cut is durable.
    written = (*volume)->write(0, stamped(2, 8), Fua::yes).ok();
    return written;
  };
  kill_at_every_call(prepare, make, [&](FaultyFiles& files, bool done) {
    auto volume = Volume::open(files, kill_root, disks, {.epoch = 1});
    ASSERT_TRUE(volume.ok()) << volume.error().message();
    const auto now = first_stamp(**volume);
    EXPECT_TRUE(now == 2 || (!written && now == 1)) << now;
    const auto sealed = (*volume)->sealed("snap-1");
    EXPECT_TRUE(!done || sealed.ok());
    if (sealed) {
      const auto cut = SealedGeneration::open(files, kill_root, "snap-1");
      ASSERT_TRUE(cut.ok());
      EXPECT_EQ(stamps_of(*cut->compose(0, nullptr))[0], 1U);
    } else {
      EXPECT_EQ(sealed.error().fault(), Fault::not_found);
      const Volume::Cut cut{volume->get(), "snap-2"};
      EXPECT_TRUE(Volume::seal({&cut, 1}).ok()) << "and a later cut can be made";
      EXPECT_TRUE((*volume)->sealed("snap-2").ok());
      EXPECT_EQ(stamps_of(*SealedGeneration::open(files, kill_root, "snap-2")->compose(0, nullptr))[0], now);
    }
  });
}

TEST(VolumeKillPoints, rebase_reads_the_same_before_and_after) {
  MemoryDisks disks;
  std::vector<std::uint64_t> stamps(mib / sector_bytes);
  std::fill_n(stamps.begin(), 8, 1);
  const auto uploaded = disks.add(content_of(stamps));
  const auto prepare = [&](FaultyFiles& files) {
    (void)Volume::create(files, kill_root, kill_volume);
    auto volume = Volume::open(files, kill_root, disks, {.epoch = 1});
    EXPECT_TRUE((*volume)->write(0, stamped(1, 8), Fua::yes).ok());
    const Volume::Cut cut{volume->get(), "snap-1"};
    EXPECT_TRUE(Volume::seal({&cut, 1}).ok() && (*volume)->sealed("snap-1").ok());
  };
  const auto make = [&](FaultyFiles& files) {
    auto volume = Volume::open(files, kill_root, disks, {.epoch = 1});
    if (!volume) return false;
    const bool done = (*volume)->rebase(1, uploaded).ok();
    return done && !files.died();
  };
  for (const auto crash : {FaultyFiles::Crash::process, FaultyFiles::Crash::power}) {
    bool died = true;
    for (std::uint64_t n = 1; died; ++n) {
      SCOPED_TRACE(n);
      FaultyFiles files(n);
      durable_directory(files);
      prepare(files);
      files.die_before(n);
      const bool done = make(files);
      died = files.died();
      files.restart(crash);
      auto volume = Volume::open(files, kill_root, disks, {.epoch = 1});
      ASSERT_TRUE(volume.ok()) << volume.error().message();
      EXPECT_EQ(first_stamp(**volume), 1U);
      EXPECT_TRUE(!done || (*volume)->base() == uploaded);
      ASSERT_TRUE((*volume)->rebase(1, uploaded).ok()) << "asked again";
      EXPECT_EQ(first_stamp(**volume), 1U);
      volume->reset();
      auto opened = Volume::open(files, kill_root, disks, {.epoch = 1});
      ASSERT_TRUE(opened.ok());
      EXPECT_FALSE(*files.exists(kill_root / "gen-1.data")) << "no file stays behind";
    }
  }
}

}  // namespace
}  // namespace kiln::blocks
