// A volume on a disk whose syncs fail. The kernel may have dropped what it could not write, so nothing is acknowledged
// ever after, to nobody, and the operator is told why.
#include <gtest/gtest.h>

#include <cerrno>

#include "nbd/served_testing.h"

namespace kiln::nbd {
namespace {

struct FailingSync : Served, ::testing::WithParamInterface<const char*> {
  FailingSync() {
    server.environment = {{"LD_PRELOAD", KILN_FAILING_SYNC_LIBRARY}, {"KILN_FAILING_SYNC", fault().string()}};
  }
  base::Path fault() { return server.path("fault"); }
  void break_disk(const std::string& files) {
    ASSERT_TRUE(base::posix_files().replace(fault(), base::as_bytes(files)).ok());
  }
  void mend_disk() { ASSERT_TRUE(base::posix_files().remove(fault()).ok()); }
};

int error_of(int outcome) { return outcome == 0 ? 0 : nbd_get_errno(); }

TEST_P(FailingSync, fails_the_volume_for_every_client_and_says_why) {
  const auto base = pattern(1, 2 * mib);
  serve(8 * mib, base);
  Client client, other;
  ASSERT_TRUE(client.connect(server, volume));
  ASSERT_TRUE(other.connect(server, volume));
  const auto flushed = pattern(2, 64 << 10), later = pattern(3, 64 << 10);
  ASSERT_TRUE(client.write(4 * mib, flushed));
  ASSERT_TRUE(client.flush());
  ASSERT_TRUE(other.write(5 * mib, later));
  break_disk(GetParam());
  EXPECT_EQ(error_of(nbd_flush(client.get(), 0)), EIO);
  mend_disk();  // a disk that works again has still lost what it could not write

  Client late;
  ASSERT_TRUE(late.connect(server, volume)) << "reads go on";
  for (auto* each : {&client, &other, &late}) {
    EXPECT_EQ(error_of(nbd_flush(each->get(), 0)), EIO);
    EXPECT_EQ(error_of(nbd_pwrite(each->get(), later.data(), 4096, 0, 0)), EIO);
    EXPECT_EQ(error_of(nbd_pwrite(each->get(), later.data(), 4096, 0, LIBNBD_CMD_FLAG_FUA)), EIO);
    EXPECT_EQ(error_of(nbd_zero(each->get(), 4096, 0, 0)), EIO);
    EXPECT_EQ(error_of(nbd_trim(each->get(), 4096, 0, 0)), EIO);
    EXPECT_EQ(each->read(0, base.size()), base);
    EXPECT_EQ(each->read(4 * mib, flushed.size()), flushed);
  }
  const auto cut = server.control().seal({{.volume = volume, .snapshot = "snap-1"}});
  EXPECT_FALSE(cut.ok()) << "a snapshot of it would be of what nobody knows";

  const auto stats = server.control().stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_TRUE(stats->front().failed);
  EXPECT_NE(stats->front().failure.find("fdatasync"), std::string::npos) << stats->front().failure;
  EXPECT_NE(stats->front().failure.find(GetParam()), std::string::npos) << stats->front().failure;
  EXPECT_NE(server.log().find(volume + " is failed: fdatasync"), std::string::npos) << server.log();

  // A disk server that was killed and starts again knows of it.
  server.kill_now();
  ASSERT_TRUE(server.start());
  Client next;
  ASSERT_TRUE(next.connect(server, volume)) << server.log();
  EXPECT_EQ(error_of(nbd_flush(next.get(), 0)), EIO);
  EXPECT_EQ(next.read(4 * mib, flushed.size()), flushed);

  // Opened again, as by an operator who has mended the disk, it has what flushes covered.
  ASSERT_TRUE(server.control().close(volume).ok());
  ASSERT_TRUE(server.control().open({.volume = volume, .epoch = 1}).ok());
  Client again;
  ASSERT_TRUE(again.connect(server, volume)) << server.log();
  EXPECT_EQ(again.read(4 * mib, flushed.size()), flushed);
  EXPECT_TRUE(again.write(0, later));
  EXPECT_TRUE(again.flush());
}

INSTANTIATE_TEST_SUITE_P(Files, FailingSync, ::testing::Values("gen-1.data", "gen-1.map"),
                         [](const auto& file) { return std::string(file.param).substr(6); });

TEST_F(FailingSync, a_write_that_must_be_durable_at_once_is_not_acknowledged) {
  serve(8 * mib);
  Client client;
  ASSERT_TRUE(client.connect(server, volume));
  break_disk("gen-1.data");
  const auto bytes = pattern(1, 4096);
  EXPECT_EQ(error_of(nbd_pwrite(client.get(), bytes.data(), bytes.size(), 0, LIBNBD_CMD_FLAG_FUA)), EIO);
  mend_disk();
  EXPECT_EQ(error_of(nbd_pwrite(client.get(), bytes.data(), bytes.size(), 0, LIBNBD_CMD_FLAG_FUA)), EIO);
  EXPECT_EQ(error_of(nbd_flush(client.get(), 0)), EIO);
}

}  // namespace
}  // namespace kiln::nbd
