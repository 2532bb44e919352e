#include "services/ebs/ebs.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/digest.h"
#include "base/text.h"
#include "catalog/accounts.h"
#include "control/region_fixture.h"
#include "control/snapshot_blocks.h"
#include "services/dispatch.h"
#include "wire/sigv4.h"

namespace kiln::services::ebs {
namespace {

struct EbsTest : ::testing::Test {
  control::RegionFixture world;
  base::SystemClock clock;
  const std::vector<Service> services{service()};
  std::unique_ptr<Dispatch> dispatch;

  void serve() {
    dispatch = std::make_unique<Dispatch>(world.regions(), world.region().catalog, clock, services);
    world.region().catalog.run_in_txn([&](catalog::Txn& txn) {
      catalog::insert(txn, catalog::Account{.id = world.alice.account, .name = "one"});
      catalog::insert(
          txn, catalog::AccessKey{
                   .id = "AKIAROOT", .secret = "secret", .account = world.alice.account, .principal = world.alice.arn});
    });
  }
  http::Response get(const std::string& path, const std::string& query) {
    http::Request request{.method = "GET", .path = path, .query = query, .peer_address = "127.0.0.1"};
    request.headers = wire::sign({.method = "GET",
                                  .path = path,
                                  .query = query,
                                  .headers = {{"Host", "127.0.0.1:8773"}},
                                  .body_digest = base::sha256(std::string_view()).hex(),
                                  .send_digest = true},
                                 {.access_key = "AKIAROOT", .secret = "secret"},
                                 {.region = "us-east-1", .service = "ebs", .time = clock.now()});
    return dispatch->answer(request);
  }
  // Every byte of every pack.
  void damage_packs() {
    std::size_t packs = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(world.region().directory / "store")) {
      if (entry.path().extension() != ".pack") continue;
      std::ofstream(entry.path(), std::ios::binary | std::ios::in)
          << std::string(static_cast<std::size_t>(entry.file_size()), 'x');
      ++packs;
    }
    EXPECT_GT(packs, 0U);
  }
};

TEST_F(EbsTest, damage_is_our_error_and_called_as_this_service_calls_it) {
  const auto snapshot = world.import_disk("base", control::RegionFixture::pattern(1 << 20, 1)).snapshot_id;
  const auto page = control::list_blocks(world.region(), world.alice, {.snapshot_id = snapshot});
  const auto query = "blockToken=" + base::percent_encode(page.blocks.at(0).token);
  damage_packs();
  world.restart();  // what is cached goes
  serve();
  for (const auto& [path, parameters] : {std::pair("/snapshots/" + snapshot + "/blocks", std::string()),
                                         std::pair("/snapshots/" + snapshot + "/blocks/0", query)}) {
    const auto got = get(path, parameters);
    EXPECT_EQ(got.status, 500) << got.body;
    EXPECT_EQ(http::find_header(got.headers, "x-amzn-ErrorType"), "InternalServerException");
  }
}

}  // namespace
}  // namespace kiln::services::ebs
