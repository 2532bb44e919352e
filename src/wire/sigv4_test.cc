#include "wire/sigv4.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/text.h"

namespace kiln::wire {
namespace {

using Why = SignatureError::Why;

// The credentials and the moment of AWS's published SigV4 test suite.
const Credentials suite_key{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
const base::Micros suite_time = *base::from_amz_date("20150830T123600Z");
const SigningScope suite_scope{.region = "us-east-1", .service = "service", .time = suite_time};

struct Vector {
  const char* name;
  const char* method;
  const char* path;
  const char* query;
  HeaderList headers;
  const char* body;
  const char* signature;
};

std::string authorization(const HeaderList& headers) {
  for (const auto& [name, value] : headers) {
    if (name == "Authorization") return value;
  }
  return {};
}

const HeaderList plain_host{{"Host", "example.amazonaws.com"}};

// Names and signatures as in the suite.
const Vector suite[] = {
    {"get-vanilla", "GET", "/", "", plain_host, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-query-order-key-case", "GET", "/", "Param2=value2&Param1=value1", plain_host, "",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"post-vanilla", "POST", "/", "", plain_host, "",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"get-utf8", "GET", "/\xE1\x88\xB4", "", plain_host, "",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space", "GET", "/example space/", "", plain_host, "",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-relative", "GET", "/example/..", "", plain_host, "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slashes", "GET", "//", "", plain_host, "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-dot-slash", "GET", "/./", "", plain_host, "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-header-key-duplicate",
     "GET",
     "/",
     "",
     {{"Host", "example.amazonaws.com"}, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
     "",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {{"Host", "example.amazonaws.com"}, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
     "",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {{"Content-Type", "application/x-www-form-urlencoded"}, {"Host", "example.amazonaws.com"}},
     "Param1=value1",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
};

TEST(SigV4, signs_the_published_vectors_as_published) {
  for (const Vector& v : suite) {
    const HeaderList headers = sign({.method = v.method,
                                     .path = v.path,
                                     .query = v.query,
                                     .headers = v.headers,
                                     .body_digest = base::sha256(std::string_view(v.body)).hex()},
                                    suite_key, suite_scope);
    EXPECT_TRUE(authorization(headers).ends_with(std::string("Signature=") + v.signature))
        << v.name << ": " << authorization(headers);
  }
}

TEST(SigV4, signs_the_example_of_the_iam_documentation) {
  const HeaderList headers = sign(
      {.method = "GET",
       .path = "/",
       .query = "Action=ListUsers&Version=2010-05-08",
       .headers = {{"Host", "iam.amazonaws.com"}, {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
       .body_digest = base::sha256(std::string_view("")).hex()},
      suite_key, {.region = "us-east-1", .service = "iam", .time = suite_time});
  EXPECT_EQ(authorization(headers),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

// A signed request that a test then breaks in one way.
struct Signed {
  std::string method = "POST", path = "/", query, body = "Action=DescribeImages&Version=2016-11-15";
  HeaderList headers{{"Host", "127.0.0.1:8773"}, {"Content-Type", "application/x-www-form-urlencoded"}};
  std::string digest_line;  // "UNSIGNED-PAYLOAD", when it is not the body's
  bool send_digest = false;

  std::string digest() const { return base::sha256(std::string_view(body)).hex(); }
  void seal() {
    headers = sign({.method = method,
                    .path = path,
                    .query = query,
                    .headers = headers,
                    .body_digest = digest_line.empty() ? digest() : digest_line,
                    .send_digest = send_digest},
                   suite_key, suite_scope);
  }
  void seal_query(std::int64_t lifetime) {
    query = presign({.method = method, .path = path, .query = query, .headers = headers, .body_digest = digest()},
                    suite_key, suite_scope, lifetime);
  }
  std::string& value_of(std::string_view name) {
    for (auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return headers.emplace_back(name, "").second;
  }
  SignedParts parts() const { return {.method = method, .path = path, .query = query, .headers = headers}; }
  // What verification says: nothing when it accepts.
  std::optional<Why> refusal(base::Micros now = suite_time, bool allow_unsigned = false,
                             std::string_view secret = suite_key.secret) const {
    try {
      const auto claim = read_claim(parts());
      if (!claim) return Why::incomplete;
      verify(parts(), *claim,
             {.secret = secret, .now = now, .body_digest = digest(), .allow_unsigned_body = allow_unsigned});
      return {};
    } catch (const SignatureError& error) {
      return error.why();
    }
  }
};

TEST(SigV4, accepts_what_it_signed_in_both_forms) {
  Signed header;
  header.seal();
  EXPECT_EQ(header.refusal(), std::nullopt);
  Signed query;
  query.query = "Action=DescribeImages&Filter.1.Name=a%20b";
  query.seal_query(60);
  EXPECT_EQ(query.refusal(), std::nullopt);
}

TEST(SigV4, reads_the_scope_of_the_credential) {
  Signed request;
  request.seal();
  const auto claim = read_claim(request.parts());
  ASSERT_TRUE(claim);
  EXPECT_EQ(claim->access_key, "AKIDEXAMPLE");
  EXPECT_EQ(claim->region, "us-east-1");
  EXPECT_EQ(claim->service, "service");
  EXPECT_FALSE(claim->presigned);
}

TEST(SigV4, says_nothing_of_an_unsigned_request) { EXPECT_FALSE(read_claim(Signed{}.parts())); }

TEST(SigV4, any_change_of_what_is_signed_is_a_mismatch) {
  const auto broken = [](auto change) {
    Signed request;
    request.query = "a=1";
    request.seal();
    change(request);
    return request.refusal();
  };
  EXPECT_EQ(broken([](Signed& r) { r.body += '&'; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.method = "GET"; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.path = "/x"; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.query = "a=2"; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.query = "a=1&a=1"; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.value_of("Host") = "elsewhere"; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.headers.emplace_back("host", "second"); }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.value_of("Authorization").back() ^= 1; }), Why::mismatch);
  EXPECT_EQ(broken([](Signed& r) { r.value_of("Content-Type") = "text/plain"; }), Why::mismatch);
}

TEST(SigV4, a_wrong_secret_is_a_mismatch) {
  Signed request;
  request.seal();
  EXPECT_EQ(request.refusal(suite_time, false, "another"), Why::mismatch);
}

TEST(SigV4, spelling_that_means_the_same_verifies) {
  Signed request;
  request.query = "b=%7e&a=x%20y";
  request.headers.emplace_back("X-Amz-Meta", "a  b");
  request.seal();
  request.query = "a=x+y&b=~";
  request.value_of("X-Amz-Meta") = "  a b ";
  EXPECT_EQ(request.refusal(), std::nullopt);
}

TEST(SigV4, an_encoded_path_is_encoded_again) {
  const HeaderList headers{{"host", "h"}};
  const std::vector<std::string> names{"host"};
  const std::string canonical = canonical_request(
      {.method = "GET", .path = "/components/a%3Ab/x.x.x", .query = "", .headers = headers}, names, "-");
  EXPECT_TRUE(canonical.starts_with("GET\n/components/a%253Ab/x.x.x\n\nhost:h\n\nhost\n-")) << canonical;
}

TEST(SigV4, duplicate_parameters_are_sorted_by_value) {
  const HeaderList headers{{"host", "h"}};
  const std::vector<std::string> names{"host"};
  const std::string canonical =
      canonical_request({.method = "GET", .path = "/", .query = "b&a=2&a=10&a&&=3", .headers = headers}, names, "-");
  EXPECT_TRUE(canonical.starts_with("GET\n/\n=3&a=&a=10&a=2&b=\n")) << canonical;
}

TEST(SigV4, fifteen_minutes_of_skew_are_forgiven_and_no_more) {
  Signed request;
  request.seal();
  EXPECT_EQ(request.refusal(suite_time + base::seconds(900)), std::nullopt);
  EXPECT_EQ(request.refusal(suite_time - base::seconds(900)), std::nullopt);
  EXPECT_EQ(request.refusal(suite_time + base::seconds(901)), Why::expired);
  EXPECT_EQ(request.refusal(suite_time - base::seconds(901)), Why::not_yet);
}

TEST(SigV4, a_presigned_request_lives_as_long_as_it_says) {
  Signed request;
  request.seal_query(60);
  EXPECT_EQ(request.refusal(suite_time + base::seconds(60)), std::nullopt);
  EXPECT_EQ(request.refusal(suite_time + base::seconds(61)), Why::expired);
  request.query.replace(request.query.find("Expires=60"), 10, "Expires=61");
  EXPECT_EQ(request.refusal(suite_time + base::seconds(61)), Why::mismatch);
}

TEST(SigV4, the_date_of_the_scope_is_the_date_of_the_request) {
  Signed request;
  request.seal();
  request.value_of("X-Amz-Date") = "20150831T000000Z";
  EXPECT_EQ(request.refusal(suite_time), Why::wrong_scope);
}

TEST(SigV4, a_session_token_is_refused) {
  Signed request;
  request.headers.emplace_back("X-Amz-Security-Token", "token");
  request.seal();
  EXPECT_EQ(request.refusal(), Why::session_token);
}

TEST(SigV4, an_unsigned_payload_needs_permission_and_a_signed_header_or_none) {
  Signed request;
  request.digest_line = "UNSIGNED-PAYLOAD";
  request.send_digest = true;
  request.seal();
  EXPECT_EQ(request.refusal(suite_time, true), std::nullopt);
  EXPECT_EQ(request.refusal(suite_time, false), Why::unsigned_body);

  Signed unsigned_header;
  unsigned_header.digest_line = "UNSIGNED-PAYLOAD";
  unsigned_header.seal();
  unsigned_header.headers.emplace_back("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD");
  EXPECT_EQ(unsigned_header.refusal(suite_time, true), Why::unsigned_body);

  Signed no_header;
  no_header.digest_line = "UNSIGNED-PAYLOAD";
  no_header.seal();
  EXPECT_EQ(no_header.refusal(suite_time, true), std::nullopt);
  EXPECT_EQ(no_header.refusal(suite_time, false), Why::mismatch);
  EXPECT_EQ(no_header.refusal(suite_time, true, "another secret"), Why::mismatch);
}

TEST(SigV4, the_body_that_came_counts_and_not_the_digest_that_was_sent) {
  Signed request;
  request.send_digest = true;
  request.seal();
  EXPECT_EQ(request.refusal(), std::nullopt);
  request.body = "Action=TerminateInstances";
  EXPECT_EQ(request.refusal(), Why::mismatch);
}

TEST(SigV4, a_streamed_body_is_bound_to_the_digest_that_was_signed) {
  Signed request;
  request.send_digest = true;
  request.seal();
  const auto claim = read_claim(request.parts());
  const auto promised =
      verify(request.parts(), *claim, {.secret = suite_key.secret, .now = suite_time, .body_digest = std::nullopt});
  EXPECT_EQ(promised, request.digest());
}

TEST(SigV4, malformed_claims_are_incomplete) {
  const auto with = [](std::string authorization) {
    Signed request;
    request.seal();
    request.value_of("Authorization") = std::move(authorization);
    return request.refusal();
  };
  const std::string zeros(64, '0');
  const std::string scope = "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request";
  EXPECT_EQ(with(scope + ", SignedHeaders=host, Signature=" + zeros), Why::mismatch);
  EXPECT_EQ(with(scope + ", SignedHeaders=x-amz-date, Signature=" + zeros), Why::incomplete);
  EXPECT_EQ(with(scope + ", SignedHeaders=host, Signature=00"), Why::incomplete);
  EXPECT_EQ(with(scope + ", SignedHeaders=host"), Why::incomplete);
  EXPECT_EQ(with(scope + ", Signature=" + zeros), Why::incomplete);
  EXPECT_EQ(with("AWS4-HMAC-SHA256 Credential=A/20150830/r/s, SignedHeaders=host, Signature=" + zeros),
            Why::incomplete);
  EXPECT_EQ(with("Basic dXNlcjpwYXNz"), Why::incomplete);
  EXPECT_EQ(with("AWS4-HMAC-SHA256"), Why::incomplete);
  EXPECT_EQ(with(""), Why::incomplete);
  Signed twice;
  twice.seal();
  twice.headers.emplace_back("authorization", twice.value_of("Authorization"));
  EXPECT_EQ(twice.refusal(), Why::incomplete);
  Signed unsigned_target;
  unsigned_target.seal();
  unsigned_target.headers.emplace_back("X-Amz-Target", "AmazonSSM.DeleteParameter");
  EXPECT_EQ(unsigned_target.refusal(), Why::incomplete);
}

}  // namespace
}  // namespace kiln::wire
