#include "blocks/boot_trace.h"

#include <gtest/gtest.h>

#include <random>

#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using Clock = TouchRecorder::Clock;
using Touches = std::vector<Touch>;
using std::chrono::milliseconds;

TEST(BootTrace, is_what_most_launches_read_by_the_median_of_when) {
  const std::vector<Touches> launches = {
      {{1, 10}, {2, 20}, {9, 30}}, {{2, 5}, {1, 12}, {8, 40}}, {{3, 1}, {1, 30}, {2, 40}}};
  EXPECT_EQ(trace_of(launches), (std::vector<std::uint64_t>{1, 2})) << "12 ms before 20";
}

TEST(BootTrace, of_one_launch_is_all_that_it_read) {
  const std::vector<Touches> one = {{{7, 10}, {3, 20}}};
  EXPECT_EQ(trace_of(one), (std::vector<std::uint64_t>{7, 3}));
  EXPECT_TRUE(trace_of({}).empty());
}

TEST(BootTrace, text_is_read_as_it_was_written) {
  const Touches touches = {{0, 0}, {134217727, 119999}, {5, 4294967295}};
  EXPECT_EQ(touches_text(touches), "0@0 134217727@119999 5@4294967295");
  EXPECT_EQ(*parse_touches(touches_text(touches)), touches);
  EXPECT_TRUE(parse_touches("")->empty());
}

TEST(BootTrace, text_of_another_form_is_refused) {
  for (const auto* text : {"1", "1@", "@1", "1@2 ", " 1@2", "1@2,3@4", "-1@2", "1@-2", "1@2 1@3", "134217728@1",
                           "1@4294967296", "99999999999999999999@1", "1@2  3@4", "x@y"}) {
    const auto parsed = parse_touches(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().fault(), Fault::corrupt);
  }
  std::string many = "0@0";
  for (std::size_t i = 1; i <= max_touches; ++i) many += " " + std::to_string(i) + "@1";
  EXPECT_FALSE(parse_touches(many));
}

TEST(BootTrace, mutated_text_is_refused_or_read_and_never_more) {
  const auto seed = seed_or(1);
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = "7@15 8@15 200@40";
    for (auto changes = 1 + random() % 4; changes > 0; --changes) {
      text.insert(random() % text.size(), 1, " @-0123456789x"[random() % 14]);
      text.erase(random() % text.size(), random() % 3);
      if (text.empty()) text = "1";
    }
    const auto parsed = parse_touches(text);
    if (!parsed) continue;
    EXPECT_EQ(*parse_touches(touches_text(*parsed)), *parsed) << text;
  }
}

TEST(TouchRecorder, notes_the_first_touch_of_each_chunk) {
  TouchRecorder recorder;
  const auto start = Clock::now();
  for (const std::uint64_t chunk : {5, 3, 5, 4, 3}) recorder.note(chunk, start);
  const auto seen = recorder.touches(start);
  ASSERT_EQ(seen.touches.size(), 3U);
  EXPECT_EQ(seen.touches[1].chunk_index, 3U);
  EXPECT_FALSE(seen.complete);
}

TEST(TouchRecorder, is_complete_when_a_guest_reads_nothing_new_for_a_while) {
  TouchRecorder recorder;
  const auto start = Clock::now();
  recorder.note(1, start + milliseconds(10));
  recorder.note(2, start + trace_pause);
  EXPECT_FALSE(recorder.touches(start + trace_pause).complete);
  EXPECT_TRUE(recorder.touches(start + 2 * trace_pause).complete);
  recorder.note(3, start + 2 * trace_pause);
  EXPECT_EQ(recorder.touches().touches.size(), 2U) << "the guest has booted";
}

TEST(TouchRecorder, ends_with_its_window_and_when_it_is_full) {
  TouchRecorder slow;
  const auto start = Clock::now();
  for (std::uint64_t i = 0; i < 100; ++i) slow.note(i, start + i * trace_pause / 2);
  EXPECT_EQ(slow.touches().touches.size(), 16U) << "of 120 s, one each 7.5 s";
  TouchRecorder fast;
  for (std::uint64_t i = 0; i < 2 * max_touches; ++i) fast.note(i, start);
  EXPECT_EQ(fast.touches(start).touches.size(), max_touches);
  EXPECT_TRUE(fast.touches(start).complete);
}

}  // namespace
}  // namespace kiln::blocks
