// What a client may and may not ask of an export. A guest's QEMU is trusted no more than any other client: whatever
// arrives, the process lives, the bytes stay, and the answer is the one that the NBD protocol prescribes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "blocks/map_log.h"
#include "nbd/raw_client_testing.h"
#include "nbd/served_testing.h"

namespace kiln::nbd {
namespace {

std::uint64_t seed_of_test() {
  const char* text = std::getenv("KILN_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

// A volume of size_bytes that begins with content, and a client that sends anything.
struct Requests : Served {
  static constexpr std::uint64_t size_bytes = 128 * mib;
  base::Bytes content = pattern(1, 3 * mib + 4096);
  RawClient client;

  void begin() {
    serve(size_bytes, content);
    ASSERT_TRUE(client.connect(server.nbd_socket(), volume));
  }
  // Another client finds the process alive and every byte in its place.
  void expect_unharmed(const std::string& after) {
    EXPECT_TRUE(server.runs()) << after << "\n" << server.log();
    Client other;
    ASSERT_TRUE(other.connect(server, volume)) << after;
    ASSERT_EQ(other.read(0, content.size()), content) << after;
    EXPECT_EQ(other.read(size_bytes - mib, mib), base::Bytes(mib)) << after;
    EXPECT_TRUE(other.flush()) << after;
  }
  // Which units of the volume a COMMIT of its log covers, as after a power cut.
  bool is_durable(std::uint64_t offset) const {
    auto file = base::posix_files().open(server.volume_directory(volume) / "gen-1.map", base::Open::read);
    if (!file) return false;
    const auto log = blocks::replay_map_log(
        [&](std::uint64_t at, std::span<std::byte> out) { return (*file)->read_at(at, out); },
        {.volume = volume, .generation = 1}, size_bytes, "another boot", blocks::Replay::as_boot_allows);
    return log && log->map.state(offset / blocks::unit_bytes) == blocks::UnitState::data;
  }
};

TEST_F(Requests, illegal_ones_are_refused_as_the_protocol_says_and_change_nothing) {
  begin();
  struct Illegal {
    const char* what;
    NbdRequest request;
    std::size_t payload;
    std::uint32_t error;
  };
  constexpr std::uint32_t most = 0xFFFFFFFF;
  constexpr std::uint64_t end = size_bytes;
  const Illegal requests[] = {
      {"read across the end", {cmd_read, 0, end - 4096, 8192}, 0, nbd_einval},
      {"read past the end", {cmd_read, 0, end, 512}, 0, nbd_einval},
      {"read at an offset that wraps", {cmd_read, 0, ~std::uint64_t{0} - 511, 512}, 0, nbd_einval},
      {"read whose end wraps", {cmd_read, 0, ~std::uint64_t{0} - 511, 4096}, 0, nbd_einval},
      {"read of 64 MiB + 1", {cmd_read, 0, 0, (64 << 20) + 1}, 0, nbd_enomem},
      {"read of 4 GiB - 1", {cmd_read, 0, 0, most}, 0, nbd_einval},
      {"read with an unknown flag", {cmd_read, 1 << 9, 0, 512}, 0, nbd_einval},
      {"write across the end", {cmd_write, 0, end - 4096, 8192}, 8192, nbd_enospc},
      {"write past the end", {cmd_write, flag_fua, end, 512}, 512, nbd_enospc},
      {"write far past the end", {cmd_write, 0, std::uint64_t{1} << 62, 4096}, 4096, nbd_enospc},
      {"write of 64 MiB + 1", {cmd_write, 0, 0, (64 << 20) + 1}, (64 << 20) + 1, nbd_enomem},
      {"write with unknown flags", {cmd_write, 0xFFFE, 0, 512}, 512, nbd_einval},
      {"trim over the end", {cmd_trim, 0, end - 4096, 8192}, 0, nbd_einval},
      {"trim of 4 GiB - 1", {cmd_trim, 0, 0, most}, 0, nbd_einval},
      {"trim that wraps", {cmd_trim, flag_fua, ~std::uint64_t{0}, most}, 0, nbd_einval},
      {"zeroes over the end", {cmd_write_zeroes, 0, end - 4096, 8192}, 0, nbd_enospc},
      {"zeroes of 4 GiB - 1", {cmd_write_zeroes, flag_fast_zero, 4096, most}, 0, nbd_enospc},
      {"zeroes with an unknown flag", {cmd_write_zeroes, 1 << 12, 0, 4096}, 0, nbd_einval},
      {"cache over the end", {cmd_cache, 0, end - 4096, 8192}, 0, nbd_einval},
      {"flush of a range", {cmd_flush, 0, 4096, 4096}, 0, nbd_einval},
      {"flush with an unknown flag", {cmd_flush, 1 << 7, 0, 0}, 0, nbd_einval},
      {"a block status that was not negotiated", {cmd_block_status, 0, 0, most}, 0, nbd_einval},
      {"an unknown command", {77, 0, 0, 512}, 0, nbd_einval},
      {"the last command there can be", {0xFFFF, 0xFFFF, ~std::uint64_t{0}, most}, 0, nbd_einval},
  };
  for (const auto& illegal : requests) {
    const base::Bytes payload(illegal.payload, std::byte{0xA5});
    EXPECT_EQ(client.ask(illegal.request, payload), illegal.error) << illegal.what;
    // The connection is good for the next request.
    EXPECT_EQ(client.ask({cmd_read, 0, 512, 4096}), std::uint32_t{nbd_ok}) << "after " << illegal.what;
    ASSERT_TRUE(std::equal(client.content.begin(), client.content.end(), content.begin() + 512)) << illegal.what;
  }
  expect_unharmed("all of them");
}

TEST_F(Requests, a_length_that_can_only_be_nonsense_costs_its_sender_the_connection) {
  begin();
  EXPECT_EQ(client.ask({.command = cmd_write, .count = 0xFFFFFFFF}), std::uint32_t{nbd_gone});
  expect_unharmed("a write of 4 GiB - 1");
  ASSERT_TRUE(client.connect(server.nbd_socket(), volume));
  EXPECT_EQ(client.ask({.command = cmd_read, .count = 512, .magic = 0x12345678}), std::uint32_t{nbd_gone});
  expect_unharmed("a request that is none");
}

TEST_F(Requests, empty_ones_and_the_longest_legal_ones_are_answered) {
  begin();
  // The protocol leaves the meaning of an empty request to the server, which must answer and do nothing.
  for (const auto command : {cmd_read, cmd_write, cmd_trim, cmd_write_zeroes, cmd_cache}) {
    const auto error = client.ask({.command = command, .offset = 4096, .count = 0});
    EXPECT_TRUE(error == nbd_ok || error == nbd_einval || error == nbd_enospc)
        << "an empty command " << command << ": " << error;
  }
  expect_unharmed("empty requests");
  ASSERT_EQ(client.ask({cmd_read, 0, 0, 64 << 20}), std::uint32_t{nbd_ok});
  EXPECT_TRUE(std::equal(content.begin(), content.end(), client.content.begin()));
  const auto longest = pattern(2, 64 * mib);
  EXPECT_EQ(client.ask({cmd_write, 0, 8 * mib, 64 << 20}, longest), std::uint32_t{nbd_ok});
  Client other;
  ASSERT_TRUE(other.connect(server, volume));
  EXPECT_EQ(other.read(8 * mib, 64 * mib), longest);
  EXPECT_EQ(client.ask({cmd_write_zeroes, 0, 8 * mib, 120 << 20}), std::uint32_t{nbd_ok});
  EXPECT_EQ(other.read(8 * mib, 64 * mib), base::Bytes(64 * mib));
  expect_unharmed("the longest requests");
}

TEST_F(Requests, any_offset_and_length_is_served_to_the_byte) {
  begin();
  const auto seed = seed_of_test();
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr std::uint64_t window = 4 * mib;
  auto expected = content;
  expected.resize(window);
  const auto below = [&](std::uint64_t limit) { return random() % limit; };
  for (int round = 0; round < 1500; ++round) {
    const auto count = 1 + below(round % 50 == 0 ? 300'000 : 9000);
    const auto offset = below(window - count);
    const std::uint16_t fua = below(40) == 0 ? flag_fua : 0;
    const auto part = expected.begin() + static_cast<std::ptrdiff_t>(offset);
    const auto length = static_cast<std::uint32_t>(count);
    switch (below(4)) {
      case 0: {
        const auto bytes = pattern(random(), count);
        ASSERT_EQ(client.ask({cmd_write, fua, offset, length}, bytes), std::uint32_t{nbd_ok});
        std::copy(bytes.begin(), bytes.end(), part);
        break;
      }
      case 1:
        ASSERT_EQ(client.ask({cmd_write_zeroes, fua, offset, length}), std::uint32_t{nbd_ok});
        std::fill_n(part, count, std::byte{0});
        break;
      case 2: {
        // A hint: what was trimmed reads as zeros or as it was, and this engine takes whole units.
        ASSERT_EQ(client.ask({cmd_trim, fua, offset, length}), std::uint32_t{nbd_ok});
        const auto first = (offset + 4095) / 4096 * 4096;
        const auto last = (offset + count) / 4096 * 4096;
        if (first < last)
          std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(first), last - first, std::byte{0});
        break;
      }
      default:
        ASSERT_EQ(client.ask({cmd_read, 0, offset, length}), std::uint32_t{nbd_ok});
        ASSERT_TRUE(std::equal(client.content.begin(), client.content.end(), part)) << count << " at " << offset;
    }
  }
  Client other;
  ASSERT_TRUE(other.connect(server, volume));
  EXPECT_EQ(other.read(0, window), expected);
}

TEST_F(Requests, a_client_that_vanishes_in_the_middle_of_one_takes_nothing_with_it) {
  begin();
  const auto half = pattern(9, 700'000);
  for (int round = 0; round < 8; ++round) {
    RawClient gone;
    ASSERT_TRUE(gone.connect(server.nbd_socket(), volume));
    // A write whose payload does not arrive is none.
    ASSERT_TRUE(gone.send({cmd_write, 0, mib, 2 << 20}, std::span(half).first(1 + round * 90'000)));
    gone.hang_up();
    RawClient torn;
    ASSERT_TRUE(torn.connect(server.nbd_socket(), volume));
    ASSERT_TRUE(torn.send_bytes(std::span(half).first(3)));  // less than a request
    torn.hang_up();
  }
  expect_unharmed("clients that vanished");
}

// nbdkit 1.32 aborts when two answers are due to a client that hung up ("raw_send_socket: Assertion `sock >= 0'"). A
// guest's QEMU is the only client of its process, so nobody else is hurt; what was acknowledged has to be there
// nevertheless.
TEST_F(Requests, a_client_that_vanishes_with_answers_unread_costs_at_most_a_restart) {
  begin();
  const auto acknowledged = pattern(7, mib);
  std::copy(acknowledged.begin(), acknowledged.end(), content.begin() + mib);
  ASSERT_EQ(client.ask({cmd_write, 0, mib, 1 << 20}, acknowledged), std::uint32_t{nbd_ok});
  for (int round = 0; round < 4; ++round) {
    RawClient deaf;
    ASSERT_TRUE(deaf.connect(server.nbd_socket(), volume));
    for (int i = 0; i < 16; ++i) ASSERT_TRUE(deaf.send({cmd_read, 0, 0, 8 << 20}));
    deaf.hang_up();
    // Whoever is asked for next finds the process either well or gone.
    const auto read = [&] {
      Client next;
      return next.connect(server, volume) && next.read(0, 4096).size() == 4096;
    };
    if (!read()) {
      ASSERT_TRUE(becomes_true([&] { return !server.runs(); })) << "neither well nor gone";
      EXPECT_NE(server.log().find("raw_send_socket: Assertion"), std::string::npos) << server.log();
      ASSERT_TRUE(server.start()) << server.log();
    }
  }
  ASSERT_TRUE(server.runs() || server.start()) << server.log();
  expect_unharmed("clients that did not read");
}

// Client refuses most of this itself; with strict mode off it is sent.
TEST_F(Requests, a_library_that_checks_nothing_gets_errors_and_no_crash) {
  begin();
  Client lax;
  nbd_set_strict_mode(lax.get(), 0);
  ASSERT_TRUE(lax.connect(server, volume));
  base::Bytes buffer(8192);
  const auto refused = [](int outcome) { return outcome != 0 ? nbd_get_errno() : 0; };
  EXPECT_EQ(refused(nbd_pread(lax.get(), buffer.data(), 8192, size_bytes - 4096, 0)), EINVAL);
  EXPECT_EQ(refused(nbd_pwrite(lax.get(), buffer.data(), 8192, size_bytes - 4096, 0)), ENOSPC);
  EXPECT_EQ(refused(nbd_trim(lax.get(), 8192, size_bytes - 4096, 0)), EINVAL);
  EXPECT_EQ(refused(nbd_zero(lax.get(), 8192, size_bytes - 4096, 0)), ENOSPC);
  EXPECT_EQ(refused(nbd_pread(lax.get(), buffer.data(), 512, 0, LIBNBD_CMD_FLAG_FUA)), 0) << "reads may carry FUA";
  EXPECT_NE(refused(nbd_flush(lax.get(), LIBNBD_CMD_FLAG_REQ_ONE)), 0);
  std::string output;
  EXPECT_EQ(run({"/usr/bin/python3", "-m", "nbd", "-u", server.uri(volume), "-c", R"(
h.set_strict_mode(0)
for ask in (lambda: h.pread(64 * 1024 * 1024 + 1, 0), lambda: h.pread(512, h.get_size()),
            lambda: h.pwrite(b'x' * 512, h.get_size()), lambda: h.trim(0xFFFFFFFF, 0), lambda: h.zero(0xFFFFFFFF, 0),
            lambda: h.block_status(0xFFFFFFFF, 0, lambda *a: 0), lambda: h.cache(0xFFFFFFFF, 4096)):
    try:
        ask()
        raise SystemExit('an illegal request was served')
    except nbd.Error as error:
        print(error.errno)
)"},
                &output),
            0);
  expect_unharmed("nbdsh: " + output);
}

TEST_F(Requests, a_block_status_longer_than_any_extent_is_answered_on_disks_that_are_longer) {
  constexpr std::uint64_t tib = std::uint64_t{1} << 40;
  serve(64 * tib, content);
  Client lax;
  nbd_set_strict_mode(lax.get(), 0);
  ASSERT_TRUE(lax.connect(server, volume));
  ASSERT_TRUE(lax.write(40 * tib, base::Bytes(4096, std::byte{1})));
  std::vector<std::uint32_t> entries;
  const auto each = [](void* user, const char*, std::uint64_t, std::uint32_t* found, std::size_t count, int*) {
    static_cast<std::vector<std::uint32_t>*>(user)->assign(found, found + count);
    return 0;
  };
  const nbd_extent_callback callback = {.callback = each, .user_data = &entries, .free = nullptr};
  constexpr std::uint32_t most = 0xFFFFFFFF;
  for (const auto offset :
       {std::uint64_t{0}, std::uint64_t{512}, 5 * mib + 3, 40 * tib - mib, 63 * tib, 40 * tib - most}) {
    for (const std::uint32_t flags : {std::uint32_t{0}, std::uint32_t{LIBNBD_CMD_FLAG_REQ_ONE}}) {
      entries.clear();
      ASSERT_EQ(nbd_block_status(lax.get(), most, offset, callback, flags), 0) << offset << nbd_get_error();
      ASSERT_GE(entries.size(), 2U);
      EXPECT_TRUE(flags == 0 || entries.size() == 2) << entries.size();
      std::uint64_t covered = 0;
      for (std::size_t i = 0; i < entries.size(); i += 2) covered += entries[i];
      EXPECT_LE(covered, std::uint64_t{most}) << "at " << offset;
      EXPECT_GT(covered, 0U);
    }
  }
  EXPECT_NE(nbd_block_status(lax.get(), most, 64 * tib - mib, callback, 0), 0) << "it reaches over the end";
  EXPECT_EQ(lax.read(0, content.size()), content);
  EXPECT_TRUE(server.runs()) << server.log();
}

// What NBD_FLAG_CAN_MULTI_CONN promises, and what FUA does.
TEST_F(Requests, a_flush_on_one_connection_makes_durable_what_others_were_told_is_written) {
  begin();
  RawClient others[3];
  for (auto& other : others) ASSERT_TRUE(other.connect(server.nbd_socket(), volume));
  for (std::uint64_t round = 0; round < 20; ++round) {
    const auto base = (16 + round) * mib;
    const auto bytes = pattern(round, 4096);
    for (std::uint64_t i = 0; i < 3; ++i) {
      ASSERT_EQ(others[i].ask({cmd_write, 0, base + i * 65536, 4096}, bytes), std::uint32_t{nbd_ok});
      EXPECT_FALSE(is_durable(base + i * 65536)) << "nobody has asked for that";
    }
    ASSERT_EQ(client.ask({.command = cmd_flush}), std::uint32_t{nbd_ok});
    for (std::uint64_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(is_durable(base + i * 65536)) << "written on connection " << i << ", flushed on another";
      ASSERT_EQ(others[(i + 1) % 3].ask({cmd_read, 0, base + i * 65536, 4096}), std::uint32_t{nbd_ok});
      EXPECT_EQ(others[(i + 1) % 3].content, bytes);
    }
    ASSERT_EQ(others[0].ask({cmd_write, flag_fua, base + 512 * 1024, 4096}, bytes), std::uint32_t{nbd_ok});
    EXPECT_TRUE(is_durable(base + 512 * 1024)) << "force unit access";
  }
}

}  // namespace
}  // namespace kiln::nbd
