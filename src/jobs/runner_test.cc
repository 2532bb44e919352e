#include <algorithm>
#include <atomic>
#include <thread>

#include "base/api_error.h"
#include "jobs/arguments.h"
#include "jobs/test_world.h"

namespace kiln::jobs {
namespace {

using Lines = std::vector<std::string>;

Step throws(const std::string& name, const std::function<void()>& action) {
  return {.name = name, .run = [action](Context&) { action(); }};
}

TEST(Arguments, come_back_as_they_were_and_anything_else_is_refused) {
  const Arguments arguments{{"image", "ami-1"}, {"text", "a \"b\"\n\xc3\xa9"}, {"", ""}};
  EXPECT_EQ(parse_arguments(format_arguments(arguments)), arguments);
  for (const std::string text : {"", "[]", "{", R"({"a":1})"}) {
    EXPECT_THROW(parse_arguments(text), std::runtime_error) << text;
  }
}

TEST_F(JobsTest, steps_run_in_order_and_see_the_arguments_and_each_others_notes) {
  const Kind kind{.name = "k",
                  .steps = {{"one", [&](Context& job) { job.note("made", job.argument("image") + "-copy"); }},
                            {"two", [&](Context& job) { log_.add(job.argument("made") + job.argument("nothing")); }}}};
  auto runner = this->runner("a", {kind});
  runner->run();
  const auto id = start(*runner, "k", "i-1", {{"image", "ami-1"}});
  ASSERT_TRUE(runner->finished(region, id, soon));
  EXPECT_TRUE(runner->idle(region, soon));
  EXPECT_EQ(log_.lines(), Lines{"ami-1-copy"});
  EXPECT_EQ(job(id).state, "done");
  EXPECT_EQ(job(id).owner, "");
}

TEST_F(JobsTest, a_job_of_a_transaction_that_failed_never_was) {
  auto runner = this->runner("a", {{.name = "k", .steps = {logs("one")}}});
  EXPECT_THROW(catalog_.database->run_in_txn([&](catalog::Txn& txn) {
    runner->start(txn, {.region = region, .kind = "k", .subject = "i-1"});
    throw std::runtime_error("no");
  }),
               std::runtime_error);
  EXPECT_THROW(start(*runner, "another kind"), std::logic_error);
  runner->run();
  EXPECT_TRUE(runner->idle(region, soon));
  EXPECT_TRUE(log_.lines().empty());
}

TEST_F(JobsTest, a_retry_waits_for_its_time_and_leaves_the_worker_to_others) {
  std::atomic<bool> ready = false;
  Kind waits{.name = "waits", .steps = {{"look", [&](Context& job) {
                                           log_.add("look " + std::to_string(job.job().attempts));
                                           if (!ready) throw Retry("not ready", base::seconds(10));
                                         }}}};
  auto runner = this->runner("a", {waits, {.name = "other", .steps = {logs("other")}}}, {.workers = 1});
  runner->run();
  const auto id = start(*runner, "waits");
  ASSERT_TRUE(log_.wait_for("look 0"));
  const auto other = start(*runner, "other", "i-2");
  ASSERT_TRUE(runner->finished(region, other, soon));
  EXPECT_FALSE(runner->idle(region, 0));
  EXPECT_EQ(log_.lines(), (Lines{"look 0", "other"})) << "the clock has not moved";
  ready = true;
  catalog_.clock.advance(base::seconds(10));
  runner->wake();
  ASSERT_TRUE(runner->finished(region, id, soon));
  EXPECT_EQ(log_.lines(), (Lines{"look 0", "other", "look 1"}));
  EXPECT_EQ(job(id).state, "done");
}

TEST_F(JobsTest, a_failure_undoes_the_failed_step_and_those_before_it_backwards_and_tells_the_rows) {
  Step fails = logs("three");
  fails.run = [](Context&) { throw base::ApiError("InvalidVolume.NotFound", "no such volume"); };
  Kind kind{.name = "k",
            .steps = {logs("one"), throws("two", [] {}), fails, logs("four")},
            .on_failed = [](catalog::Txn& txn, const catalog::Job& job) {
              write(txn, "reason", job.state + ":" + job.error_code + ":" + job.error + ":" + job.subject);
            }};
  auto runner = this->runner("a", {kind});
  runner->run();
  const auto id = start(*runner, "k");
  ASSERT_TRUE(runner->finished(region, id, soon));
  EXPECT_EQ(log_.lines(), (Lines{"one", "undo three", "undo one"}));
  EXPECT_EQ(rows(), "reason=failed:InvalidVolume.NotFound:no such volume:i-1 ");
  EXPECT_EQ(job(id).state, "failed");
  EXPECT_EQ(job(id).error_code, "InvalidVolume.NotFound");
}

TEST_F(JobsTest, an_undo_that_fails_is_tried_until_it_succeeds) {
  std::atomic<int> left = 3;
  Step one = logs("one");
  one.undo = [&](Context&) {
    log_.add("undo");
    if (left-- > 0) throw std::runtime_error("the host does not answer");
  };
  auto runner =
      this->runner("a", {{.name = "k", .steps = {one, throws("two", [] { throw std::runtime_error("no"); })}}});
  runner->run();
  const auto id = start(*runner, "k");
  for (int attempt = 1; attempt <= 3; ++attempt) {
    ASSERT_TRUE(log_.wait_for("undo", attempt));
    while (job(id).attempts < attempt) std::this_thread::yield();
    catalog_.clock.advance(base::seconds(60));
    runner->wake();
  }
  ASSERT_TRUE(runner->finished(region, id, soon));
  EXPECT_EQ(job(id).state, "failed");
  EXPECT_EQ(job(id).error, "no");
}

TEST_F(JobsTest, on_failed_and_the_end_of_the_job_are_one_transaction) {
  std::atomic<bool> refuse = true;
  Kind kind{.name = "k",
            .steps = {throws("one", [] { throw std::runtime_error("no"); })},
            .on_failed = [&](catalog::Txn& txn, const catalog::Job&) {
              write(txn, "reason", "told");
              log_.add("on_failed");
              if (refuse) throw std::runtime_error("not yet");
            }};
  auto runner = this->runner("a", {kind});
  runner->run();
  const auto id = start(*runner, "k");
  ASSERT_TRUE(log_.wait_for("on_failed"));
  while (job(id).attempts < 1) std::this_thread::yield();
  EXPECT_EQ(rows(), "") << "what a failed on_failed wrote is gone";
  EXPECT_EQ(job(id).state, "undoing");
  refuse = false;
  catalog_.clock.advance(base::seconds(60));
  runner->wake();
  ASSERT_TRUE(runner->finished(region, id, soon));
  EXPECT_EQ(rows(), "reason=told ");
}

TEST_F(JobsTest, a_note_inside_a_transaction_is_part_of_it) {
  Kind kind{.name = "k", .steps = {{"one", [&](Context& job) {
                                      try {
                                        job.in_txn([&](catalog::Txn&) {
                                          job.note("a", "lost");
                                          throw std::domain_error("no");
                                        });
                                      } catch (const std::domain_error&) {
                                      }
                                      log_.add("a=" + job.argument("a"));
                                      job.in_txn([&](catalog::Txn& txn) {
                                        write(txn, "row", "1");
                                        job.note("b", "kept");
                                      });
                                      log_.add("b=" + job.argument("b"));
                                    }}}};
  auto runner = this->runner("a", {kind});
  runner->run();
  const auto id = start(*runner, "k");
  ASSERT_TRUE(runner->finished(region, id, soon));
  EXPECT_EQ(log_.lines(), (Lines{"a=", "b=kept"}));
  EXPECT_EQ(job(id).arguments, R"({"b":"kept"})");
}

TEST_F(JobsTest, jobs_of_one_subject_run_one_after_the_other_in_the_order_of_their_start) {
  std::atomic<int> inside = 0;
  Kind kind{.name = "k",
            .steps = {{"one",
                       [&](Context& job) {
                         EXPECT_EQ(++inside, 1);
                         log_.add(job.argument("n"));
                         --inside;
                       }},
                      {"two", [&](Context& job) { log_.add(job.argument("n") + "'"); }}}};
  auto runner = this->runner("a", {kind}, {.workers = 4});
  Lines wanted;
  // All in the same microsecond, and before the workers begin.
  for (int n = 0; n < 8; ++n) {
    start(*runner, "k", "i-1", {{"n", std::to_string(n)}});
    wanted.push_back(std::to_string(n));
    wanted.push_back(std::to_string(n) + "'");
  }
  runner->run();
  ASSERT_TRUE(runner->idle(region, soon));
  EXPECT_EQ(log_.lines(), wanted);
}

TEST_F(JobsTest, a_job_waits_while_an_earlier_one_of_its_subject_waits_for_its_time) {
  std::atomic<bool> ready = false;
  Kind waits{.name = "waits", .steps = {{"look", [&](Context&) {
                                           log_.add("look");
                                           if (!ready) throw Retry("not ready", base::seconds(10));
                                         }}}};
  auto runner = this->runner("a", {waits, {.name = "next", .steps = {logs("next")}}, {.name = "other", .steps = {}}});
  runner->run();
  start(*runner, "waits");
  start(*runner, "next");
  ASSERT_TRUE(log_.wait_for("look"));
  ASSERT_TRUE(runner->finished(region, start(*runner, "other", "i-2"), soon));
  ready = true;
  catalog_.clock.advance(base::seconds(10));
  runner->wake();
  ASSERT_TRUE(runner->idle(region, soon));
  EXPECT_EQ(log_.lines(), (Lines{"look", "look", "next"}));
}

TEST_F(JobsTest, jobs_of_different_subjects_run_side_by_side) {
  // Each step waits until the other one is inside too.
  Kind kind{.name = "k", .steps = {{"meet", [&](Context&) {
                                      log_.add("inside");
                                      if (!log_.wait_for("inside", 2)) throw std::runtime_error("nobody came");
                                    }}}};
  auto runner = this->runner("a", {kind}, {.workers = 2});
  runner->run();
  const auto one = start(*runner, "k", "i-1");
  const auto two = start(*runner, "k", "i-2");
  ASSERT_TRUE(runner->idle(region, soon));
  EXPECT_EQ(job(one).state, "done");
  EXPECT_EQ(job(two).state, "done");
}

TEST_F(JobsTest, many_jobs_each_run_exactly_once) {
  Kind kind{.name = "k", .steps = {{"one", [&](Context& job) { log_.add(job.job().subject); }}}};
  auto runner = this->runner("a", {kind}, {.workers = 8, .sole_owner = true});
  runner->run();
  Lines wanted;
  for (int n = 100; n < 200; ++n) {
    wanted.push_back("i-" + std::to_string(n));
    start(*runner, "k", wanted.back());
  }
  ASSERT_TRUE(runner->idle(region, soon));
  Lines found = log_.lines();
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, wanted);
}

TEST_F(JobsTest, stop_lets_the_running_step_end_begins_no_other_and_leaves_the_job_to_the_next_runner) {
  Kind kind{.name = "k",
            .steps = {{"one",
                       [&](Context& job) {
                         log_.add("one");
                         try {
                           while (true) job.keep_alive();
                         } catch (const LeaseLost&) {
                           // stop() was called; the step has a last thing to do all the same, and ends well
                         }
                       }},
                      logs("two")}};
  auto first = runner("a", {kind});
  first->run();
  const auto id = start(*first, "k");
  ASSERT_TRUE(log_.wait_for("one"));
  first->stop();
  EXPECT_NE(job(id).state, "done");
  EXPECT_EQ(job(id).owner, "");
  EXPECT_EQ(job(id).step, 1);
  auto second = runner("b", {kind});
  second->run();
  ASSERT_TRUE(second->finished(region, id, soon));
  EXPECT_EQ(log_.lines(), (Lines{"one", "two"}));
}

TEST_F(JobsTest, keep_alive_ends_a_long_step_when_the_runner_stops) {
  std::atomic<bool> again = false;
  Kind kind{.name = "k", .steps = {{"long", [&](Context& job) {
                                      log_.add("long");
                                      while (!again) job.keep_alive();
                                    }}}};
  auto first = runner("a", {kind});
  first->run();
  const auto id = start(*first, "k");
  ASSERT_TRUE(log_.wait_for("long"));
  first->stop();
  EXPECT_EQ(job(id).state, "running") << "a stop is no failure";
  EXPECT_EQ(job(id).step, 0);
  again = true;
  auto second = runner("b", {kind});
  second->run();
  ASSERT_TRUE(second->finished(region, id, soon));
  EXPECT_EQ(job(id).state, "done");
}

TEST_F(JobsTest, finished_jobs_are_kept_a_week) {
  const Kind kind{.name = "k", .steps = {logs("one")}};
  auto first = runner("a", {kind});
  first->run();
  const auto old = start(*first, "k");
  ASSERT_TRUE(first->finished(region, old, soon));
  catalog_.clock.advance(base::seconds(7 * 24 * 3600));
  const auto young = start(*first, "k");
  ASSERT_TRUE(first->finished(region, young, soon));
  first.reset();
  catalog_.clock.advance(1);
  auto second = runner("b", {kind});
  second->run();
  ASSERT_TRUE(second->finished(region, start(*second, "k"), soon));
  catalog_.database->read([&](catalog::Txn& txn) {
    EXPECT_FALSE(catalog::find_job(txn, region, old));
    EXPECT_TRUE(catalog::find_job(txn, region, young));
  });
}

TEST_F(JobsTest, a_row_that_cannot_be_read_keeps_nobody_from_working) {
  auto runner = this->runner("a", {{.name = "k", .steps = {logs("one")}}}, {.workers = 1});
  const auto broken = start(*runner, "k", "i-1");
  catalog_.database->run_in_txn(
      [&](catalog::Txn& txn) { txn.execute("UPDATE job SET arguments = '{' WHERE id = $1", {broken}); });
  const auto good = start(*runner, "k", "i-2");
  runner->run();
  ASSERT_TRUE(runner->finished(region, good, soon));
  EXPECT_FALSE(runner->finished(region, broken, 0));
}

}  // namespace
}  // namespace kiln::jobs
