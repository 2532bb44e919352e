// Upload, commit, collection and compaction, killed before every call that changes something: each transaction, write,
// sync, rename, removal. After each death the store is opened again, after a power cut too, and without its index; all
// disks that were committed are whole, and one collection removes what was left behind.
#include <gtest/gtest.h>

#include "control/store_world.h"

namespace kiln::control {
namespace {

using Crash = base::FaultyFiles::Crash;

// Dies at the nth call, and at each one after it until it is revived.
struct Killer {
  std::uint64_t left = 0;  // 0: never
  bool dead = false;
  std::string last;

  bool operator()(const std::string& call) {
    if (dead) return false;
    if (left == 0 || --left > 0) return true;
    dead = true;
    last = call;
    return false;
  }
};

// prepare makes the world, act is what is killed. after is told whether act came to its end.
void kill_at_every_call(const std::function<void(StoreWorld&)>& prepare, const std::function<void(StoreWorld&)>& act,
                        const std::function<void(StoreWorld&, bool)>& after) {
  std::uint64_t killed = 0;
  for (const auto crash : {Crash::process, Crash::power}) {
    for (std::uint64_t nth = 1;; ++nth) {
      auto killer = std::make_shared<Killer>();
      StoreWorld world(nth, [killer](const std::string& call) { return (*killer)(call); });
      prepare(world);
      killer->left = nth;
      try {
        act(world);
      } catch (const std::exception&) {
        ASSERT_TRUE(killer->dead) << "it failed without having been killed";
      }
      const bool done = !killer->dead;
      SCOPED_TRACE((crash == Crash::power ? "power cut at call " : "death at call ") + std::to_string(nth) + ", " +
                   killer->last);
      *killer = {};
      world.restart(crash, nth % 2 == 0);
      after(world, done);
      if (::testing::Test::HasFatalFailure()) return;
      if (done) break;
      ++killed;
    }
  }
  std::printf("%llu kill points, each once with what was written and once without what was not synced\n",
              static_cast<unsigned long long>(killed / 2));
}

void settle(StoreWorld& world) {
  world.expect_all_readable();
  world.collect_until_quiet();
  world.expect_all_readable();
  world.expect_no_garbage();
}

TEST(GarbageKill, an_upload_is_there_whole_or_not_at_all) {
  kill_at_every_call(
      [](StoreWorld& world) {
        world.upload("base", {{0, 1}, {1, 4}, {520, 8}});
      },
      [](StoreWorld& world) {
        world.upload("new", {{1, 2}, {2, 4}, {521, 20}, {3, 21}}, "base");
      },
      [](StoreWorld& world, bool done) {
        const auto roots = catalog::in_read(
            world.region().catalog, [&](catalog::Txn& txn) { return catalog::roots(txn, world.region().name); });
        EXPECT_EQ(roots.size(), done ? 2U : 1U);
        settle(world);
      });
}

TEST(GarbageKill, a_collection_with_compaction_loses_nothing_and_the_next_one_ends_it) {
  const auto prepare = [](StoreWorld& world) {
    world.upload("kept", {{0, 1}, {1, 2}, {2, 4}, {520, 8}});
    world.upload("mostly-gone", {{0, 12}, {1, 13}, {2, 16}, {3, 20}, {4, 24}});
    world.upload("child", {{0, 28}, {3, 12}}, "mostly-gone");
    world.upload("gone", {{0, 32}, {1, 33}});
    world.open_volume("volume", "child");
    world.remove("gone");
    world.remove("mostly-gone");
    world.upload("rest", {{0, 16}, {1, 1}});
    world.remove("child");
    world.remove("volume");
  };
  kill_at_every_call(
      prepare, [](StoreWorld& world) { collect(world.region(), {.grace = 0, .force = true}); },
      [](StoreWorld& world, bool) { settle(world); });
}

TEST(GarbageKill, an_upload_goes_on_after_what_it_shares_was_condemned) {
  // The session finds chunks, the collection condemns them, the commit stores them again: killed at each call.
  kill_at_every_call(
      [](StoreWorld& world) {
        world.upload("base", {{0, 1}});
        world.upload("gone", {{0, 40}, {1, 44}});
      },
      [](StoreWorld& world) {
        auto& region = world.region();
        UploadSession session(region, {.threads = 0});
        const auto put = session.ingest().put(0, StoreWorld::content(40));
        if (!put) throw std::runtime_error(put.error().message());
        const auto stored = session.store(StoreWorld::disk_bytes);
        world.remove("gone");
        collect(region, {.grace = 0, .force = true});
        session.commit([&](const auto& body) { region.catalog.run_in_txn(body); },
                       [&](catalog::Txn& txn) {
                         catalog::insert(txn, catalog::Root{.region = region.name,
                                                            .kind = "snapshot",
                                                            .owner = "shared",
                                                            .digest = stored.root.hex(),
                                                            .size_bytes = StoreWorld::disk_bytes});
                       });
        base::Bytes bytes(blocks::chunk_bytes);
        ASSERT_TRUE(region.store.read(stored, 0, bytes));
        EXPECT_EQ(bytes, StoreWorld::content(40));
        world.remove("shared");
      },
      [](StoreWorld& world, bool) {
        world.region().catalog.run_in_txn([&](catalog::Txn& txn) {
          txn.execute("DELETE FROM root WHERE region = $1 AND owner = 'shared'", {world.region().name});
        });
        settle(world);
      });
}

}  // namespace
}  // namespace kiln::control
