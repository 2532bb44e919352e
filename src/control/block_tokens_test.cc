#include "control/block_tokens.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "control/region_fixture.h"

namespace kiln::control {
namespace {

TEST(BlockTokens, a_token_gives_its_value_back_for_its_purpose_until_it_ends) {
  RegionFixture world;
  const BlockTokens tokens(world.region());
  const auto token = tokens.make("block snap-1 7", 7, 1000);
  EXPECT_EQ(tokens.check("block snap-1 7", token, 999), 7U);
  EXPECT_FALSE(tokens.check("block snap-1 7", token, 1000));
  EXPECT_FALSE(tokens.check("block snap-1 8", token, 999));
  // Another request, and another start of the daemon, has the same secret.
  world.restart();
  EXPECT_EQ(BlockTokens(world.region()).check("block snap-1 7", token, 999), 7U);
}

TEST(BlockTokens, a_changed_token_is_good_for_nothing) {
  RegionFixture world;
  const BlockTokens tokens(world.region());
  const auto bytes = *base::from_base64(tokens.make("page", 7, 1000));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(tokens.check("page", base::to_base64(changed), 5)) << at;
  }
  EXPECT_FALSE(tokens.check("page", base::to_base64(bytes.substr(1)), 5));
  EXPECT_FALSE(tokens.check("page", "", 5));
  EXPECT_FALSE(tokens.check("page", "not base64!", 5));
}

}  // namespace
}  // namespace kiln::control
