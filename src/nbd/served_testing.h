#pragma once
// For tests: a volume that a real nbdkit serves, one a test.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/process.h"
#include "nbd/disk_server_testing.h"

namespace kiln::nbd {

inline constexpr std::uint64_t mib = 1 << 20;

// Random bytes; count is rounded down to whole eight bytes, and what is left stays zero.
inline base::Bytes pattern(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random(seed);
  base::Bytes bytes(count);
  for (std::size_t at = 0; at + 8 <= count; at += 8) {
    const auto value = random();
    std::memcpy(bytes.data() + at, &value, 8);
  }
  return bytes;
}

struct Served : ::testing::Test {
  DiskServer server;
  const std::string volume = base::new_id("vol");

  // A volume over base, served.
  void serve(std::uint64_t size_bytes, const base::Bytes& base = {}) {
    const auto disk = base.empty() ? blocks::DiskId{} : server.store_disk(base);
    ASSERT_TRUE(server.create(volume, size_bytes, disk));
    ASSERT_TRUE(server.start()) << server.log();
    const auto opened = server.control().open({.volume = volume, .epoch = 1});
    ASSERT_TRUE(opened.ok()) << opened.error().message() << server.log();
  }
  // Runs a program to its end; what it printed is shown when it fails.
  int run(std::vector<std::string> arguments, std::string* output = nullptr) {
    const auto finished = base::run({.arguments = std::move(arguments)}, std::chrono::seconds(60));
    if (output != nullptr) *output = finished.output;
    if (finished.exit_code != 0) std::fprintf(stderr, "%s\n", finished.output.c_str());
    return finished.exit_code;
  }
};

}  // namespace kiln::nbd
