#include "control/snapshot_copies.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "catalog/blocks.h"
#include "control/far_region_testing.h"
#include "control/garbage.h"
#include "control/image_copies.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

constexpr const char* far_name = FarRegions::name;
constexpr std::uint64_t chunk = blocks::chunk_bytes;

CopyOptions quick() { return {.most_failures = 3, .first_pause = 1000, .longest_pause = 2000}; }

struct CopiesBetweenRegions : ::testing::Test {
  FarRegions far;
  RegionFixture world{{}, {.neighbours = {"eu-west-1"}, .copies = quick(), .remotes = &far}};
  CopiesBetweenRegions() {
    far.behind = [this]() -> Region& { return world.neighbour("eu-west-1"); };
  }

  Region& here() { return world.region(); }
  Region& there() { return world.neighbour("eu-west-1"); }

  std::optional<catalog::Snapshot> find(const std::string& id) {
    return catalog::in_read(here().catalog,
                            [&](catalog::Txn& txn) { return catalog::find_snapshot(txn, here().name, id); });
  }
  blocks::DiskId disk(Region& region, const std::string& id) {
    return catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
      return snapshot_disk(txn, region, catalog::find_snapshot(txn, region.name, id).value());
    });
  }
  base::Bytes bytes_of(const std::string& id, std::size_t size_bytes) {
    base::Bytes bytes(size_bytes);
    const auto read = here().store.read(disk(here(), id), 0, bytes);
    EXPECT_TRUE(read) << (read ? "" : read.error().message());
    return bytes;
  }
  std::string begin(const std::string& source_id, const std::string& from = far_name) {
    return copy_snapshot(here(), world.alice, {.source_region = from, .source_snapshot_id = source_id}).snapshot.id;
  }
  std::size_t sessions() {
    return catalog::in_read(here().catalog, [&](catalog::Txn& txn) { return catalog::sessions(txn, here().name); })
        .size();
  }
  // Waits until the job has let go of its session, or ended.
  template <class Holds>
  void wait_for(Holds holds) {
    const auto end = here().clock.monotonic() + base::seconds(60);
    while (!holds()) {
      ASSERT_LT(here().clock.monotonic(), end);
      std::this_thread::yield();
    }
  }
};

TEST_F(CopiesBetweenRegions, a_copy_from_a_neighbour_has_the_bytes_of_its_source) {
  const auto disk_bytes = RegionFixture::pattern(5 << 20, 1);
  const auto source = world.import_disk(there(), "base", disk_bytes).snapshot_id;
  const auto made = copy_snapshot(here(), world.alice,
                                  {.source_region = "eu-west-1", .source_snapshot_id = source, .tags = {{"a", "1"}}});
  EXPECT_EQ(made.snapshot.state, "pending");
  EXPECT_EQ(made.snapshot.volume_id, "vol-ffffffff");
  EXPECT_EQ(made.snapshot.description, "[Copied " + source + " from eu-west-1]");
  ASSERT_EQ(made.tags.size(), 1U);
  ASSERT_TRUE(world.settle());
  const auto done = find(made.snapshot.id).value();
  EXPECT_EQ(done.state, "completed") << done.state_message;
  EXPECT_EQ(done.progress, "100%");
  EXPECT_EQ(done.full_bytes, 5 << 20);
  EXPECT_EQ(disk(here(), done.id).root, disk(there(), source).root);
  EXPECT_EQ(disk(here(), done.id).size_bytes, disk(there(), source).size_bytes);
  EXPECT_EQ(bytes_of(done.id, disk_bytes.size()), disk_bytes);
  EXPECT_EQ(sessions(), 0U);
}

TEST_F(CopiesBetweenRegions, only_what_the_destination_lacks_is_fetched) {
  auto content = RegionFixture::pattern(20 * chunk, 1);
  const auto first = world.import_disk(there(), "disk one", content).snapshot_id;
  begin(first);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(far.fetched, 20U);

  const auto change = RegionFixture::pattern(chunk, 2);
  std::copy(change.begin(), change.end(), content.begin() + 3 * chunk);
  std::copy(change.begin(), change.end(), content.begin() + 9 * chunk);  // the same content at two places: fetched once
  const auto second = world.import_disk(there(), "disk two", content).snapshot_id;
  const auto copy = begin(second);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(far.fetched, 21U);
  EXPECT_EQ(bytes_of(copy, content.size()), content);

  begin(second);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(far.fetched, 21U);
}

TEST_F(CopiesBetweenRegions, an_encrypted_copy_fetches_what_its_keys_domain_lacks) {
  const auto content = RegionFixture::pattern(20 * chunk, 1);
  const auto source = world.import_disk(there(), "disk one", content).snapshot_id;
  const auto encrypted = [&] {
    const auto id =
        copy_snapshot(here(), world.alice,
                      {.source_region = far_name, .source_snapshot_id = source, .encryption = {.encrypted = true}})
            .snapshot.id;
    EXPECT_TRUE(world.settle());
    EXPECT_EQ(find(id)->state, "completed") << find(id)->state_message;
    EXPECT_TRUE(find(id)->encrypted);
    return id;
  };
  const auto copy = encrypted();
  EXPECT_EQ(far.fetched, 20U);
  EXPECT_EQ(bytes_of(copy, content.size()), content);
  EXPECT_EQ(disk(here(), encrypted()).root, disk(here(), copy).root);
  EXPECT_EQ(far.fetched, 20U) << "the key's domain has all of them";
  begin(source);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(far.fetched, 40U) << "the plain domain has none";
}

TEST_F(CopiesBetweenRegions, a_source_that_does_not_tell_digests_is_copied_whole) {
  far.tells_digests = false;
  far.tells_root = false;
  const auto content = RegionFixture::pattern(6 * chunk, 1);
  const auto source = world.import_disk(there(), "disk one", content).snapshot_id;
  const auto copy = begin(source);
  ASSERT_TRUE(world.settle());
  begin(source);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(far.fetched, 12U);
  EXPECT_EQ(bytes_of(copy, content.size()), content);
}

TEST_F(CopiesBetweenRegions, a_cut_connection_costs_only_what_was_in_flight) {
  const auto content = RegionFixture::pattern(24 * chunk, 1);
  const auto source = world.import_disk(there(), "disk one", content).snapshot_id;
  std::atomic<int> calls = 0;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) {
    // Cut often and for so long that the job has to begin again several times.
    if (++calls % 12 >= 5) throw SourceFailure("the connection was cut");
  };
  const auto copy = begin(source);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(find(copy)->state, "completed") << find(copy)->state_message;
  EXPECT_EQ(far.fetched, 24U);
  EXPECT_EQ(bytes_of(copy, content.size()), content);
  EXPECT_EQ(sessions(), 0U);
}

TEST_F(CopiesBetweenRegions, a_daemon_that_starts_again_goes_on_where_it_was) {
  const auto content = RegionFixture::pattern(24 * chunk, 1);
  const auto source = world.import_disk(there(), "disk one", content).snapshot_id;
  Gate gate;
  std::atomic<int> calls = 0;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) {
    if (++calls > 10) throw SourceFailure("the daemon was stopped");
  };
  const auto copy = begin(source);
  wait_for([&] { return far.fetched == 10U; });
  world.restart();
  const auto before = far.fetched.load();
  EXPECT_EQ(find(copy)->state, "pending") << find(copy)->state_message;
  // What lies there belongs to the interrupted copy, whoever collects meanwhile.
  collect(here(), {.grace = 0, .force = true});
  far.on_block = [](const SourceBlock&, blocks::ChunkBytes&) {};
  world.restart();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(find(copy)->state, "completed") << find(copy)->state_message;
  EXPECT_EQ(before, 10U);
  EXPECT_EQ(far.fetched, 24U);
  EXPECT_EQ(bytes_of(copy, content.size()), content);
}

TEST_F(CopiesBetweenRegions, what_an_interrupted_copy_left_is_read_back_before_it_counts) {
  const auto content = RegionFixture::pattern(24 * chunk, 1);
  const auto source = world.import_disk(there(), "disk one", content).snapshot_id;
  std::atomic<bool> broken = true;
  std::atomic<int> calls = 0;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) {
    if (broken && ++calls > 10) throw SourceFailure("cut");
  };
  const auto copy = begin(source);
  wait_for([&] { return far.fetched == 10U && !here().store.packs()->empty(); });
  for (const auto& pack : *here().store.packs()) {
    const auto directory = here().directory / "store" / "packs";
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
      if (file.path().filename().string().find(pack.id.text()) == std::string::npos) continue;
      std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(chunk + 1000);
      bytes.put('\x55');
    }
  }
  broken = false;
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(find(copy)->state, "completed") << find(copy)->state_message;
  EXPECT_EQ(far.fetched, 34U);  // the damaged pack's ten again
  EXPECT_EQ(bytes_of(copy, content.size()), content);
}

TEST_F(CopiesBetweenRegions, a_source_that_stays_away_makes_an_error_that_says_why) {
  const auto source = world.import_disk(there(), "disk one", RegionFixture::pattern(4 * chunk, 1)).snapshot_id;
  far.on_block = [](const SourceBlock&, blocks::ChunkBytes&) { throw SourceFailure("no route to far.example"); };
  const auto copy = begin(source);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(find(copy)->state, "error");
  EXPECT_EQ(find(copy)->state_message, "The source failed 3 times in a row: no route to far.example");
  delete_snapshot(here(), world.alice, copy);
  collect(here(), {.grace = 0, .force = true});
  EXPECT_EQ(sessions(), 0U);
}

TEST_F(CopiesBetweenRegions, a_source_that_refuses_is_not_asked_again) {
  const auto source = world.import_disk(there(), "disk one", RegionFixture::pattern(4 * chunk, 1)).snapshot_id;
  std::atomic<int> calls = 0;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) {
    ++calls;
    throw base::ApiError("AccessDeniedException", "not any more", 403);
  };
  const auto copy = begin(source);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(find(copy)->state, "error");
  EXPECT_EQ(find(copy)->state_message, "not any more");
  EXPECT_LE(calls, 3);
}

TEST_F(CopiesBetweenRegions, another_content_than_the_sources_is_not_published) {
  const auto source = world.import_disk(there(), "disk one", RegionFixture::pattern(4 * chunk, 1)).snapshot_id;
  far.on_block = [](const SourceBlock& block, blocks::ChunkBytes& bytes) {
    if (block.index != 2) return;
    auto spoilt = std::make_shared<base::Bytes>(*bytes);
    (*spoilt)[77] ^= std::byte{1};
    bytes = spoilt;
  };
  // Found when what was stored is read back where the block's digest is known, by the tree's where it is not.
  for (const auto& [tells_digests, why] : {std::pair(true, "the content hashes to"), {false, "of another content"}}) {
    far.tells_digests = tells_digests;
    const auto copy = begin(source);
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(find(copy)->state, "error");
    EXPECT_NE(find(copy)->state_message.find(why), std::string::npos) << find(copy)->state_message;
  }
}

TEST_F(CopiesBetweenRegions, deleting_a_pending_copy_ends_it) {
  const auto source = world.import_disk(there(), "disk one", RegionFixture::pattern(40 * chunk, 1)).snapshot_id;
  Gate gate;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) {
    if (far.fetched >= 3) gate.wait();
  };
  const auto copy = begin(source);
  wait_for([&] { return far.fetched >= 3; });
  delete_snapshot(here(), world.alice, copy);
  gate.open();
  ASSERT_TRUE(world.settle());
  EXPECT_FALSE(find(copy));
  EXPECT_EQ(sessions(), 0U);
  collect(here(), {.grace = 0, .force = true});
  EXPECT_TRUE(here().store.packs()->empty());
}

TEST_F(CopiesBetweenRegions, twenty_are_pending_at_most) {
  const auto source = world.import_disk(there(), "disk one", RegionFixture::pattern(2 * chunk, 1)).snapshot_id;
  Gate gate;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) { gate.wait(); };
  for (std::size_t i = 0; i < most_pending_copies; ++i) begin(source);
  EXPECT_EQ(refusal_of([&] { begin(source); }), "ResourceLimitExceeded");
  // Of the account, and of this destination.
  const auto here_source = world.import_disk("disk here", RegionFixture::pattern(chunk, 9)).snapshot_id;
  EXPECT_EQ(refusal_of([&] {
              copy_snapshot(there(), world.alice, {.source_region = here().name, .source_snapshot_id = here_source});
            }),
            "no error");
  gate.open();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(refusal_of([&] { begin(source); }), "no error");
  ASSERT_TRUE(world.settle());
}

TEST_F(CopiesBetweenRegions, what_cannot_be_copied_is_refused_at_once) {
  const auto source = world.import_disk(there(), "disk one", RegionFixture::pattern(chunk, 1)).snapshot_id;
  const auto refusal = [&](const Principal& caller, const std::string& region, const std::string& id) {
    return refusal_of([&] { copy_snapshot(here(), caller, {.source_region = region, .source_snapshot_id = id}); });
  };
  EXPECT_EQ(refusal(world.alice, "eu-nowhere-1", source), "InvalidRegion");
  EXPECT_EQ(refusal(world.alice, "eu-west-1", "snap-00000000000000000"), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal(world.alice, "eu-west-1", "ami-1"), "InvalidParameterValue");
  EXPECT_EQ(refusal(world.bob, "eu-west-1", source), "InvalidSnapshot.NotFound");
  EXPECT_EQ(refusal(world.alice, "us-east-1", source), "InvalidSnapshot.NotFound");
  // Not what is still being copied itself.
  Gate gate;
  far.on_block = [&](const SourceBlock&, blocks::ChunkBytes&) { gate.wait(); };
  const auto pending = begin(source);
  EXPECT_EQ(refusal(world.alice, "us-east-1", pending), "IncorrectState");
  gate.open();
  ASSERT_TRUE(world.settle());
}

// The daemon dies before the step, or when its rows are committed and the job does not know it yet.
TEST(KilledCopies, a_copy_is_completed_once_wherever_the_daemon_dies) {
  for (const auto* point : {"copy-snapshot/copy/before", "copy-snapshot/copy/after"}) {
    const KillOnce kill(point);
    RegionFixture world(kill, {.neighbours = {"eu-west-1"}, .copies = quick()});
    const auto content = RegionFixture::pattern(4 * chunk, 1);
    const auto source = world.import_disk(world.neighbour("eu-west-1"), "disk one", content).snapshot_id;
    const auto copy =
        copy_snapshot(world.region(), world.alice, {.source_region = "eu-west-1", .source_snapshot_id = source});
    EXPECT_FALSE(world.settle());
    EXPECT_TRUE(kill.killed());
    world.restart();
    ASSERT_TRUE(world.settle()) << point;
    const auto done = describe_snapshots(world.region(), world.alice, {.ids = {copy.snapshot.id}}).at(0).snapshot;
    EXPECT_EQ(done.state, "completed") << point << ": " << done.state_message;
    const auto volume = world.volume(world.alice, done.id);
    EXPECT_EQ(world.read(volume, 0, content.size()), content) << point;
    collect(world.region(), {.grace = 0, .force = true});
    EXPECT_EQ(world.read(volume, 0, content.size()), content) << point;
  }
}

TEST(KilledCopies, an_image_whose_copy_was_killed_becomes_available) {
  const KillOnce kill("copy-snapshot/copy/before", 2);
  RegionFixture world(kill, {.neighbours = {"eu-west-1"}, .copies = quick()});
  auto& there = world.neighbour("eu-west-1");
  const auto one = world.import_disk(there, "disk one", RegionFixture::pattern(2 * chunk, 1)).snapshot_id;
  const auto two = world.import_disk(there, "disk two", RegionFixture::pattern(2 * chunk, 2)).snapshot_id;
  const auto image = register_image(there, world.alice,
                                    {.name = "two disks",
                                     .architecture = "x86_64",
                                     .root_device_name = "/dev/xvda",
                                     .devices = {{.device_name = "/dev/xvda", .has_ebs = true, .snapshot_id = one},
                                                 {.device_name = "/dev/xvdb", .has_ebs = true, .snapshot_id = two}}});
  const auto copy = copy_image(world.region(), world.alice,
                               {.source_region = "eu-west-1", .source_image_id = image.id, .name = "the copy"});
  EXPECT_FALSE(world.settle());
  const auto state = [&] { return describe_images(world.region(), world.alice, {.ids = {copy.id}}).at(0).image.state; };
  world.restart();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(state(), "available");
}

}  // namespace
}  // namespace kiln::control
