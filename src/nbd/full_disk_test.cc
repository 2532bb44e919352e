// A volume on a file system that is really full: a tmpfs of the test's own, in a mount namespace of its own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "nbd/raw_client_testing.h"
#include "nbd/served_testing.h"

namespace kiln::nbd {
namespace {

constexpr std::uint32_t write_bytes = 32 << 10;
constexpr std::uint64_t disk_bytes = 16 * mib;

// Fills bytes with stamp, so that each sector tells who wrote it.
base::Bytes stamped(std::uint64_t stamp, std::size_t count) {
  base::Bytes bytes(count);
  for (std::size_t at = 0; at < count; at += 8) std::memcpy(bytes.data() + at, &stamp, 8);
  return bytes;
}

struct FullDisk : Served {
  RawClient client;
  // By sector: what it may hold. More than one where a write was refused, which may have been done in part.
  std::vector<std::set<std::uint64_t>> allowed{disk_bytes / 512, std::set<std::uint64_t>{0}};
  std::uint64_t last_stamp = 0;

  // Mounts must be possible; elsewhere there is no disk that can be filled without harm.
  void SetUp() override {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", server.path("volumes").c_str(), "tmpfs", 0, "size=6m") != 0) {
      GTEST_SKIP() << "needs root for a file system of its own: " << std::strerror(errno);
    }
    mounted_ = true;
    serve(disk_bytes);
    ASSERT_TRUE(client.connect(server.nbd_socket(), volume));
  }
  void TearDown() override {
    if (!mounted_) return;
    server.kill_now();
    EXPECT_EQ(::umount2(server.path("volumes").c_str(), MNT_DETACH), 0) << std::strerror(errno);
  }

  // Takes all that is free but for spare bytes.
  void fill(std::uint64_t spare) {
    const auto path = server.path("volumes/filler");
    const auto free = std::filesystem::space(server.path("volumes")).available;
    if (free <= spare) return;
    auto file = base::posix_files().open(path, base::Open::create_or_open);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write_at(*(*file)->size(), base::Bytes(free - spare)).ok());
  }
  void make_space() { std::filesystem::remove(server.path("volumes/filler")); }

  std::uint32_t write(std::uint64_t offset, std::uint32_t count, std::uint16_t flags = 0) {
    const auto stamp = ++last_stamp;
    const auto error = client.ask({cmd_write, flags, offset, count}, stamped(stamp, count));
    for (auto sector = offset / 512; sector < (offset + count) / 512; ++sector) {
      // With force unit access a write may be there and its log not yet.
      if (error == nbd_ok) allowed[sector].clear();
      allowed[sector].insert(stamp);
    }
    return error;
  }
  std::uint32_t flush() { return client.ask({.command = cmd_flush}); }

  void expect_all_there(const char* when) {
    ASSERT_EQ(client.ask({cmd_read, 0, 0, disk_bytes}), std::uint32_t{nbd_ok}) << when;
    for (std::size_t sector = 0; sector < allowed.size(); ++sector) {
      std::uint64_t found[64];
      std::memcpy(found, client.content.data() + sector * 512, sizeof found);
      ASSERT_TRUE(allowed[sector].contains(found[0])) << when << ": sector " << sector << " holds " << found[0];
      for (const auto stamp : found) ASSERT_EQ(stamp, found[0]) << when << ": sector " << sector << " is torn";
    }
  }
  // Kills the process, and serves again what is there.
  void restart() {
    server.kill_now();
    ASSERT_TRUE(server.start()) << server.log();
    ASSERT_TRUE(client.connect(server.nbd_socket(), volume)) << server.log();
  }

 private:
  bool mounted_ = false;
};

TEST_F(FullDisk, refuses_writes_for_want_of_space_and_keeps_all_that_it_acknowledged) {
  std::uint64_t end = 0;
  auto error = std::uint32_t{nbd_ok};
  for (; end < disk_bytes; end += write_bytes) {
    if (error = write(end, write_bytes); error != nbd_ok) break;
  }
  EXPECT_EQ(error, std::uint32_t{nbd_enospc});
  ASSERT_GT(end, 4 * mib) << "most of the file system is data";
  expect_all_there("when it is full");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(write(12 * mib, write_bytes), std::uint32_t{nbd_enospc}) << "still full";
  // What is allocated needs no space.
  for (std::uint64_t at = 0; at < end; at += 4 * write_bytes) {
    ASSERT_EQ(write(at, write_bytes), std::uint32_t{nbd_ok}) << "a second write at " << at;
  }
  EXPECT_EQ(flush(), std::uint32_t{nbd_ok});
  const auto sealed = server.control().seal({{.volume = volume, .snapshot = "snap-1"}});
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().fault(), base::Fault::no_space) << sealed.error().message();
  EXPECT_FALSE(server.control().stats()->front().failed);
  expect_all_there("after a snapshot that was refused");
  restart();
  expect_all_there("after a kill, still full");

  ASSERT_EQ(client.ask({cmd_trim, 0, 1 * mib, 1 << 20}), std::uint32_t{nbd_ok}) << "trimming gives space";
  for (auto sector = 1 * mib / 512; sector < 2 * mib / 512; ++sector) allowed[sector] = {0};
  EXPECT_EQ(write(12 * mib, write_bytes), std::uint32_t{nbd_ok}) << "the write that was refused";
  EXPECT_EQ(flush(), std::uint32_t{nbd_ok});
  ASSERT_TRUE(server.control().seal({{.volume = volume, .snapshot = "snap-1"}}).ok());
  ASSERT_TRUE(server.control().sealed({volume, "snap-1"}).ok());
  restart();
  expect_all_there("in the end");
}

TEST_F(FullDisk, a_log_without_space_refuses_flushes_and_gives_up_nothing) {
  ASSERT_EQ(write(0, write_bytes), std::uint32_t{nbd_ok});
  fill(0);
  // Zeroes of fresh units are records only; the last one that has space ends a page of the log.
  auto error = std::uint32_t{nbd_ok};
  std::uint64_t zeroed = 8 * mib;
  for (; error == nbd_ok && zeroed < disk_bytes; zeroed += 8192) {
    error = client.ask({cmd_write_zeroes, 0, zeroed, 4096});
  }
  ASSERT_EQ(error, std::uint32_t{nbd_enospc});
  EXPECT_EQ(flush(), std::uint32_t{nbd_enospc}) << "its COMMIT has no space";
  EXPECT_EQ(write(0, write_bytes), std::uint32_t{nbd_ok}) << "what is allocated is written without a record";
  EXPECT_EQ(write(4096, 4096, flag_fua), std::uint32_t{nbd_enospc});
  EXPECT_FALSE(server.control().stats()->front().failed) << "no space is no failure";
  expect_all_there("without space for the log");

  // Killed now, it cannot write down that it is open: it is not served, and is as soon as there is space.
  server.kill_now();
  ASSERT_TRUE(server.start()) << server.log();
  EXPECT_FALSE(client.connect(server.nbd_socket(), volume));
  EXPECT_EQ(server.control().open({.volume = volume, .epoch = 1}).error().fault(), base::Fault::no_space);
  make_space();
  const auto opened = server.control().open({.volume = volume, .epoch = 1});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  ASSERT_TRUE(client.connect(server.nbd_socket(), volume));
  expect_all_there("after a kill without space for the log");
  EXPECT_EQ(flush(), std::uint32_t{nbd_ok});
}

// The log of a volume runs out of space at any record: that of a write, of a flush, of a cut.
TEST_F(FullDisk, filled_and_emptied_again_and_again_it_loses_nothing) {
  const char* text = std::getenv("KILN_SEED");
  const auto seed = text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  int refused = 0, refused_flushes = 0;
  for (int round = 0; round < 16; ++round) {
    // Often nothing at all is spare, so that it is the log that finds no space.
    fill(below(3) == 0 ? below(100'000) : 0);
    for (int i = 0; i < 60; ++i) {
      const auto count = static_cast<std::uint32_t>(512 * (1 + below(24)));
      const auto offset = below((3 * mib - count) / 512) * 512;
      const auto error = write(offset, count, below(6) == 0 ? flag_fua : 0);
      ASSERT_TRUE(error == nbd_ok || error == nbd_enospc) << error << server.log();
      refused += error != nbd_ok;
      if (below(8) != 0) continue;
      const auto flushed = flush();
      ASSERT_TRUE(flushed == nbd_ok || flushed == nbd_enospc) << flushed << server.log();
      refused_flushes += flushed != nbd_ok;
    }
    ASSERT_NO_FATAL_FAILURE(expect_all_there("while full"));
    if (below(3) == 0) {
      server.kill_now();
      make_space();
      restart();
    }
    make_space();
    ASSERT_EQ(flush(), std::uint32_t{nbd_ok}) << "there is space again";
    ASSERT_NO_FATAL_FAILURE(expect_all_there("with space again"));
  }
  std::cout << refused << " writes and " << refused_flushes << " flushes were refused\n";
  EXPECT_GT(refused, 50);
  EXPECT_FALSE(server.control().stats()->front().failed);
}

}  // namespace
}  // namespace kiln::nbd
