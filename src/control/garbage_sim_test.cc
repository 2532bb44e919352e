// Collection beside everything else, under a scheduler that decides who runs next: at each transaction and each change
// of a file, by a seed that makes a failure happen again.
//
// Four actors upload (with and without a parent, finding what others store), abandon uploads, open and delete disks,
// read them and collect, two at once as it comes. In between the process dies or the power goes, in the middle of
// whatever the actors do. Nothing that a disk needs may be lost at any moment, and when all is quiet collections remove
// all that nothing needs.
//
// KILN_SEED=n runs a seed again; KILN_LONG=1 runs 1,000,000 operations, KILN_LONG=n runs n.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "control/store_world.h"

namespace kiln::control {
namespace {

using Crash = base::FaultyFiles::Crash;

// Lets one of several threads run at a time. A thread that calls yield() is held until it is chosen again.
class Scheduler {
 public:
  explicit Scheduler(std::mt19937_64& random) : random_(random) {}

  // Runs all bodies to their end.
  void run(const std::vector<std::function<void()>>& bodies) {
    alive_.assign(bodies.size(), true);
    current_ = random_() % bodies.size();
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      threads.emplace_back([this, i, &bodies] {
        me_ = i;
        wait_for_turn();
        bodies[i]();
        leave();
        me_ = nobody;
      });
    }
    for (auto& thread : threads) thread.join();
  }
  void yield() {
    if (me_ == nobody) return;
    {
      const std::lock_guard lock(mutex_);
      choose();
      if (current_ == me_) return;
    }
    changed_.notify_all();
    wait_for_turn();
  }

 private:
  static constexpr std::size_t nobody = ~std::size_t{0};

  void choose() {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      if (alive_[i]) ready.push_back(i);
    }
    current_ = ready.empty() ? nobody : ready[random_() % ready.size()];
  }
  void wait_for_turn() {
    std::unique_lock lock(mutex_);
    // The deadline turns an actor that waits for another one behind the scheduler's back into a failure.
    if (!changed_.wait_for(lock, std::chrono::minutes(2), [this] { return current_ == me_; })) {
      std::fprintf(stderr, "the scheduler's turn did not come\n");
      std::abort();
    }
  }
  void leave() {
    {
      const std::lock_guard lock(mutex_);
      alive_[me_] = false;
      choose();
    }
    changed_.notify_all();
  }

  static thread_local std::size_t me_;
  std::mt19937_64& random_;  // used by the one whose turn it is
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> alive_;
  std::size_t current_ = 0;
};
thread_local std::size_t Scheduler::me_ = Scheduler::nobody;

struct Counts {
  std::uint64_t operations = 0, uploads = 0, abandoned = 0, volumes = 0, deletions = 0, reads = 0, collections = 0,
                crashes = 0, condemned = 0, compacted = 0, deleted = 0, revived = 0;
};

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed)
      : random_(seed), scheduler_(random_), world_(seed, [this](const std::string& call) { return on_call(call); }) {}

  // A few hundred operations by all actors, with or without a death, and then quiet.
  void round(std::uint64_t operations) {
    left_ = operations;
    // How many calls the actors make before the process dies; some rounds go to their end.
    calls_left_ = random_() % 2 == 0 ? 20 + random_() % (operations * 4) : 0;
    dead_ = false;
    scheduler_.run(std::vector<std::function<void()>>(4, [this] { act(); }));
    calls_left_ = 0;
    const bool died = std::exchange(dead_, false);
    counts_.crashes += died ? 1 : 0;
    // Also without a death, as nothing may be read from the memory of the process afterwards.
    world_.restart(died && random_() % 2 == 0 ? Crash::power : Crash::process, died && random_() % 4 == 0);
    while (world_.disks().lower_bound("held-") != world_.disks().lower_bound("held.")) {
      world_.remove(world_.disks().lower_bound("held-")->first);
    }
    world_.expect_all_readable();
    world_.collect_until_quiet();
    world_.expect_all_readable();
    world_.expect_no_garbage();
  }
  void delete_everything() {
    while (!world_.disks().empty()) world_.remove(world_.disks().begin()->first);
    world_.collect_until_quiet();
    world_.expect_no_garbage();
  }
  const Counts& counts() const { return counts_; }
  std::string report() const {
    const auto& c = counts_;
    return fmt::format(
        "{} operations: {} uploads ({} units stored as references, {} commits stored again), {} abandoned, {} volumes, "
        "{} deletions, {} reads, {} collections, {} crashes; packs: {} condemned, {} compacted, {} deleted, {} "
        "revived; "
        "records deleted: {} with bases, {} that were bases of what disks need",
        c.operations, c.uploads, world_.referenced_units(), world_.stored_again(), c.abandoned, c.volumes, c.deletions,
        c.reads, c.collections, c.crashes, c.condemned, c.compacted, c.deleted, c.revived, world_.dependents_deleted(),
        world_.bases_moved());
  }

 private:
  // Before each change: others may run, and the process may die.
  bool on_call(const std::string& call) {
    if (dead_) return false;
    if (const auto pack = pack_to_remove(call)) world_.expect_not_needed(*pack);
    if (calls_left_ > 0 && --calls_left_ == 0) {
      dead_ = true;
      return false;
    }
    scheduler_.yield();
    return !dead_;
  }

  static std::optional<blocks::PackId> pack_to_remove(const std::string& call) {
    if (!call.starts_with("remove ") || !call.ends_with(".pack")) return {};
    return blocks::PackId::from_text(base::Path(call).stem().string());
  }

  void act() {
    try {
      while (left_ > 0 && !dead_ && !::testing::Test::HasFailure()) {
        --left_;
        ++counts_.operations;
        one_operation();
        scheduler_.yield();
      }
    } catch (const std::exception& failure) {
      if (!dead_) ADD_FAILURE() << "operation " << counts_.operations << ": " << failure.what();
    }
  }

  void one_operation() {
    const auto what = random_() % 100;
    if (what < 40) return upload();
    if (what < 48) return open_volume();
    if (what < 72 || world_.disks().size() > 24) return remove();
    if (what < 90) return read();
    collect_garbage();
  }

  // But those that an upload stands on.
  std::string any_disk() {
    std::vector<std::string> names;
    for (const auto& [name, disk] : world_.disks()) {
      if (!name.starts_with("held-")) names.push_back(name);
    }
    return names.empty() ? std::string() : names[random_() % names.size()];
  }
  std::string new_name(const char* kind) { return kind + std::to_string(++names_); }

  void upload() {
    StoreWorld::Disk changes;
    for (auto count = 1 + random_() % 4; count > 0; --count)
      changes[random_() % 3 * 259 + random_() % 4] = random_() % 48;
    const bool abandon = random_() % 8 == 0;
    ++(abandon ? counts_.abandoned : counts_.uploads);
    // An upload's parent is what a volume stands on, whose root stays until the upload has ended.
    std::string held;
    if (const auto parent = random_() % 2 == 0 ? any_disk() : std::string(); !parent.empty()) {
      held = new_name("held-");
      world_.open_volume(held, parent);
      if (!world_.disks().contains(held)) held.clear();
    }
    world_.upload(new_name("snap-"), changes, held, abandon);
    if (!held.empty()) world_.remove(held);
  }
  void open_volume() {
    ++counts_.volumes;
    const auto snapshot = any_disk();
    if (!snapshot.empty()) world_.open_volume(new_name("vol-"), snapshot);
  }
  void remove() {
    ++counts_.deletions;
    if (const auto disk = any_disk(); !disk.empty()) world_.remove(disk);
  }
  void read() {
    ++counts_.reads;
    // Some go on for so long that others delete the disk and collect it, as a guest may that is about to be ended.
    const auto disk = any_disk();
    for (auto passes = random_() % 4 == 0 ? 6 : 1; passes > 0 && world_.disks().contains(disk); --passes) {
      world_.expect_readable(disk, [this] { scheduler_.yield(); });
    }
  }
  void collect_garbage() {
    ++counts_.collections;
    world_.clock().advance(base::seconds(static_cast<std::int64_t>(random_() % 20)));
    const CollectOptions options{.grace = random_() % 2 == 0 ? 0 : base::seconds(10),
                                 .force = true,
                                 .compact_below_percent = random_() % 2 == 0 ? 50U : 90U,
                                 .go_on = [this] {
                                   scheduler_.yield();
                                   return true;
                                 }};
    count(collect(world_.region(), options));
  }
  void count(const Collected& done) {
    counts_.condemned += done.condemned_packs;
    counts_.compacted += done.compacted_packs;
    counts_.deleted += done.deleted_packs;
    counts_.revived += done.revived_packs;
    EXPECT_EQ(done.wrongly_condemned_packs, 0U) << "a root needs what was condemned";
  }

  std::mt19937_64 random_;
  Scheduler scheduler_;
  std::uint64_t left_ = 0, calls_left_ = 0, names_ = 0;
  bool dead_ = false;
  Counts counts_;
  StoreWorld world_;
};

TEST(GarbageSim, nothing_that_is_reachable_is_lost_and_everything_else_is_freed) {
  const char* const given = std::getenv("KILN_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  const char* const wanted = std::getenv("KILN_LONG");
  const auto number = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 0;
  const std::uint64_t most = wanted == nullptr ? 1'500 : number > 1 ? number : 1'000'000;
  std::printf("KILN_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Simulation simulation(seed);
  for (std::uint64_t reported = 0; simulation.counts().operations < most && !::testing::Test::HasFailure();) {
    simulation.round(std::min<std::uint64_t>(300, most));
    const auto& c = simulation.counts();
    if (c.operations - reported < 20'000 && c.operations < most) continue;
    reported = c.operations;
    std::puts(simulation.report().c_str());
    std::fflush(stdout);
  }
  simulation.delete_everything();
}

}  // namespace
}  // namespace kiln::control
