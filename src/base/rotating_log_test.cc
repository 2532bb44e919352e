#include "base/rotating_log.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/bytes.h"
#include "base/faulty_files.h"

namespace kiln::base {
namespace {

using namespace std::chrono_literals;

class RotatingLogTest : public testing::Test {
 protected:
  std::unique_ptr<RotatingLog> start(std::uint64_t file_bytes = 1 << 20, int files = 2,
                                     std::size_t queue_bytes = 1 << 20) {
    return std::make_unique<RotatingLog>(disk_, clock_,
                                         RotatingLog::Options{.directory = "/audit",
                                                              .file_bytes = file_bytes,
                                                              .files = files,
                                                              .queue_bytes = queue_bytes,
                                                              .gap = [](auto n) { return "lost " + std::to_string(n); },
                                                              .retry = 1ms});
  }
  std::string content(const std::string& name = "audit.log") {
    const auto text = disk_.read_all("/audit/" + name);
    return text ? *text : text.error().message();
  }
  std::vector<std::string> names() { return *disk_.list("/audit"); }

  FaultyFiles disk_;
  SystemClock clock_;
};

TEST_F(RotatingLogTest, lines_are_there_in_order_across_starts) {
  auto log = start();
  for (const auto* line : {"a", "b", "c"}) log->write(line);
  ASSERT_TRUE(log->flush(10s));
  EXPECT_EQ(content(), "a\nb\nc\n");
  log = nullptr;
  log = start();
  log->write("d");
  log = nullptr;
  EXPECT_EQ(content(), "a\nb\nc\nd\n");
}

TEST_F(RotatingLogTest, a_full_file_makes_place_and_the_oldest_goes) {
  auto log = start(10, 2);
  for (int i = 0; i < 50; ++i) {
    log->write("line " + std::to_string(i));
    ASSERT_TRUE(log->flush(10s));
  }
  const auto all = names();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(content(), "line 49\n");
  EXPECT_EQ(content(all[1]), "line 48\n");
  EXPECT_EQ(content(all[0]), "line 47\n");
  EXPECT_LT(all[0], all[1]);
}

TEST_F(RotatingLogTest, a_full_disk_holds_up_nobody_and_what_is_lost_is_counted) {
  auto log = start(1 << 20, 2, 20'000);
  log->write("before");
  ASSERT_TRUE(log->flush(10s));
  disk_.set_capacity(1);
  const std::string more(100, '.');
  for (int i = 0; i < 1000; ++i) log->write("line " + std::to_string(i) + more);
  EXPECT_FALSE(log->flush(10ms));
  const auto lost = log->dropped();
  EXPECT_GT(lost, 100U);
  disk_.set_capacity(0);
  ASSERT_TRUE(log->flush(10s));
  log->write("after");
  ASSERT_TRUE(log->flush(10s));
  std::istringstream text(content());
  std::string line, last;
  std::uint64_t lines = 0, told = 0;
  for (; std::getline(text, line); last = line) {
    if (line.starts_with("lost "))
      told += std::stoull(line.substr(5));
    else
      ++lines;
  }
  EXPECT_EQ(last, "after");
  EXPECT_EQ(told, lost);
  EXPECT_EQ(lines, 1 + 1000 - lost + 1);  // each once
}

TEST_F(RotatingLogTest, after_a_power_cut_there_are_whole_lines_alone) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    FaultyFiles disk(seed);
    const RotatingLog::Options options{
        .directory = "/audit", .file_bytes = 4000, .files = 100, .gap = {}, .retry = 1ms};
    {
      RotatingLog log(disk, clock_, options);
      for (int i = 0; i < 300; ++i) log.write("line " + std::to_string(i) + std::string(i % 50, '.'));
      ASSERT_TRUE(log.flush(10s));
      disk.die_before(1);
    }
    disk.restart(FaultyFiles::Crash::power);
    {
      RotatingLog log(disk, clock_, options);
      log.write("line after");
      ASSERT_TRUE(log.flush(10s));
    }
    const auto text = *disk.read_all("/audit/audit.log");
    EXPECT_TRUE(text.ends_with("line after\n")) << seed;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      EXPECT_TRUE(std::string_view(text).substr(at).starts_with("line ")) << seed << ": " << text.substr(at);
    }
  }
}

}  // namespace
}  // namespace kiln::base
