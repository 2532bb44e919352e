#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/files.h"
#include "base/ids.h"
#include "base/process.h"
#include "base/text.h"
#include "base/time.h"

namespace kiln::base {
namespace {

TEST(Ids, have_the_prefix_and_17_hex_digits) {
  const auto id = new_id("ami");
  EXPECT_EQ(id.size(), 21U);
  EXPECT_TRUE(is_id("ami", id));
  EXPECT_FALSE(is_id("snap", id));
  EXPECT_FALSE(is_id("ami", "ami-xyz"));
  EXPECT_FALSE(is_id("ami", "ami-0123456789abcdef"));
}

TEST(Text, base64_round_trips_and_refuses_what_is_not_base64) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_EQ(from_base64(to_base64(text)), text);
  }
  EXPECT_EQ(to_base64("fooba"), "Zm9vYmE=");
  EXPECT_FALSE(from_base64("Zm9vY"));
  EXPECT_FALSE(from_base64("Zm=v"));
  EXPECT_FALSE(from_base64("Zm9v!"));
}

TEST(Text, percent_coding_follows_rfc_3986) {
  EXPECT_EQ(percent_encode("a b/~é"), "a%20b%2F~%C3%A9");
  EXPECT_EQ(percent_decode("a+b%2f", true), "a b/");
  EXPECT_EQ(percent_decode("a+b", false), "a+b");
  EXPECT_FALSE(percent_decode("%2", false));
  EXPECT_FALSE(percent_decode("%zz", false));
}

TEST(Text, wildcards_match_as_ec2_filters_do) {
  EXPECT_TRUE(matches_wildcard("deb*-1?", "debian-12"));
  EXPECT_TRUE(matches_wildcard("*", ""));
  EXPECT_TRUE(matches_wildcard("a\\*b", "a*b"));
  EXPECT_FALSE(matches_wildcard("a\\*b", "axb"));
  EXPECT_FALSE(matches_wildcard("Deb*", "debian"));
}

TEST(Time, reads_what_it_writes) {
  const Micros time = 1'700'000'000'123'000;
  EXPECT_EQ(to_iso8601(time), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(from_iso8601("2023-11-14T22:13:20.123Z"), time);
  EXPECT_EQ(from_iso8601("2023-11-14T22:13:20Z"), time - 123'000);
  EXPECT_EQ(from_amz_date("20231114T221320Z"), time - 123'000);
  for (const auto* bad :
       {"", "2023-11-14", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20+01:00"}) {
    EXPECT_FALSE(from_iso8601(bad)) << bad;
  }
}

TEST(Digest, is_sha256) {
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Files, replace_leaves_the_new_content_and_no_temporary_file) {
  const Path dir = std::filesystem::temp_directory_path() / ("kiln-base-" + random_hex(8));
  ASSERT_TRUE(posix_files().make_directories(dir));
  ASSERT_TRUE(posix_files().replace(dir / "a", std::as_bytes(std::span("one", 3))));
  ASSERT_TRUE(posix_files().replace(dir / "a", std::as_bytes(std::span("two", 3))));
  EXPECT_EQ(*posix_files().read_all(dir / "a"), "two");
  EXPECT_EQ(posix_files().list(dir)->size(), 1U);
  std::filesystem::remove_all(dir);
}

TEST(Process, returns_output_and_exit_code) {
  const auto done = run({.arguments = {"sh", "-c", "echo hello; exit 3"}}, std::chrono::seconds(10));
  EXPECT_EQ(done.exit_code, 3);
  EXPECT_EQ(done.output, "hello\n");
}

TEST(Process, is_killed_at_its_deadline) {
  const auto done = run({.arguments = {"sleep", "60"}}, std::chrono::milliseconds(50));
  EXPECT_TRUE(done.timed_out);
}

}  // namespace
}  // namespace kiln::base
