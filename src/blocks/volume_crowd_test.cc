// Several guests' threads write two volumes at once, to sectors of their own in units that they share, while the
// volumes are flushed and cut; then the process is killed or the power goes in the middle of all of them.
//
// Each thread writes stamp k to A and, when that is answered, to B. So after every crash each sector holds what the
// thread that owns it was told, or what it had asked for last; of two volumes cut together B never holds a stamp of a
// thread that A does not. The order of the threads is the kernel's: a seed chooses the work and the moment of the
// crash, and does not bring back a failure for certain. KILN_LONG=1 makes it 2,000 crashes.

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <random>
#include <set>
#include <thread>

#include "blocks/sealed_generation.h"
#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

using base::FaultyFiles;

constexpr std::uint64_t units = 48, sectors_of_a_thread = 2, threads = 4;
constexpr std::uint64_t sectors = units * unit_bytes / sector_bytes;

// What a thread knows of a sector of its own.
struct Sector {
  std::uint64_t answered = 0;
  std::uint64_t durable = 0;
  std::uint64_t asked = 0;             // not answered; 0: nothing
  std::set<std::uint64_t> since = {};  // answered after what is durable

  bool may_say(std::uint64_t stamp, FaultyFiles::Crash crash) const {
    if (stamp == answered || (asked != 0 && stamp == asked)) return true;
    return crash == FaultyFiles::Crash::power && (stamp == durable || since.contains(stamp));
  }
};

class Crowd {
 public:
  explicit Crowd(std::uint64_t seed) : random_(seed), files_(seed), root_(durable_directory(files_)) {
    for (const auto* name : names) {
      const auto made = Volume::create(files_, root_ / name,
                                       {.volume = name, .size_bytes = sectors * sector_bytes, .base = {}, .epoch = 1});
      EXPECT_TRUE(made.ok()) << text_of(made);
    }
    open();
  }

  void round() {
    files_.die_before(20 + random_() % 1500);
    first_ = last_;
    std::vector<std::thread> running;
    for (std::uint64_t t = 0; t < threads; ++t) {
      running.emplace_back([this, t, seed = random_()] { write_until_death(t, seed); });
    }
    while (!files_.died() && !::testing::Test::HasFailure()) cut();
    for (auto& thread : running) thread.join();
    for (auto& volume : volumes_) volume.reset();
    const auto crash = random_() % 2 == 0 ? FaultyFiles::Crash::process : FaultyFiles::Crash::power;
    files_.restart(crash);
    open();
    for (std::size_t v = 0; v < 2 && !::testing::Test::HasFatalFailure(); ++v) check(v, crash);
    check_cuts();
  }

 private:
  static std::uint64_t sector_of(std::uint64_t thread, std::uint64_t number) {
    return number / sectors_of_a_thread * 8 + thread * sectors_of_a_thread + number % sectors_of_a_thread;
  }
  static std::uint64_t thread_of(std::uint64_t sector) { return sector % 8 / sectors_of_a_thread; }

  void open() {
    for (std::size_t v = 0; v < 2; ++v) {
      auto opened = Volume::open(files_, root_ / names[v], disks_, {.epoch = 1, .checkpoint_log_bytes = 4000});
      ASSERT_TRUE(opened.ok()) << opened.error().message();
      volumes_[v] = std::move(*opened);
    }
  }

  void write_until_death(std::uint64_t thread, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (auto& stamp = last_[thread]; !files_.died();) {
      ++stamp;
      const auto at = sector_of(thread, random() % (units * sectors_of_a_thread));
      const auto fua = random() % 16 == 0 ? Fua::yes : Fua::no;
      for (std::size_t v = 0; v < 2; ++v) {
        auto& sector = known_[v][at];
        sector.asked = stamp;
        if (!volumes_[v]->write(at * sector_bytes, stamped(stamp, 1), fua)) return;
        sector.asked = 0;
        sector.since.insert(sector.answered);
        sector.answered = stamp;
        const bool flushed = fua == Fua::yes || (random() % 12 == 0 && volumes_[v]->flush().ok());
        if (flushed) make_durable(v, thread);
      }
    }
  }
  // A flush covers all that this thread was told before, and may cover what others were.
  void make_durable(std::size_t v, std::uint64_t thread) {
    for (std::uint64_t number = 0; number < units * sectors_of_a_thread; ++number) {
      auto& sector = known_[v][sector_of(thread, number)];
      sector.durable = sector.answered;
      sector.since.clear();
    }
  }

  void cut() {
    const auto snapshot = "snap-" + std::to_string(++last_snapshot_);
    const std::vector<Volume::Cut> cuts{{volumes_[1].get(), snapshot}, {volumes_[0].get(), snapshot}};
    const auto sealed = Volume::seal(cuts);
    if (!sealed) {
      EXPECT_TRUE(files_.died() || sealed.error().fault() == base::Fault::busy) << sealed.error().message();
      std::this_thread::yield();
      return;
    }
    pending_.push_back(snapshot);
    if (random_() % 2 == 0) return;
    check_cuts();
  }

  // Those that are durable in both volumes, oldest first; each is given up afterwards.
  void check_cuts() {
    for (const auto& snapshot : std::exchange(pending_, {})) {
      if (!volumes_[0]->sealed(snapshot) || !volumes_[1]->sealed(snapshot)) {
        for (auto& volume : volumes_) (void)volume->unseal(snapshot);
        continue;
      }
      // Only what was written since the last crash, of which each volume may have lost another part.
      std::array<std::array<std::uint64_t, threads>, 2> newest{first_, first_};
      for (std::size_t v = 0; v < 2; ++v) {
        const auto cut = SealedGeneration::open(files_, root_ / names[v], snapshot);
        const auto chunk = cut ? cut->compose(0, nullptr) : base::Result<base::Bytes>(cut.error());
        if (!chunk) {
          EXPECT_TRUE(files_.died()) << chunk.error().message();
          return;
        }
        const auto stamps = stamps_of(std::span(*chunk).first(sectors * sector_bytes));
        for (std::uint64_t at = 0; at < sectors; ++at) {
          auto& one = newest[v][thread_of(at)];
          one = std::max(one, stamps[at]);
        }
        if (!volumes_[v]->unseal(snapshot)) return;
      }
      for (std::uint64_t t = 0; t < threads; ++t) {
        EXPECT_LE(newest[1][t], newest[0][t]) << snapshot << ": B is ahead of A";
        EXPECT_LE(newest[0][t], newest[1][t] + 1) << snapshot << ": A is ahead of what was in flight";
      }
    }
  }

  void check(std::size_t v, FaultyFiles::Crash crash) {
    base::Bytes out(sectors * sector_bytes);
    const auto read = volumes_[v]->read(0, out);
    ASSERT_TRUE(read.ok()) << text_of(read);
    const auto found = stamps_of(out);
    for (std::uint64_t at = 0; at < sectors; ++at) {
      auto& sector = known_[v][at];
      ASSERT_TRUE(sector.may_say(found[at], crash))
          << names[v] << " sector " << at << " says " << found[at] << ", was answered " << sector.answered
          << ", durable " << sector.durable << (crash == FaultyFiles::Crash::power ? ", power cut" : ", killed");
      sector = {.answered = found[at], .durable = found[at]};
    }
  }

  static constexpr const char* names[] = {"vol-0000000000000000a", "vol-0000000000000000b"};
  std::mt19937_64 random_;
  FaultyFiles files_;
  MemoryDisks disks_;
  const base::Path root_;
  std::unique_ptr<Volume> volumes_[2];
  std::array<std::array<Sector, sectors>, 2> known_{};   // each sector is touched by its own thread only
  std::array<std::uint64_t, threads> first_{}, last_{};  // stamps, of this round
  std::vector<std::string> pending_;
  std::uint64_t last_snapshot_ = 0;
};

TEST(VolumeCrowd, whatever_many_threads_were_told_is_there_after_any_crash) {
  const auto seed = seed_or(std::random_device{}());
  std::printf("KILN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  const int crowds = std::getenv("KILN_LONG") != nullptr ? 200 : 6;
  for (int i = 0; i < crowds && !HasFailure(); ++i) {
    Crowd crowd(seed + static_cast<std::uint64_t>(i));
    for (int round = 0; round < 10 && !HasFailure(); ++round) crowd.round();
  }
}

}  // namespace
}  // namespace kiln::blocks
