// Against a server in this process that answers what the test says.

#include "remote/remote_regions.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/process.h"
#include "base/text.h"
#include "http/server.h"

namespace kiln::remote {
namespace {

using control::SourceFailure;

constexpr const char* account = "123456789012";
constexpr const char* snapshot_id = "snap-0123456789abcdef0";

struct RemoteRegions : ::testing::Test {
  std::function<http::Response(const http::Request&)> answer;
  std::atomic<int> requests = 0;
  http::Server server{{.handler = [this](http::Request& request) {
    ++requests;
    return answer(request);
  }}};
  base::SystemClock clock;
  std::unique_ptr<HttpRegions> regions;

  ~RemoteRegions() override { server.stop(std::chrono::seconds(1)); }

  std::unique_ptr<control::SourceRegion> far(const std::string& endpoint, const std::string& ca_file = {}) {
    regions = std::make_unique<HttpRegions>(
        clock, std::vector<RemoteRegionOptions>{{.name = "far-north-1",
                                                 .endpoint = endpoint,
                                                 .ca_file = ca_file,
                                                 .keys = {{account, {"AKIAFAR", "secret"}}}}});
    return regions->open("far-north-1", {.account = account, .arn = {}, .user_id = {}, .access_key = {}});
  }
  std::unique_ptr<control::SourceRegion> far() {
    return far("http://127.0.0.1:" + std::to_string(server.port(server.listen({.host = "127.0.0.1", .port = 0}))));
  }
  template <class Error, class Body>
  std::string what(Body body) {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }
  static std::string checksum(const std::string& bytes) {
    return base::to_base64(base::as_text(base::sha256(bytes).bytes));
  }
};

TEST_F(RemoteRegions, requests_are_signed_for_the_region_and_the_host_that_is_asked) {
  answer = [](const http::Request& request) -> http::Response {
    wire::HeaderList headers(request.headers.begin(), request.headers.end());
    const wire::SignedParts parts{
        .method = request.method, .path = request.path, .query = request.query, .headers = headers};
    const auto claim = wire::read_claim(parts);
    if (!claim || claim->region != "far-north-1") return {.status = 500};
    wire::verify(
        parts, *claim,
        {.secret = "secret", .now = base::SystemClock().now(), .body_digest = base::sha256(request.body).hex()});
    if (request.path == "/") {
      EXPECT_EQ(claim->service, "ec2");
      EXPECT_EQ(request.body, "Action=DescribeSnapshots&Version=2016-11-15&SnapshotId.1=snap-0123456789abcdef0");
      return {.body =
                  "<R><snapshotSet><item><snapshotId>snap-0123456789abcdef0</snapshotId><status>completed</status>"
                  "<volumeSize>3</volumeSize></item></snapshotSet></R>"};
    }
    EXPECT_EQ(claim->service, "ebs");
    EXPECT_EQ(request.query, "maxResults=10000&pageToken=a%2Bb%3D");
    return {.body = R"({"Blocks":[],"VolumeSize":3,"BlockSize":524288})"};
  };
  const auto source = far();
  EXPECT_EQ(source->snapshot(snapshot_id).size_gib, 3);
  EXPECT_EQ(source->blocks(snapshot_id, "a+b=").disk_bytes, std::uint64_t{3} << 30);
}

TEST_F(RemoteRegions, a_block_is_what_its_digest_says_or_a_failure) {
  const std::string bytes(blocks::chunk_bytes, 'k');
  std::string sent = checksum(bytes);
  answer = [&](const http::Request& request) -> http::Response {
    EXPECT_EQ(request.path, "/snapshots/snap-0123456789abcdef0/blocks/5");
    EXPECT_EQ(request.query, "blockToken=t%2F%3D");
    return {.headers = {{"x-amz-Checksum", sent}}, .body = bytes};
  };
  const auto source = far();
  control::SourceBlock block{.index = 5, .digest = base::sha256(bytes), .token = "t/="};
  EXPECT_EQ(source->block(snapshot_id, block)->size(), blocks::chunk_bytes);
  block.digest = base::sha256("something else");
  EXPECT_NE(what<SourceFailure>([&] { source->block(snapshot_id, block); }).find("other bytes"), std::string::npos);
  // One that the list does not tell: what came with the bytes counts.
  block.digest.reset();
  EXPECT_EQ(source->block(snapshot_id, block)->size(), blocks::chunk_bytes);
  sent = checksum("something else");
  EXPECT_NE(what<SourceFailure>([&] { source->block(snapshot_id, block); }).find("other bytes"), std::string::npos);
  sent = "none";
  EXPECT_NE(what<SourceFailure>([&] { source->block(snapshot_id, block); }).find("without a checksum"),
            std::string::npos);
}

TEST_F(RemoteRegions, what_is_passing_is_a_failure_and_what_is_not_a_refusal) {
  http::Response next;
  answer = [&](const http::Request&) { return next; };
  const auto source = far();
  const auto list = [&] { source->blocks(snapshot_id, ""); };
  const auto refuse = [](int status, const std::string& code) {
    return http::Response{.status = status, .headers = {{"x-amzn-ErrorType", code}}, .body = R"({"message":"why"})"};
  };
  next = refuse(500, "InternalServerException");
  EXPECT_EQ(what<SourceFailure>(list), "region far-north-1 answers 500 InternalServerException: why");
  next = refuse(400, "RequestThrottledException");
  EXPECT_EQ(what<SourceFailure>(list), "region far-north-1 answers 400 RequestThrottledException: why");
  next = refuse(400, "ValidationException");
  EXPECT_EQ(what<base::ApiError>(list), "why");
  next = refuse(403, "UnrecognizedClientException");
  EXPECT_EQ(what<base::ApiError>(list),
            "Region far-north-1 does not accept the key that is configured for this account: why");
  next = {.body = "{"};
  EXPECT_NE(what<SourceFailure>(list).find("the list of blocks"), std::string::npos);
  next = {.status = 302, .headers = {{"Location", "http://127.0.0.1:1/"}}};
  EXPECT_NE(what<base::ApiError>(list).find("is http://127.0.0.1"), std::string::npos);
}

TEST_F(RemoteRegions, nobody_there_is_a_failure_and_no_key_a_refusal) {
  const auto port = server.listen({.host = "127.0.0.1", .port = 0});
  const auto endpoint = "http://127.0.0.1:" + std::to_string(server.port(port));
  server.remove(port);
  const auto source = far(endpoint);
  EXPECT_NE(what<SourceFailure>([&] { source->blocks(snapshot_id, ""); }).find(endpoint), std::string::npos);
  EXPECT_EQ(regions->open("elsewhere-1", {.account = account, .arn = {}, .user_id = {}, .access_key = {}}), nullptr);
  EXPECT_THROW(regions->open("far-north-1", {.account = "999999999999", .arn = {}, .user_id = {}, .access_key = {}}),
               base::ApiError);
}

TEST_F(RemoteRegions, an_endless_answer_is_cut) {
  answer = [](const http::Request&) -> http::Response {
    return {.stream = [](http::BodyWriter& out) {
      const base::Bytes piece(1 << 20);
      for (std::size_t i = 0; i <= HttpClient::most_body_bytes / piece.size(); ++i) out.write(piece);
    }};
  };
  const auto source = far();
  EXPECT_NE(what<SourceFailure>([&] { source->blocks(snapshot_id, ""); }).find("too long"), std::string::npos);
}

TEST_F(RemoteRegions, a_certificate_is_checked) {
  const auto name = (std::filesystem::temp_directory_path() / ("kiln-tls-" + base::random_hex(6))).string();
  const auto made =
      base::run({.arguments = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                               "-nodes", "-subj", "/CN=kiln", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                               name + ".key", "-out", name + ".crt"}},
                std::chrono::seconds(10));
  ASSERT_EQ(made.exit_code, 0) << made.output;
  answer = [](const http::Request&) -> http::Response {
    return {.body = R"({"Blocks":[],"VolumeSize":3,"BlockSize":524288})"};
  };
  const auto listener = server.listen({.host = "127.0.0.1", .port = 0},
                                      http::Tls{.certificate_file = name + ".crt", .key_file = name + ".key"});
  const auto endpoint = "https://127.0.0.1:" + std::to_string(server.port(listener));
  EXPECT_EQ(far(endpoint, name + ".crt")->blocks(snapshot_id, "").disk_bytes, std::uint64_t{3} << 30);
  const auto unknown = far(endpoint);
  EXPECT_NE(what<SourceFailure>([&] { unknown->blocks(snapshot_id, ""); }).find("certificate"), std::string::npos);
  std::filesystem::remove(name + ".crt");
  std::filesystem::remove(name + ".key");
}

TEST(Servers, an_endpoint_is_a_scheme_and_a_host) {
  for (const auto* good : {"http://localhost", "https://kiln.example:8773", "http://[::1]:8773"}) {
    EXPECT_TRUE(is_server(good)) << good;
  }
  for (const auto* bad : {"", "kiln.example", "ftp://x", "https://", "https://x/y", "http://a b", "http://u@x"}) {
    EXPECT_FALSE(is_server(bad)) << bad;
  }
}

}  // namespace
}  // namespace kiln::remote
