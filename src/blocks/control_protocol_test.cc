#include "blocks/control_protocol.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <random>
#include <thread>

#include "base/ids.h"
#include "blocks/control_protocol_server.h"
#include "blocks/remote_volumes.h"
#include "blocks/sealed_generation.h"
#include "blocks/volume_table.h"
#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

using base::Fault;

constexpr std::uint64_t mib = 1 << 20;
const std::string id = "vol-0123456789abcdef0";

// Open volumes in memory, behind a real socket.
struct ControlTest : ::testing::Test {
  base::FaultyFiles files;
  MemoryDisks disks;
  const base::Path root = durable_directory(files);
  const base::Path socket = std::filesystem::temp_directory_path() / ("kiln-" + base::random_hex(6) + ".sock");
  VolumeTable table{files, disks, {.directory = root, .instance = "i-1", .state_file = "/disk/open"}};
  std::unique_ptr<ControlServer> server;
  RemoteVolumes remote{socket, std::chrono::seconds(20)};

  ControlTest() {
    EXPECT_TRUE(Volume::create(files, root / id, {.volume = id, .size_bytes = mib, .base = {}, .epoch = 3}).ok());
    start();
  }
  ~ControlTest() override {
    server.reset();
    std::filesystem::remove(socket);
  }
  void start(ControlServer::Options options = {}) {
    server.reset();
    auto listener = ControlServer::listen_at(socket);
    ASSERT_TRUE(listener.ok()) << listener.error().message();
    server = std::make_unique<ControlServer>(std::move(*listener), table, options);
  }
};

TEST_F(ControlTest, every_call_reaches_the_volumes_and_brings_its_answer_back) {
  const auto hello = remote.hello();
  ASSERT_TRUE(hello.ok()) << hello.error().message();
  EXPECT_EQ(hello->instance, "i-1");
  EXPECT_EQ(hello->volume_format, volume_format);
  ASSERT_TRUE(remote.open({.volume = id, .epoch = 3}).ok());
  ASSERT_TRUE(remote.resize(id, 2 * mib).ok());
  const auto sealed = remote.seal({{id, "snap-1"}});
  ASSERT_TRUE(sealed.ok()) << sealed.error().message();
  EXPECT_EQ(sealed->front().snapshot, "snap-1");
  ASSERT_TRUE(remote.sealed({id, "snap-1"}).ok());
  const auto stats = remote.stats();
  ASSERT_EQ(stats->size(), 1U);
  EXPECT_EQ(stats->front().size_bytes, 2 * mib);
  EXPECT_EQ(stats->front().generation, sealed->front().generation + 1);
  ASSERT_TRUE(remote.unseal({id, "snap-1"}).ok());
  ASSERT_TRUE(remote.seal({{id, "snap-2"}}).ok());
  ASSERT_TRUE(remote.rebase({id, sealed->front().generation + 1, {.root = {}, .size_bytes = 2 * mib}}).ok());
  ASSERT_TRUE(remote.close(id).ok());
  EXPECT_TRUE(remote.stats()->empty());
}

TEST_F(ControlTest, what_a_guest_read_first_is_told_and_brought_near) {
  const auto other = base::new_id("vol");
  base::Bytes content(3 * chunk_bytes, std::byte{1});
  std::fill_n(content.begin() + chunk_bytes, chunk_bytes, std::byte{});
  const auto disk = disks.add(content);
  const NewVolume made{.volume = other, .size_bytes = content.size(), .base = disk, .epoch = 1};
  ASSERT_TRUE(Volume::create(files, root / other, made).ok());
  ASSERT_TRUE(remote.open({.volume = other, .epoch = 1}).ok());
  base::Bytes out(4096);
  for (const std::uint64_t chunk : {2, 1, 0, 2}) {
    ASSERT_TRUE(table.find(other)->read(chunk * chunk_bytes, out).ok());
  }
  const auto seen = remote.launch_touches(other);
  ASSERT_TRUE(seen.ok()) << seen.error().message();
  ASSERT_EQ(seen->touches.size(), 2U) << "nobody fetches zeros";
  EXPECT_EQ(seen->touches[0].chunk_index, 2U);
  EXPECT_EQ(seen->touches[1].chunk_index, 0U);
  EXPECT_FALSE(seen->complete);
  EXPECT_TRUE(remote.prefetch({.volume = other, .chunks = {2, 0, 1, 77}}).ok());
  EXPECT_EQ(remote.prefetch({.volume = id}).error().fault(), Fault::not_found);
  EXPECT_EQ(remote.launch_touches(id).error().fault(), Fault::not_found);
  const auto* bad = R"({"v":1,"call":"prefetch","volume":"x","chunks":[-1],"bytes_per_second":0})";
  EXPECT_NE(control::answer_call(table, bad).find("a chunk is not an index"), std::string::npos);
}

TEST_F(ControlTest, faults_keep_their_kind_and_their_sentence) {
  EXPECT_EQ(remote.open({.volume = id, .epoch = 2}).error().fault(), Fault::fenced);
  EXPECT_EQ(remote.open({.volume = base::new_id("vol"), .epoch = 2}).error().fault(), Fault::not_found);
  EXPECT_EQ(remote.open({.volume = id, .epoch = 3, .keys = "k"}).error().fault(), Fault::invalid);
  const auto closed = remote.seal({{id, "snap-1"}});
  EXPECT_EQ(closed.error().fault(), Fault::not_found);
  EXPECT_NE(closed.error().message().find(id), std::string::npos);
}

TEST_F(ControlTest, says_when_nobody_listens_and_connects_again_when_somebody_does) {
  server.reset();
  EXPECT_EQ(remote.hello().error().fault(), Fault::not_found);
  start();
  EXPECT_TRUE(remote.hello().ok()) << "the stale socket was replaced";
  EXPECT_EQ(ControlServer::listen_at(socket).error().fault(), Fault::busy) << "a live one is not";
}

TEST_F(ControlTest, gives_up_at_its_deadline_when_the_server_hangs) {
  server.reset();
  auto listener = ControlServer::listen_at(socket);  // accepts nothing
  ASSERT_TRUE(listener.ok());
  RemoteVolumes impatient(socket, std::chrono::milliseconds(50));
  EXPECT_EQ(impatient.hello().error().fault(), Fault::io);
}

TEST_F(ControlTest, bounds_connections_and_lines) {
  start({.max_connections = 2, .idle_limit = std::chrono::seconds(20)});
  const auto connect = [&] {
    base::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket.c_str(), socket.native().size() + 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  };
  const auto ask = [](const base::Fd& fd, std::string line) {
    while (!line.empty()) {
      const auto sent = ::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      line.erase(0, static_cast<std::size_t>(sent));
    }
    std::string answer(4096, '\0');
    const auto got = ::recv(fd.get(), answer.data(), answer.size(), 0);
    answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return answer;
  };
  const auto first = connect();
  const auto second = connect();
  EXPECT_NE(ask(first, control::hello() + "\n").find("\"ok\":true"), std::string::npos);
  EXPECT_NE(ask(second, control::hello() + "\n").find("\"ok\":true"), std::string::npos);
  RemoteVolumes impatient(socket, std::chrono::milliseconds(100));
  EXPECT_EQ(impatient.hello().error().fault(), Fault::io) << "two are served, the third waits";
  EXPECT_NE(ask(first, std::string(max_control_line_bytes, 'x')).find("too long"), std::string::npos);
  EXPECT_TRUE(remote.hello().ok()) << "the connection with the long line was closed";
}

TEST_F(ControlTest, lines_that_break_the_form_are_answered_and_change_nothing) {
  const std::vector<std::pair<std::string, Fault>> lines = {
      {"", Fault::invalid},
      {"{", Fault::invalid},
      {"[]", Fault::invalid},
      {"{}", Fault::invalid},
      {R"({"v":2,"call":"hello"})", Fault::unsupported},
      {R"({"v":-1,"call":"hello"})", Fault::invalid},
      {R"({"v":1,"call":"format"})", Fault::unsupported},
      {R"({"v":1,"call":"open","volume":7,"epoch":1,"keys":""})", Fault::invalid},
      {R"({"v":1,"call":"open","volume":"../x","epoch":9,"keys":""})", Fault::invalid},
      {R"({"v":1,"call":"open","volume":"vol-0123456789abcdef0","epoch":-1,"keys":""})", Fault::invalid},
      {R"({"v":1,"call":"seal","cuts":[1]})", Fault::invalid},
      {R"({"v":1,"call":"rebase","volume":"v","generation":1,"base":{"root":"00","size_bytes":1}})", Fault::invalid},
      {std::string(2000, '['), Fault::invalid},
  };
  for (const auto& [line, fault] : lines) {
    const auto answer = control::read_done(control::answer_call(table, line));
    ASSERT_FALSE(answer.ok()) << line;
    EXPECT_EQ(answer.error().fault(), fault) << line << ": " << answer.error().message();
  }
  EXPECT_TRUE(table.names().empty());
}

TEST_F(ControlTest, mutated_lines_never_do_more_than_answer) {
  const auto seed = seed_or(1);
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::vector<std::string> lines = {control::hello(),
                                          control::open({id, 1, ""}),
                                          control::seal({{id, "snap-1"}}),
                                          control::rebase({id, 1, {}}),
                                          control::resize(id, 4096),
                                          control::stats(),
                                          control::launch_touches(id),
                                          control::prefetch({id, {1, 2}, 3})};
  for (int i = 0; i < 20'000; ++i) {
    auto line = lines[random() % lines.size()];
    for (auto changes = random() % 4; changes > 0; --changes) {
      const auto at = random() % line.size();
      switch (random() % 3) {
        case 0: line[at] = static_cast<char>(random()); break;
        case 1: line.erase(at, random() % 8 + 1); break;
        case 2: line.insert(at, line.substr(random() % line.size(), random() % 16)); break;
      }
      if (line.empty()) line = "x";
    }
    const auto answer = control::answer_call(table, line);
    ASSERT_LT(answer.size(), max_control_line_bytes);
    ASSERT_EQ(answer.find('\n'), std::string::npos);
    (void)control::read_stats(line);
    (void)control::read_sealed(answer);
    (void)control::read_launch_touches(line);
  }
}

TEST_F(ControlTest, the_set_of_open_volumes_outlives_the_process) {
  const auto other = base::new_id("vol");
  ASSERT_TRUE(Volume::create(files, root / other, {.volume = other, .size_bytes = mib, .base = {}, .epoch = 1}).ok());
  ASSERT_TRUE(table.open({.volume = id, .epoch = 3}).ok());
  ASSERT_TRUE(table.open({.volume = other, .epoch = 1}).ok());
  ASSERT_TRUE(table.open({.volume = id, .epoch = 4}).ok()) << "a newer owner in the same process";
  ASSERT_TRUE(table.close(other).ok());
  ASSERT_TRUE(table.find(id)->write(0, stamped(5, 1), Fua::no).ok());
  EXPECT_EQ(table.find("../" + id), nullptr);
  files.restart(base::FaultyFiles::Crash::process);
  VolumeTable next(files, disks, {.directory = root, .instance = "i-1", .state_file = "/disk/open"});
  ASSERT_TRUE(next.reopen().ok());
  ASSERT_EQ(next.names(), std::vector<std::string>{id});
  base::Bytes out(sector_bytes);
  ASSERT_TRUE(next.find(id)->read(0, out).ok());
  EXPECT_EQ(stamps_of(out)[0], 5U) << "acknowledged, never flushed";
}

TEST_F(ControlTest, a_state_file_that_is_none_is_refused) {
  for (const std::string content : {"", "kiln-open-volumes 2\nend\n", "kiln-open-volumes 1\nvol-1 x\nend\n",
                                    "kiln-open-volumes 1\nvol-0123456789abcdef0 3\n"}) {
    ASSERT_TRUE(files.replace("/disk/open", base::as_bytes(content)).ok());
    VolumeTable next(files, disks, {.directory = root, .instance = "i-1", .state_file = "/disk/open"});
    EXPECT_EQ(next.reopen().error().fault(), Fault::corrupt) << content;
  }
}

TEST_F(ControlTest, a_cut_becomes_durable_by_itself) {
  ASSERT_TRUE(table.open({.volume = id, .epoch = 3}).ok());
  ASSERT_TRUE(table.seal({{id, "snap-1"}}).ok());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  auto waiting = waiting_cuts(files, root / id);
  while (waiting.ok() && waiting->empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    waiting = waiting_cuts(files, root / id);
  }
  EXPECT_EQ(*waiting, std::vector<std::string>{"snap-1"});
}

}  // namespace
}  // namespace kiln::blocks
