#include <algorithm>
#include <atomic>
#include <random>
#include <set>

#include "jobs/test_world.h"

namespace kiln::jobs {
namespace {

// A job of four steps that writes as real ones do: a row first, then something outside of the catalog that can be found
// again, each only if it is not there. Undo takes both away.
class Takeover : public JobsTest {
 protected:
  Step makes(const std::string& name, bool fails = false) {
    Step step;
    step.name = name;
    step.run = [this, name, fails](Context& job) {
      if (job.argument(name).empty()) job.note(name, "thing-" + name);
      make_once(job.argument(name));
      if (fails) throw std::runtime_error(name + " failed");
      job.in_txn([&](catalog::Txn& txn) { write(txn, name, job.argument(name)); });
    };
    step.undo = [this, name](Context& job) {
      unmake(job.argument(name));
      job.in_txn([&](catalog::Txn& txn) { catalog::remove_tag(txn, region, "", "i-1", name); });
    };
    return step;
  }
  Kind kind(bool fails) {
    return {.name = "k",
            .steps = {makes("one"), makes("two"), makes("three"), makes("four", fails)},
            .on_failed = [](catalog::Txn& txn, const catalog::Job& job) { write(txn, "failed", job.error); }};
  }

  void make_once(const std::string& thing) {
    base::Lock lock(mutex_);
    if (things_.insert(thing).second) ++made_;
  }
  void unmake(const std::string& thing) {
    base::Lock lock(mutex_);
    things_.erase(thing);
  }
  std::set<std::string> things() {
    base::Lock lock(mutex_);
    return things_;
  }

  // Starts the job, kills the runner at the named point, goes on with another one, and checks the end.
  void kill_at(const std::string& point, bool fails) {
    SCOPED_TRACE(point);
    std::atomic<bool> killed = false;
    auto first = runner("a", {kind(fails)}, {.kill_point = [&](const std::string& reached) {
                          if (reached == point && !killed.exchange(true)) throw Runner::Killed{};
                        }});
    first->run();
    const auto id = start(*first, "k");
    EXPECT_FALSE(first->finished(region, id, soon));
    ASSERT_TRUE(first->killed());
    first.reset();
    EXPECT_EQ(job(id).owner, "a") << "a process that died gave nothing back";
    catalog_.reopen();
    auto second = runner("b", {kind(fails)}, {.sole_owner = true});
    second->run();
    ASSERT_TRUE(second->finished(region, id, soon));
    EXPECT_EQ(job(id).state, fails ? "failed" : "done");
    EXPECT_EQ(made_, 4);
    if (fails) {
      EXPECT_EQ(rows(), "failed=four failed ");
      EXPECT_TRUE(things().empty());
    } else {
      EXPECT_EQ(rows(), "four=thing-four one=thing-one three=thing-three two=thing-two ");
      EXPECT_EQ(things().size(), 4u);
    }
    catalog_.database->run_in_txn([](catalog::Txn& txn) { catalog::forget_tags(txn, region, "i-1"); });
    base::Lock lock(mutex_);
    things_.clear();
    made_ = 0;
  }
  std::vector<std::string> points(bool fails) {
    std::vector<std::string> found;
    auto recorder = runner("r", {kind(fails)},
                           {.workers = 1, .kill_point = [&](const std::string& point) { found.push_back(point); }});
    recorder->run();
    EXPECT_TRUE(recorder->finished(region, start(*recorder, "k"), soon));
    recorder->stop();
    catalog_.database->run_in_txn([](catalog::Txn& txn) { catalog::forget_tags(txn, region, "i-1"); });
    base::Lock lock(mutex_);
    things_.clear();
    made_ = 0;
    return found;
  }

  base::Mutex mutex_;
  std::set<std::string> things_ KILN_GUARDED_BY(mutex_);  // outside of the catalog: files, domains
  int made_ = 0;                                          // how often one was really made
};

TEST_F(Takeover, killed_at_any_point_the_job_ends_as_if_nothing_had_happened) {
  const auto all = points(false);
  EXPECT_EQ(all.size(), 8u);
  EXPECT_EQ(all.front(), "k/one/before");
  EXPECT_EQ(all.back(), "k/four/after");
  for (const std::string& point : all) kill_at(point, false);
}

TEST_F(Takeover, killed_at_any_point_of_a_failing_job_everything_is_undone) {
  const auto all = points(true);
  EXPECT_EQ(all.size(), 15u);
  EXPECT_EQ(all.back(), "k/one/undo/after");
  for (const std::string& point : all) kill_at(point, true);
}

TEST_F(Takeover, killed_at_random_points_many_times_over_the_job_still_ends) {
  const char* given = std::getenv("KILN_SEED");
  unsigned seed = given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (const bool fails : {false, true}) {
    auto starter = runner("starter", {kind(fails)});
    const auto id = start(*starter, "k");
    int lives = 0;
    for (bool ended = false; !ended; ++lives) {
      const bool immortal = lives == 30;
      auto next = runner("owner-" + std::to_string(lives), {kind(fails)},
                         {.kill_point =
                              [&](const std::string&) {
                                if (!immortal && random() % 3 == 0) throw Runner::Killed{};
                              },
                          .sole_owner = true});
      next->run();
      ended = next->finished(region, id, soon);
      ASSERT_TRUE(ended || !immortal);
    }
    EXPECT_EQ(job(id).state, fails ? "failed" : "done");
    EXPECT_EQ(things().size(), fails ? 0u : 4u);
    catalog_.database->run_in_txn([](catalog::Txn& txn) { catalog::forget_tags(txn, region, "i-1"); });
    base::Lock lock(mutex_);
    things_.clear();
  }
}

TEST_F(Takeover, a_job_of_another_owner_is_left_alone_until_its_lease_is_over) {
  Kind kind{.name = "k", .steps = {logs("one")}};
  auto dead = runner("dead", {kind},
                     {.lease = base::seconds(30), .kill_point = [](const std::string&) { throw Runner::Killed{}; }});
  dead->run();
  const auto id = start(*dead, "k");
  ASSERT_FALSE(dead->finished(region, id, soon));
  dead.reset();  // its other workers may be about to claim the job that follows
  auto next = runner("b", {kind});
  next->run();
  // The runner has looked at the rows, and passed this one over, once it did a job that was started later.
  ASSERT_TRUE(next->finished(region, start(*next, "k", "i-2"), soon));
  EXPECT_EQ(job(id).owner, "dead");
  catalog_.clock.advance(base::seconds(30));
  next->wake();
  ASSERT_TRUE(next->finished(region, id, soon));
  EXPECT_EQ(job(id).state, "done");
  EXPECT_EQ(job(id).fence, 2);
}

TEST_F(Takeover, who_lost_the_lease_writes_nothing_more) {
  Log gate;
  std::atomic<int> lost = 0;
  const auto step = [&](const std::string& mine, bool waits) {
    return Kind{.name = "k", .steps = {{"one", [&, mine, waits](Context& job) {
                                          job.note("owner", mine);
                                          log_.add(mine);
                                          if (!waits) return;
                                          gate.wait_for("open");
                                          const std::vector<std::function<void()>> calls{
                                              [&] { job.note("owner", "stale"); }, [&] { job.keep_alive(); },
                                              [&] { job.in_txn([](catalog::Txn& txn) { write(txn, "x", "stale"); }); }};
                                          for (const auto& call : calls) {
                                            try {
                                              call();
                                            } catch (const LeaseLost&) {
                                              ++lost;
                                            }
                                          }
                                          log_.add("stale one ended");
                                        }}}};
  };
  auto slow = runner("slow", {step("slow", true)});
  slow->run();
  const auto id = start(*slow, "k");
  ASSERT_TRUE(log_.wait_for("slow"));
  catalog_.clock.advance(base::seconds(31));
  auto next = runner("next", {step("next", false)});
  next->run();
  ASSERT_TRUE(next->finished(region, id, soon));
  gate.add("open");
  ASSERT_TRUE(log_.wait_for("stale one ended"));
  slow->stop();
  EXPECT_EQ(lost, 3);
  EXPECT_EQ(rows(), "");
  EXPECT_EQ(job(id).arguments, R"({"owner":"next"})");
  EXPECT_EQ(job(id).state, "done");
}

TEST_F(Takeover, keep_alive_holds_a_job_longer_than_its_lease) {
  Log gate;
  Kind kind{.name = "k", .steps = {{"long", [&](Context& job) {
                                      for (int i = 0; i < 10; ++i) {
                                        catalog_.clock.advance(base::seconds(12));
                                        job.keep_alive();
                                      }
                                      log_.add("kept");
                                      gate.wait_for("open");
                                    }}}};
  auto first = runner("a", {kind});
  first->run();
  const auto id = start(*first, "k");
  ASSERT_TRUE(log_.wait_for("kept"));
  EXPECT_GT(job(id).lease_until, catalog_.clock.now());
  auto second = runner("b", {kind, {.name = "other", .steps = {logs("other")}}});
  second->run();
  ASSERT_TRUE(second->finished(region, start(*second, "other", "i-2"), soon));
  gate.add("open");
  ASSERT_TRUE(first->finished(region, id, soon));
  EXPECT_EQ(job(id).fence, 1) << "nobody took it over";
}

TEST_F(Takeover, a_killed_runner_touches_no_other_job_either) {
  Log gate;
  std::atomic<bool> lost = false;
  Kind slow{.name = "slow", .steps = {{"one", [&](Context& job) {
                                         log_.add("slow");
                                         gate.wait_for("open");
                                         try {
                                           job.in_txn([](catalog::Txn& txn) { write(txn, "x", "dead hand"); });
                                         } catch (const LeaseLost&) {
                                           lost = true;
                                           throw;
                                         }
                                       }}}};
  Kind dies{.name = "dies", .steps = {logs("never")}};
  auto first = runner("a", {slow, dies}, {.workers = 2, .kill_point = [](const std::string& point) {
                                            if (point == "dies/never/before") throw Runner::Killed{};
                                          }});
  first->run();
  const auto id = start(*first, "slow");
  ASSERT_TRUE(log_.wait_for("slow"));
  ASSERT_FALSE(first->finished(region, start(*first, "dies", "i-2"), soon));
  const auto before = job(id);
  gate.add("open");
  first->stop();
  EXPECT_TRUE(lost);
  EXPECT_EQ(rows(), "");
  EXPECT_EQ(job(id).owner, "a");
  EXPECT_EQ(job(id).lease_until, before.lease_until);
}

}  // namespace
}  // namespace kiln::jobs
