#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <random>

#include "base/ids.h"
#include "blocks/sealed_generation.h"
#include "nbd/served_testing.h"

namespace kiln::nbd {
namespace {

TEST_F(Served, a_volume_reads_as_its_base_and_keeps_what_is_written) {
  const auto base = pattern(1, 3 * mib + 4096);
  serve(8 * mib, base);
  Client client;
  ASSERT_TRUE(client.connect(server, volume)) << nbd_get_error();
  EXPECT_EQ(nbd_get_size(client.get()), static_cast<std::int64_t>(8 * mib));
  EXPECT_EQ(client.read(0, base.size()), base);
  EXPECT_EQ(client.read(4 * mib, 4 * mib), base::Bytes(4 * mib));
  const auto change = pattern(2, 5 * 512);
  ASSERT_TRUE(client.write(1 * mib + 1536, change));
  auto expected = base;
  std::copy(change.begin(), change.end(), expected.begin() + 1 * mib + 1536);
  EXPECT_EQ(client.read(0, base.size()), expected);
  Client other;
  ASSERT_TRUE(other.connect(server, volume));
  EXPECT_EQ(other.read(0, base.size()), expected) << "another connection";
}

TEST_F(Served, only_opened_volumes_are_exported_and_none_is_listed) {
  serve(1 * mib);
  const auto unopened = base::new_id("vol");
  ASSERT_TRUE(server.create(unopened, 1 * mib));
  for (const auto& name : {std::string(), unopened, std::string("../") + volume, std::string("vol-x/../") + volume,
                           volume + "/", std::string(4000, 'a')}) {
    Client client;
    EXPECT_FALSE(client.connect(server, name)) << name;
  }
  std::string output;
  run({"nbdinfo", "--list", "nbd+unix://?socket=" + server.nbd_socket()}, &output);
  EXPECT_EQ(output.find(volume), std::string::npos) << output;
  EXPECT_EQ(run({"nbdinfo", server.uri(volume)}, &output), 0);
  EXPECT_NE(output.find("can_multi_conn: true"), std::string::npos) << output;
  EXPECT_NE(output.find("block_size_minimum: 512"), std::string::npos) << output;
}

TEST_F(Served, a_block_status_of_the_longest_length_does_not_end_the_process) {
  serve(8 * mib, pattern(1, mib));
  Client client;
  nbd_set_strict_mode(client.get(), 0);
  ASSERT_TRUE(client.connect(server, volume));
  std::uint64_t covered = 0;
  const auto each = [](void* user, const char*, std::uint64_t, std::uint32_t* entries, std::size_t count, int*) {
    for (std::size_t i = 0; i + 1 < count; i += 2) *static_cast<std::uint64_t*>(user) += entries[i];
    return 0;
  };
  nbd_extent_callback callback = {.callback = each, .user_data = &covered, .free = nullptr};
  nbd_block_status(client.get(), 0xFFFFFFFF, 0, callback, 0);  // refused or answered
  covered = 0;
  EXPECT_EQ(nbd_block_status(client.get(), 8 * mib, 0, callback, 0), 0) << nbd_get_error();
  EXPECT_EQ(covered, 8 * mib);
  EXPECT_TRUE(server.runs()) << server.log();
}

TEST_F(Served, holes_and_zeros_are_told_from_data) {
  serve(8 * mib);
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  ASSERT_TRUE(client.write(2 * mib, pattern(1, mib)));
  ASSERT_EQ(nbd_zero(client.get(), 64 << 10, 2 * mib + (256 << 10), 0), 0);
  ASSERT_EQ(nbd_trim(client.get(), 64 << 10, 2 * mib + (512 << 10), 0), 0);
  std::string output;
  ASSERT_EQ(run({"nbdinfo", "--map", server.uri(volume)}, &output), 0);
  std::vector<std::string> types;
  for (std::size_t at = 0; at < output.size();) {
    auto end = output.find('\n', at);
    std::istringstream line(output.substr(at, end - at));
    std::string offset, length, type;
    line >> offset >> length >> type;
    types.push_back(offset + "+" + length + ":" + type);
    at = end == std::string::npos ? output.size() : end + 1;
  }
  EXPECT_EQ(types, (std::vector<std::string>{"0+2097152:3", "2097152+262144:0", "2359296+65536:3", "2424832+196608:0",
                                             "2621440+65536:3", "2686976+458752:0", "3145728+5242880:3"}));
}

TEST_F(Served, nbdcopy_and_qemu_io_agree_with_it) {
  const auto base = pattern(1, 16 * mib);
  serve(16 * mib, base);
  const auto raw = server.path("disk.raw").string();
  ASSERT_EQ(run({"nbdcopy", server.uri(volume), raw}), 0);
  EXPECT_EQ(*base::posix_files().read_all(raw, 64 * mib), base::as_text(base));
  ASSERT_EQ(run({"qemu-io", "-f",
                 "raw",     "-d",
                 "unmap",   server.uri(volume),
                 "-c",      "write -P 7 512 1024",
                 "-c",      "write -z -u 1M 300k",
                 "-c",      "discard 4M 1M",
                 "-c",      "write -f -P 9 8M 12345k",
                 "-c",      "flush",
                 "-c",      "read -P 7 512 1024",
                 "-c",      "read -P 0 1M 300k",
                 "-c",      "read -P 9 8M 12345k"}),
            1)
      << "the last write lies past the end";
  std::string output;
  ASSERT_EQ(run({"qemu-io", "-f",
                 "raw",     "-d",
                 "unmap",   server.uri(volume),
                 "-c",      "write -P 7 512 1024",
                 "-c",      "write -z -u 1M 300k",
                 "-c",      "discard 4M 1M",
                 "-c",      "write -f -P 9 8M 1M",
                 "-c",      "flush",
                 "-c",      "read -P 7 512 1024",
                 "-c",      "read -P 0 1M 300k",
                 "-c",      "read -P 0 4M 1M",
                 "-c",      "read -P 9 8M 1M"},
                &output),
            0);
  EXPECT_EQ(output.find("failed"), std::string::npos) << output;
  auto written = pattern(3, 16 * mib);
  std::fill_n(written.begin() + 3 * mib, 2 * mib, std::byte{0});
  const auto source = server.path("source.raw");
  {
    const auto file = base::posix_files().open(source, base::Open::create_new);
    ASSERT_TRUE((*file)->write_at(0, written));
  }
  ASSERT_EQ(run({"nbdcopy", "--flush", source.string(), server.uri(volume)}), 0);
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  EXPECT_EQ(client.read(0, 16 * mib), written);
}

TEST_F(Served, acknowledged_writes_survive_a_kill_under_load_and_are_served_again_without_the_daemon) {
  serve(64 * mib, pattern(1, 2 * mib));
  const auto seed = std::getenv("KILN_SEED") != nullptr ? std::strtoull(std::getenv("KILN_SEED"), nullptr, 10) : 1;
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE("KILN_SEED=" + std::to_string(seed) + " round " + std::to_string(round));
    constexpr int writers = 4;
    struct Writer {
      std::map<std::uint64_t, std::uint64_t> acknowledged;  // by sector: the stamp
      std::uint64_t unanswered = ~std::uint64_t{0}, unanswered_stamp = 0;
    };
    std::vector<Writer> written(writers);
    std::atomic<std::uint64_t> count = 0;
    std::vector<std::thread> threads;
    for (int w = 0; w < writers; ++w) {
      threads.emplace_back([&, w] {
        std::mt19937_64 random(seed * 100 + static_cast<std::uint64_t>(round * writers + w));
        Client client;
        if (!client.connect(server, volume)) return;
        // Each writer has sectors of its own, next to those of the others.
        for (std::uint64_t stamp = 1; stamp < 1'000'000; ++stamp) {
          const auto sector = random() % (32 * mib / 512 / writers) * writers + static_cast<std::uint64_t>(w);
          base::Bytes bytes(512);
          const auto value = stamp * 1000 + static_cast<std::uint64_t>(round);
          for (std::size_t at = 0; at < 512; at += 8) std::memcpy(bytes.data() + at, &value, 8);
          written[w].unanswered = sector;
          written[w].unanswered_stamp = value;
          if (!client.write(sector * 512, bytes)) return;
          written[w].acknowledged[sector] = value;
          written[w].unanswered = ~std::uint64_t{0};
          count += 1;
          if (stamp % 64 == 0 && !client.flush()) return;
        }
      });
    }
    EXPECT_TRUE(becomes_true([&] { return count > 1000; }));
    server.kill_now();
    for (auto& thread : threads) thread.join();
    ASSERT_TRUE(server.start()) << server.log();
    Client client;
    ASSERT_TRUE(client.connect(server, volume)) << "nobody opened it again: " << server.log();
    const auto disk = client.read(0, 32 * mib);
    ASSERT_EQ(disk.size(), 32 * mib);
    for (const auto& writer : written) {
      for (const auto& [sector, stamp] : writer.acknowledged) {
        std::uint64_t found;
        std::memcpy(&found, disk.data() + sector * 512, 8);
        if (sector == writer.unanswered && found == writer.unanswered_stamp) continue;
        ASSERT_EQ(found, stamp) << "sector " << sector;
      }
    }
  }
}

TEST_F(Served, a_live_volume_is_sealed_uploaded_and_rebased_while_it_is_written) {
  const auto base = pattern(1, 4 * mib);
  serve(4 * mib, base);
  const auto parent = server.store_disk(base);
  auto control = server.control();
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  ASSERT_TRUE(client.write(mib + 4096, pattern(2, 8192)));
  auto at_cut = client.read(0, 4 * mib);

  const auto sealed = control.seal({{.volume = volume, .snapshot = "snap-1"}});
  ASSERT_TRUE(sealed.ok()) << sealed.error().message();
  ASSERT_TRUE(client.write(mib, pattern(3, 64 << 10)));
  ASSERT_TRUE(client.flush());
  const auto again = control.seal({{.volume = volume, .snapshot = "snap-1"}});
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->front().generation, sealed->front().generation) << "asking twice cuts once";
  ASSERT_TRUE(control.sealed({volume, "snap-1"}).ok());

  const auto cut = blocks::SealedGeneration::open(base::posix_files(), server.volume_directory(volume), "snap-1");
  ASSERT_TRUE(cut.ok()) << cut.error().message();
  EXPECT_EQ(cut->touched_chunks(), std::vector<std::uint64_t>{2});
  EXPECT_EQ(cut->base(), parent);
  auto uploaded = base;
  auto chunk = std::make_shared<const base::Bytes>(base.begin() + mib, base.begin() + mib + blocks::chunk_bytes);
  const auto composed = cut->compose(2, chunk);
  ASSERT_TRUE(composed.ok());
  std::copy(composed->begin(), composed->end(), uploaded.begin() + mib);
  EXPECT_EQ(uploaded, at_cut) << "the cut has what was written before it and nothing later";

  const auto now = client.read(0, 4 * mib);
  const auto disk = server.store_disk(uploaded);
  const auto rebased = control.rebase({.volume = volume, .generation = cut->generation(), .base = disk});
  ASSERT_TRUE(rebased.ok()) << rebased.error().message();
  EXPECT_TRUE(control.rebase({.volume = volume, .generation = cut->generation(), .base = disk}).ok());
  EXPECT_EQ(client.read(0, 4 * mib), now);
  const auto stats = control.stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->front().oldest_generation, stats->front().generation);
}

TEST_F(Served, the_control_socket_opens_grows_closes_and_says_why_not) {
  serve(1 * mib);
  auto control = server.control();
  EXPECT_EQ(control.hello()->instance, "i-0123456789abcdef0");
  EXPECT_EQ(control.open({.volume = base::new_id("vol"), .epoch = 1}).error().fault(), base::Fault::not_found);
  EXPECT_EQ(control.open({.volume = "../etc", .epoch = 1}).error().fault(), base::Fault::invalid);
  EXPECT_EQ(control.open({.volume = volume, .epoch = 0}).error().fault(), base::Fault::fenced);
  EXPECT_TRUE(control.open({.volume = volume, .epoch = 5}).ok());
  EXPECT_EQ(control.resize(volume, 4096).error().fault(), base::Fault::invalid);
  ASSERT_TRUE(control.resize(volume, 2 * mib).ok());
  {
    Client client;
    ASSERT_TRUE(client.connect(server, volume));
    EXPECT_EQ(nbd_get_size(client.get()), static_cast<std::int64_t>(2 * mib)) << "connections made later see it";
    EXPECT_TRUE(client.write(2 * mib - 512, pattern(1, 512)));
    ASSERT_TRUE(control.close(volume).ok());
    EXPECT_FALSE(client.write(0, pattern(1, 512))) << "a closed volume serves nobody";
  }
  Client client;
  EXPECT_FALSE(client.connect(server, volume));
  EXPECT_TRUE(control.close(volume).ok());
  EXPECT_TRUE(server.stop_gently());
  EXPECT_EQ(control.hello().error().fault(), base::Fault::not_found);
}

TEST_F(Served, a_second_process_does_not_take_over_a_volume) {
  serve(1 * mib);
  const auto stolen = blocks::Volume::remove(base::posix_files(), server.volume_directory(volume));
  ASSERT_FALSE(stolen.ok());
  EXPECT_EQ(stolen.error().fault(), base::Fault::busy);
}

}  // namespace
}  // namespace kiln::nbd
