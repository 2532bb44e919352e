// What other people's programs find: fio, which knows what it wrote before the server was killed, and QEMU's blkverify,
// which compares every read with a plain file.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "nbd/served_testing.h"

namespace kiln::nbd {
namespace {

std::uint64_t seed_of_test() {
  const char* text = std::getenv("KILN_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

struct Peers : Served {
  // fio's verdict on the volume, writing in the order that seed gives.
  base::Finished fio(std::uint64_t seed, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"fio",
                                          "--name=kill",
                                          "--ioengine=nbd",
                                          "--uri=" + server.uri(volume),
                                          "--rw=randwrite",
                                          "--bsrange=4k-16k",
                                          "--bs_unaligned=0",
                                          "--iodepth=16",
                                          "--size=32m",
                                          "--fsync=64",
                                          "--verify=crc32c",
                                          "--verify_fatal=1",
                                          "--allrandrepeat=1",
                                          "--randseed=" + std::to_string(seed),
                                          "--aux-path=" + server.path("run").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return base::run({.arguments = std::move(arguments)}, std::chrono::seconds(60));
  }
  // How many blocks fio read to compare them.
  static std::uint64_t compared(const std::string& output) {
    const std::string mark = "issued rwts: total=";
    const auto at = output.find(mark);
    return at == std::string::npos ? 0 : std::strtoull(output.c_str() + at + mark.size(), nullptr, 10);
  }
};

TEST_F(Peers, fio_finds_every_write_that_was_acknowledged_before_a_kill) {
  serve(32 * mib, pattern(1, 8 * mib));
  std::uint64_t verified = 0;
  for (int round = 0; round < 3; ++round) {
    const auto seed = seed_of_test() * 100 + static_cast<std::uint64_t>(round);
    SCOPED_TRACE("KILN_SEED=" + std::to_string(seed_of_test()) + " round " + std::to_string(round));
    const auto before = server.control().stats()->front().writes;
    // fio writes down what has been answered, and then kills the server itself: what was in flight does not count.
    const auto trigger = server.path("run/trigger").string();
    base::Finished writing;
    std::thread writer([&] {
      writing = fio(seed, {"--do_verify=0", "--verify_state_save=1", "--rate_iops=4000", "--trigger-file=" + trigger,
                           "--trigger=kill -9 " + std::to_string(server.pid())});
    });
    EXPECT_TRUE(becomes_true([&] {
      const auto stats = server.control().stats();
      return stats && stats->front().writes > before + 500 * static_cast<std::uint64_t>(round + 1);
    }));
    EXPECT_TRUE(base::posix_files().replace(trigger, {}).ok());
    writer.join();
    EXPECT_TRUE(becomes_true([&] { return !server.runs(); }));
    ASSERT_TRUE(server.start()) << server.log();
    const auto verifying = fio(seed, {"--verify_only=1", "--verify_state_load=1"});
    EXPECT_EQ(verifying.exit_code, 0) << verifying.output;
    EXPECT_GT(compared(verifying.output), 300U) << writing.output << verifying.output;
    verified += compared(verifying.output);
  }
  std::cout << verified << " blocks compared after 3 kills\n";

  // It would have said so.
  const auto seed = seed_of_test() * 100 + 2;
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  for (std::uint64_t at = 0; at < 32 * mib; at += 4 * mib) ASSERT_TRUE(client.write(at, pattern(at, 2 * mib)));
  EXPECT_NE(fio(seed, {"--verify_only=1", "--verify_state_load=1"}).exit_code, 0);
}

TEST_F(Peers, blkverify_finds_no_difference_to_a_plain_file) {
  constexpr std::uint64_t size_bytes = 32 * mib;
  const auto base = pattern(1, 8 * mib);
  serve(size_bytes, base);
  const auto raw = server.path("raw");
  {
    auto file = base::posix_files().open(raw, base::Open::create_new);
    ASSERT_TRUE(file.ok() && (*file)->write_at(0, base).ok() && (*file)->truncate(size_bytes).ok());
  }
  const auto disk = "driver=blkverify,raw.driver=file,raw.filename=" + raw.string() +
                    ",test.driver=nbd,test.server.type=unix,test.server.path=" + server.nbd_socket() +
                    ",test.export=" + volume;
  const auto seed = seed_of_test();
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::string> arguments = {"qemu-io", "--image-opts", disk};
    for (int i = 0; i < 400; ++i) {
      const auto count = 512 * (1 + random() % (i % 20 == 0 ? 600 : 40));
      const auto range = std::to_string(random() % ((size_bytes - count) / 512) * 512) + " " + std::to_string(count);
      const auto byte = std::to_string(1 + random() % 255);
      const std::string commands[] = {"aio_write -q -P " + byte + " " + range,
                                      "write -q -P " + byte + " " + range,
                                      i % 10 == 0 ? "write -q -f -P " + byte + " " + range : "read -q " + range,
                                      "write -q -P 0 " + range,
                                      "aio_read -q " + range,
                                      "read -q " + range,
                                      i % 10 == 0 ? "flush" : "aio_read -q " + range};
      // QEMU 7.2's blkverify aborts on zero writes that carry no bytes. Requests in flight that overlap may end in
      // either order, and then the two disks may rightly differ.
      arguments.insert(arguments.end(), {"-c", commands[random() % std::size(commands)], "-c", "aio_flush"});
    }
    arguments.insert(arguments.end(), {"-c", "read -q 0 " + std::to_string(size_bytes)});
    const auto finished = base::run({.arguments = arguments}, std::chrono::seconds(60));
    EXPECT_EQ(finished.exit_code, 0) << finished.output;
    EXPECT_EQ(finished.output.find("mismatch"), std::string::npos) << finished.output;
    server.kill_now();
    ASSERT_TRUE(server.start()) << server.log();
  }
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  EXPECT_EQ(base::as_text(client.read(0, size_bytes)), *base::posix_files().read_all(raw, 2 * size_bytes));

  // It would have said so.
  ASSERT_TRUE(client.write(5 * mib, base::Bytes(512, std::byte{0x77})));
  const auto finished =
      base::run({.arguments = {"qemu-io", "--image-opts", disk, "-c", "read -q 0 8M"}}, std::chrono::seconds(60));
  EXPECT_NE(finished.exit_code, 0) << finished.output;
  EXPECT_NE(finished.output.find("mismatch"), std::string::npos) << finished.output;
}

}  // namespace
}  // namespace kiln::nbd
