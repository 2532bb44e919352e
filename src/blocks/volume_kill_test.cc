// What is asked of volumes that are in use, killed before every call that changes something: a cut of two volumes, its
// undoing, growing, a flush, and opening with a log that is rewritten. After a death of the process and after a power
// cut, and with a second death while the volumes are opened again.

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "blocks/sealed_generation.h"
#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

using base::FaultyFiles;

constexpr std::uint64_t mib = 1 << 20;
using Stamps = std::vector<std::uint64_t>;

// Two volumes of 1 MiB on one disk. What act() was told is done is what check() may rely on.
struct Pair {
  explicit Pair(std::uint64_t seed) : files(seed), root(durable_directory(files)) {
    for (const auto* name : names) {
      const auto made = Volume::create(files, root / name, {.volume = name, .size_bytes = mib, .base = {}, .epoch = 1});
      EXPECT_TRUE(made.ok()) << text_of(made);
    }
    EXPECT_TRUE(open());
  }
  bool open() {
    for (std::size_t i = 0; i < 2; ++i) {
      volumes[i].reset();
      auto opened = Volume::open(files, root / names[i], disks, {.epoch = 1, .checkpoint_log_bytes = checkpoint_bytes});
      if (!opened) {
        EXPECT_TRUE(files.died()) << opened.error().message();
        return false;
      }
      volumes[i] = std::move(*opened);
    }
    return true;
  }
  void close() {
    for (auto& volume : volumes) volume.reset();
  }
  bool write(std::size_t which, std::uint64_t stamp, Fua fua = Fua::no, std::uint64_t first = 0) {
    return volumes[which]->write(first * sector_bytes, stamped(stamp, 8), fua).ok();
  }
  Stamps first_sectors(std::size_t which, std::uint64_t count = 1, std::uint64_t first = 0) {
    base::Bytes out(count * sector_bytes);
    EXPECT_TRUE(volumes[which]->read(first * sector_bytes, out).ok());
    return stamps_of(out);
  }
  bool seal(const std::string& snapshot) {
    const std::vector<Volume::Cut> cuts{{volumes[0].get(), snapshot}, {volumes[1].get(), snapshot}};
    return Volume::seal(cuts).ok();
  }
  bool is_durable(std::size_t which, const std::string& snapshot) { return volumes[which]->sealed(snapshot).ok(); }
  std::uint64_t in_cut(std::size_t which, const std::string& snapshot) {
    const auto cut = SealedGeneration::open(files, root / names[which], snapshot);
    EXPECT_TRUE(cut.ok()) << cut.error().message();
    if (!cut) return ~std::uint64_t{0};
    const auto chunk = cut->compose(0, nullptr);
    EXPECT_TRUE(chunk.ok());
    return chunk ? stamps_of(std::span(*chunk).first(sector_bytes))[0] : ~std::uint64_t{0};
  }

  static constexpr const char* names[] = {"vol-0000000000000000a", "vol-0000000000000000b"};
  FaultyFiles files;
  MemoryDisks disks;
  base::Path root;
  std::uint64_t checkpoint_bytes = 8 << 20;
  std::unique_ptr<Volume> volumes[2];
};

using Act = std::function<bool(Pair&)>;  // whether all of it was answered

// prepare is not killed. The recovery is killed too, at a call that moves with the first one.
void try_every_call(const std::function<void(Pair&)>& prepare, const Act& act,
                    const std::function<void(Pair&, bool)>& check) {
  std::uint64_t tried = 0;
  for (const auto crash : {FaultyFiles::Crash::process, FaultyFiles::Crash::power}) {
    for (const bool twice : {false, true}) {
      bool died = true;
      for (std::uint64_t nth = 1; died; ++nth) {
        ASSERT_LT(nth, 300U) << "it does not end";
        SCOPED_TRACE((crash == FaultyFiles::Crash::power ? "power cut at call " : "death at call ") +
                     std::to_string(nth) + (twice ? ", and again" : ""));
        Pair pair(nth);
        prepare(pair);
        pair.files.die_before(nth);
        const bool done = act(pair);
        died = pair.files.died();
        EXPECT_EQ(done, !died);
        pair.close();
        pair.files.restart(crash);
        if (twice) {
          pair.files.die_before(nth % 17 + 1);
          pair.open();
          pair.close();
          pair.files.restart(crash);
        }
        ASSERT_TRUE(pair.open());
        check(pair, done);
        if (::testing::Test::HasFailure()) return;
        ++tried;
      }
    }
  }
  std::printf("%llu deaths\n", static_cast<unsigned long long>(tried));
}

TEST(VolumesKillPoints, a_cut_of_two_volumes_is_one_point_in_time_wherever_it_ends) {
  // Stamp k goes to A first, then to B.
  const auto prepare = [](Pair& pair) {
    EXPECT_TRUE(pair.write(0, 1) && pair.write(1, 1, Fua::yes) && pair.write(0, 2));
  };
  const auto act = [](Pair& pair) {
    return pair.seal("snap-1") && pair.write(1, 2) && pair.write(0, 3) && pair.write(1, 3) &&
           pair.is_durable(1, "snap-1") && pair.is_durable(0, "snap-1") && pair.volumes[0]->flush().ok() &&
           pair.volumes[1]->flush().ok();
  };
  try_every_call(prepare, act, [](Pair& pair, bool done) {
    const bool a = pair.is_durable(0, "snap-1"), b = pair.is_durable(1, "snap-1");
    EXPECT_TRUE(!done || (a && b));
    if (a) {
      EXPECT_EQ(pair.in_cut(0, "snap-1"), 2U);
    }
    if (b) {
      EXPECT_EQ(pair.in_cut(1, "snap-1"), 1U);
    }
    const auto on_a = pair.first_sectors(0)[0], on_b = pair.first_sectors(1)[0];
    EXPECT_TRUE(on_a <= 3 && on_b >= 1 && on_b <= 3) << on_a << ", " << on_b;
    EXPECT_TRUE(!done || (on_a == 3 && on_b == 3));
    if (a != b) {
      // A part of a cut is no cut: it is given up and made again.
      const auto again =
          Volume::seal(std::vector<Volume::Cut>{{pair.volumes[0].get(), "snap-1"}, {pair.volumes[1].get(), "snap-1"}});
      EXPECT_FALSE(again.ok());
      EXPECT_TRUE(pair.volumes[a ? 0 : 1]->unseal("snap-1").ok());
    }
    if (!a || !b) {
      EXPECT_TRUE(pair.seal("snap-2") && pair.is_durable(0, "snap-2") && pair.is_durable(1, "snap-2"));
      EXPECT_EQ(pair.in_cut(0, "snap-2"), on_a);
      EXPECT_EQ(pair.in_cut(1, "snap-2"), on_b);
    }
    EXPECT_EQ(pair.first_sectors(0)[0], on_a);
    EXPECT_EQ(pair.first_sectors(1)[0], on_b);
  });
}

TEST(VolumesKillPoints, giving_a_cut_up_changes_nothing_that_is_read) {
  const auto prepare = [](Pair& pair) {
    EXPECT_TRUE(pair.write(0, 1) && pair.seal("snap-1") && pair.is_durable(0, "snap-1"));
    EXPECT_TRUE(pair.write(0, 2, Fua::yes, 8) && pair.seal("snap-2") && pair.is_durable(0, "snap-2"));
    EXPECT_TRUE(pair.write(0, 3, Fua::yes, 16));
  };
  try_every_call(
      prepare, [](Pair& pair) { return pair.volumes[0]->unseal("snap-1").ok(); },
      [](Pair& pair, bool done) {
        const Stamps expected{1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3};
        EXPECT_EQ(pair.first_sectors(0, 17), expected);
        EXPECT_TRUE(!done || !pair.is_durable(0, "snap-1"));
        EXPECT_TRUE(pair.is_durable(0, "snap-2"));
        EXPECT_TRUE(pair.volumes[0]->unseal("snap-1").ok()) << "asked again";
        EXPECT_EQ(pair.in_cut(0, "snap-2"), 1U);
        EXPECT_EQ(pair.first_sectors(0, 17), expected);
      });
}

TEST(VolumesKillPoints, growing_leaves_the_old_size_or_the_new_one_and_all_data) {
  const auto prepare = [](Pair& pair) { EXPECT_TRUE(pair.write(0, 1, Fua::yes)); };
  const auto act = [](Pair& pair) {
    return pair.volumes[0]->grow(2 * mib).ok() && pair.write(0, 2, Fua::yes, mib / sector_bytes);
  };
  try_every_call(prepare, act, [](Pair& pair, bool done) {
    const auto size = pair.volumes[0]->size_bytes();
    EXPECT_TRUE(size == 2 * mib || (size == mib && !done)) << size;
    EXPECT_EQ(pair.first_sectors(0), Stamps{1});
    EXPECT_TRUE(pair.volumes[0]->grow(2 * mib).ok()) << "asked again";
    const auto beyond = pair.first_sectors(0, 1, mib / sector_bytes)[0];
    EXPECT_TRUE(beyond == 2 || (beyond == 0 && !done)) << beyond;
  });
}

TEST(VolumesKillPoints, what_a_flush_covered_is_there_when_a_log_is_rewritten) {
  const auto prepare = [](Pair& pair) {
    for (std::uint64_t i = 0; i < 60; ++i) EXPECT_TRUE(pair.write(0, i + 1, Fua::no, i * 7 % 60 * 8));
    EXPECT_TRUE(pair.volumes[0]->trim({0, 8192}, Fua::yes).ok());
    pair.close();
    pair.checkpoint_bytes = 1000;
  };
  const auto act = [](Pair& pair) {
    return pair.open() && pair.write(0, 99, Fua::no, 800) && pair.volumes[0]->flush().ok();
  };
  Stamps expected(480);
  for (std::uint64_t i = 0; i < 60; ++i)
    std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(i * 7 % 60 * 8), 8, i + 1);
  std::fill_n(expected.begin(), 16, 0);
  try_every_call(prepare, act, [&](Pair& pair, bool done) {
    EXPECT_EQ(pair.first_sectors(0, 480), expected);
    const auto last = pair.first_sectors(0, 1, 800)[0];
    EXPECT_TRUE(last == 99 || (last == 0 && !done)) << last;
  });
}

}  // namespace
}  // namespace kiln::blocks
