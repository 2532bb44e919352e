// Upload, commit, collection and compaction, killed before every call that changes something: each transaction, write,
// sync, rename, removal. After each death the store is opened again, after a power cut too, and without its index; all
// disks that were committed are whole, and one collection removes what was left behind.
#include <gtest/gtest.h>

#include <optional>

#include "control/store_world.h"

namespace kiln::control {
namespace {

using Crash = base::FaultyFiles::Crash;

// Dies at the nth call, and at each one after it until it is revived.
struct Killer {
  std::uint64_t left = 0;  // 0: never
  bool dead = false;
  std::string before, last;                 // the calls before and at the death
  std::optional<blocks::PackId> published;  // the pack that got its name just now

  bool operator()(const std::string& call) {
    if (dead) return false;
    if (left == 0 || --left > 0) {
      if (call.starts_with("rename") && call.ends_with(".pack")) {
        published = blocks::PackId::from_text(base::Path(call).stem().string());
      } else if (!call.starts_with("sync of directory")) {
        published.reset();
      }
      before = call;
      return true;
    }
    dead = true;
    last = call;
    return false;
  }
  // Whether the process may as well have died before the index heard of the last pack, which is no call of its own.
  bool may_be_unknown_to_index() const {
    return dead && published && before.starts_with("sync of directory") && before.find("/packs/") != before.npos;
  }
};

using Prepare = std::function<void(StoreWorld&)>;
using After = std::function<void(StoreWorld&, bool)>;  // told whether all was done

Killer kill_at(std::uint64_t nth, Crash crash, bool before_index, const Prepare& prepare, const Prepare& act,
               const After& after) {
  auto killer = std::make_shared<Killer>();
  StoreWorld world(nth, [killer](const std::string& call) { return (*killer)(call); });
  prepare(world);
  killer->left = nth;
  try {
    act(world);
  } catch (const std::exception& failure) {
    EXPECT_TRUE(killer->dead) << "it failed without having been killed: " << failure.what();
  }
  const auto killed = *killer;
  SCOPED_TRACE((crash == Crash::power ? "power cut at call " : "death at call ") + std::to_string(nth) + ", " +
               killed.last);
  *killer = {};
  world.restart(crash, !before_index && nth % 2 == 0);
  if (before_index) {
    EXPECT_TRUE(world.region().store.index().forget(*killed.published, nullptr));
  }
  after(world, !killed.dead);
  return killed;
}

// prepare makes the world, act is what is killed.
void kill_at_every_call(const Prepare& prepare, const Prepare& act, const After& after) {
  std::uint64_t points = 0, before_index = 0;
  for (const auto crash : {Crash::process, Crash::power}) {
    for (std::uint64_t nth = 1;; ++nth) {
      const auto killed = kill_at(nth, crash, false, prepare, act, after);
      if (::testing::Test::HasFailure()) return;
      if (!killed.dead) break;
      points += crash == Crash::process ? 1 : 0;
      if (!killed.may_be_unknown_to_index()) continue;
      ++before_index;
      kill_at(nth, crash, true, prepare, act, after);
    }
  }
  std::printf(
      "%llu kill points, each once with what was written and once without what was not synced, and %llu before the "
      "index heard of a pack\n",
      static_cast<unsigned long long>(points), static_cast<unsigned long long>(before_index));
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
    world.upload("mostly-gone", {{0, 60}, {1, 70}, {2, 80}, {3, 90}, {4, 100}, {5, 61}});
    world.upload("child", {{0, 28}, {3, 60}}, "mostly-gone");
    world.upload("gone", {{0, 32}, {1, 33}});
    world.open_volume("volume", "child");
    world.remove("gone");
    world.remove("mostly-gone");
    world.upload("rest", {{0, 61}, {1, 1}});  // a reference into chunk 60
    world.remove("child");
    world.remove("volume");
  };
  kill_at_every_call(
      prepare,
      [](StoreWorld& world) {
        const auto done = collect(world.region(), {.grace = 0, .force = true});
        EXPECT_GT(done.compacted_packs, 0U);
        EXPECT_GT(done.deleted_packs, done.compacted_packs);
        EXPECT_GT(world.bases_moved() + world.referenced_units(), 0U);
      },
      [](StoreWorld& world, bool) { settle(world); });
}

TEST(GarbageKill, an_index_is_made_anew_or_stays) {
  kill_at_every_call(
      [](StoreWorld& world) {
        world.upload("one", {{0, 1}, {1, 4}, {520, 8}});
        world.upload("two", {{1, 2}, {2, 4}, {521, 20}, {3, 21}}, "one");
      },
      [](StoreWorld& world) {
        const auto rebuilt = world.region().store.rebuild_index();
        if (!rebuilt) throw std::runtime_error(rebuilt.error().message());
      },
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
