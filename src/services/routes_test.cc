#include "services/routes.h"

#include <gtest/gtest.h>

namespace kiln::services {
namespace {

constexpr Route blocks_route{.method = "GET", .path = "/snapshots/{snapshotId}/blocks/{blockIndex}"};

TEST(Routes, labels_are_given_decoded) {
  const auto labels = match_route(blocks_route, "GET", "/snapshots/snap-1%2F2/blocks/7");
  ASSERT_TRUE(labels);
  EXPECT_EQ(*labels, (wire::Labels{{"snapshotId", "snap-1/2"}, {"blockIndex", "7"}}));
}

TEST(Routes, another_method_or_path_is_for_something_else) {
  EXPECT_FALSE(match_route(blocks_route, "PUT", "/snapshots/s/blocks/7"));
  for (const auto* path :
       {"/snapshots/s/blocks", "/snapshots/s/blocks/", "/snapshots//blocks/7", "/snapshots/s/blocks/7/",
        "/snapshots/s/chunks/7", "snapshots/s/blocks/7", "/", "", "/snapshots/s/blocks/%7"}) {
    EXPECT_FALSE(match_route(blocks_route, "GET", path)) << path;
  }
  EXPECT_FALSE(match_route({}, "", ""));
}

}  // namespace
}  // namespace kiln::services
