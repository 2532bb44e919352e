#include "services/dispatch.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/api_error.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "catalog/accounts.h"
#include "catalog/client_tokens.h"
#include "control/region_fixture.h"
#include "control/sessions.h"
#include "services/authentication.h"
#include "services/sts/sts.h"
#include "wire/sigv4.h"

namespace kiln::services::dispatch_test {

struct DescribeThingsRequest {
  std::vector<std::string> thing_id;
  std::optional<int> max_results;
};
struct DescribeThingsResponse {
  std::vector<std::string> thing_set;
  std::string said;
};
struct CreateThingRequest {
  std::string name;
};
struct CreateThingResponse {
  std::string thing_id;
};
struct PutBytesRequest {};
struct PutBytesResponse {
  std::string bytes;
};
struct GetBytesRequest {
  int count = 0;
};
struct GetBytesResponse {};

}  // namespace kiln::services::dispatch_test

KILN_WIRE(kiln::services::dispatch_test::DescribeThingsRequest, thing_id, max_results)
KILN_WIRE(kiln::services::dispatch_test::DescribeThingsResponse, thing_set, said)
KILN_WIRE(kiln::services::dispatch_test::CreateThingRequest, name)
KILN_WIRE(kiln::services::dispatch_test::CreateThingResponse, thing_id)
KILN_WIRE_EMPTY(kiln::services::dispatch_test::PutBytesRequest)
KILN_WIRE(kiln::services::dispatch_test::PutBytesResponse, bytes)
KILN_WIRE(kiln::services::dispatch_test::GetBytesRequest, count)
KILN_WIRE_EMPTY(kiln::services::dispatch_test::GetBytesResponse)

namespace kiln::services::dispatch_test {
namespace {

std::atomic<int> things_made = 0;

DescribeThingsResponse describe_things(Call& call, const DescribeThingsRequest& request) {
  if (request.max_results == 13) throw std::runtime_error("the disk is on fire");
  if (request.max_results == 14) throw base::ApiError("InsufficientInstanceCapacity", "full");
  if (request.max_results == 15) throw base::ApiError("InvalidThing.NotFound", "no <thing>");
  return {.thing_set = request.thing_id,
          .said = call.principal.account + ' ' + call.region.name + ' ' + call.action + ' ' + call.source_ip};
}

// As the rules do it: the row of the token and the thing in one transaction.
CreateThingResponse create_thing(Call& call, const CreateThingRequest& request) {
  if (!call.made_before.empty()) return {call.made_before};
  const std::string id = "thing-" + request.name + '-' + std::to_string(++things_made);
  if (call.client_token) {
    catalog::ClientToken token = *call.client_token;
    token.result = id;
    call.region.catalog.run_in_txn([&](catalog::Txn& txn) { catalog::remember_client_token(txn, token); });
  }
  return {id};
}

std::string bytes_put;

// Reads pieces of three bytes, as one that has not the memory for the whole, and keeps what it read at the end.
PutBytesResponse put_bytes(Call& call, const PutBytesRequest&) {
  std::string all;
  std::byte piece[3];
  for (std::size_t count; (count = call.body->read(piece)) > 0;) {
    all += base::as_text(std::span<const std::byte>(piece).first(count));
  }
  bytes_put = all;
  return {all};
}

GetBytesResponse get_bytes(Call& call, const GetBytesRequest& request) {
  call.streamed_answer = {.headers = {{"x-thing", "1"}},
                          .length = static_cast<std::uint64_t>(request.count),
                          .write = [count = request.count](http::BodyWriter& out) {
                            for (int i = 0; i < count; ++i) out.write(std::as_bytes(std::span("b", 1)));
                          }};
  return {};
}

constexpr Operation operations[] = {
    operation<put_bytes>("PutBytes", Access::writes, Payload::streamed),
    operation<get_bytes>("GetBytes", Access::reads, Payload::streamed),
    operation<describe_things>("DescribeThings", Access::reads),
    operation<create_thing>("CreateThing", Access::writes),
};

struct Sent {
  std::string body;
  std::string service = "ec2", region = "us-east-1", method = "POST", query, host = "127.0.0.1:8773";
  std::string key = "AKIAROOT", secret = "secret";
  base::Micros late = 0;  // added to the time of signing
  bool sign = true;
};

class DispatchTest : public ::testing::Test {
 protected:
  DispatchTest() {
    world_.region().catalog.run_in_txn([](catalog::Txn& txn) {
      catalog::insert(txn, catalog::Account{.id = "123456789012", .name = "one"});
      const auto add = [&](const char* id, const char* principal, bool active) {
        catalog::insert(
            txn,
            catalog::AccessKey{
                .id = id, .secret = "secret", .account = "123456789012", .principal = principal, .active = active});
      };
      add("AKIAROOT", "arn:aws:iam::123456789012:root", true);
      add("AKIAOFF", "arn:aws:iam::123456789012:root", false);
      add("AKIAUSER", "arn:aws:iam::123456789012:user/eve", true);
    });
  }

  http::Response send(const Sent& sent) {
    http::Request request{.method = sent.method,
                          .path = "/",
                          .query = sent.query,
                          .headers = {{"Host", sent.host}, {"Content-Type", "application/x-www-form-urlencoded"}},
                          .body = sent.body,
                          .peer_address = "127.0.0.1"};
    if (sent.sign) {
      request.headers = wire::sign({.method = sent.method,
                                    .path = "/",
                                    .query = sent.query,
                                    .headers = request.headers,
                                    .body_digest = base::sha256(std::string_view(sent.body)).hex()},
                                   {.access_key = sent.key, .secret = sent.secret},
                                   {.region = sent.region, .service = sent.service, .time = clock_.now() + sent.late});
    }
    return dispatch_.answer(request);
  }

  // "401 AuthFailure"
  std::string refusal(const Sent& sent) {
    const http::Response got = send(sent);
    const auto from = got.body.find("<Code>");
    const auto to = got.body.find("</Code>");
    return std::to_string(got.status) + ' ' +
           (from == std::string::npos ? "accepted" : got.body.substr(from + 6, to - from - 6));
  }

  control::RegionFixture world_;
  base::SystemClock clock_;
  const std::vector<Service> services_{
      {.name = "ec2",
       .version = "2016-11-15",
       .dialect = {.protocol = wire::Protocol::ec2, .xml_namespace = "http://ec2.amazonaws.com/doc/2016-11-15/"},
       .tables = {operations}},
      sts::service()};
  const Dispatch dispatch_{world_.regions(), world_.region().catalog, clock_, services_};
};

const Sent describe{.body = "Action=DescribeThings&Version=2016-11-15&ThingId.1=a&ThingId.2=b"};
const Sent who{.body = "Action=GetCallerIdentity&Version=2011-06-15", .service = "sts"};

TEST_F(DispatchTest, temporary_credentials_end_by_their_time) {
  const auto session = control::session_of_caller(world_.region(), world_.alice, 900);
  const auto at = [&](base::Micros later) {
    wire::HeaderList headers{{"Host", "127.0.0.1:8773"}, {"X-Amz-Security-Token", session.token}};
    const auto now = clock_.now() + later;
    headers = wire::sign({.method = "POST",
                          .path = "/",
                          .query = {},
                          .headers = headers,
                          .body_digest = base::sha256(std::string_view()).hex()},
                         {.access_key = session.access_key, .secret = session.secret},
                         {.region = "us-east-1", .service = "sts", .time = now});
    const wire::SignedParts parts{.method = "POST", .path = "/", .query = "", .headers = headers};
    authenticate(world_.region().catalog, world_.region().key_store, parts, *wire::read_claim(parts), "",
                 Payload::buffered, now);
  };
  EXPECT_NO_THROW(at(base::seconds(890)));
  EXPECT_THROW(at(base::seconds(901)), ExpiredKey);
}

TEST_F(DispatchTest, answers_a_signed_call) {
  const http::Response got = send(describe);
  EXPECT_EQ(got.status, 200);
  EXPECT_NE(got.body.find("<thingSet><item>a</item><item>b</item></thingSet><said>123456789012 us-east-1 "
                          "DescribeThings 127.0.0.1</said>"),
            std::string::npos)
      << got.body;
  const auto id = http::find_header(got.headers, "x-amzn-RequestId");
  ASSERT_TRUE(id);
  EXPECT_NE(got.body.find("<requestId>" + std::string(*id) + "</requestId>"), std::string::npos);
  EXPECT_EQ(http::find_header(got.headers, "Content-Type"), "text/xml;charset=UTF-8");
}

TEST_F(DispatchTest, answers_get_with_a_query_string) {
  EXPECT_EQ(send({.method = "GET", .query = describe.body}).status, 200);
}

TEST_F(DispatchTest, answers_a_presigned_get) {
  http::Request request{.method = "GET", .path = "/", .headers = {{"Host", "h"}}};
  request.query = wire::presign({.method = "GET",
                                 .path = "/",
                                 .query = describe.body,
                                 .headers = request.headers,
                                 .body_digest = base::sha256(std::string_view("")).hex()},
                                {.access_key = "AKIAROOT", .secret = "secret"},
                                {.region = "us-east-1", .service = "ec2", .time = clock_.now()}, 60);
  EXPECT_EQ(dispatch_.answer(request).status, 200);
}

TEST_F(DispatchTest, the_scope_of_the_credential_chooses_the_service) {
  const http::Response got = send(who);
  EXPECT_EQ(got.status, 200);
  EXPECT_NE(got.body.find("<GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:root</Arn>"
                          "<UserId>123456789012</UserId><Account>123456789012</Account></GetCallerIdentityResult>"),
            std::string::npos)
      << got.body;
  Sent elsewhere = who;
  elsewhere.region = "aws-global";
  EXPECT_EQ(send(elsewhere).status, 200);
}

TEST_F(DispatchTest, refusals_of_signatures_are_worded_as_the_service_words_them) {
  const auto both = [&](auto change) {
    Sent ec2 = describe;
    Sent sts = who;
    change(ec2);
    change(sts);
    return refusal(ec2) + ", " + refusal(sts);
  };
  EXPECT_EQ(both([](Sent& s) { s.secret = "wrong"; }), "401 AuthFailure, 403 SignatureDoesNotMatch");
  EXPECT_EQ(both([](Sent& s) { s.key = "AKIANOBODY"; }), "401 AuthFailure, 403 InvalidClientTokenId");
  EXPECT_EQ(both([](Sent& s) { s.key = "AKIAOFF"; }), "401 AuthFailure, 403 InvalidClientTokenId");
  EXPECT_EQ(both([](Sent& s) { s.late = base::seconds(-1000); }), "400 RequestExpired, 403 SignatureDoesNotMatch");
  EXPECT_EQ(both([](Sent& s) { s.late = base::seconds(1000); }), "400 RequestExpired, 403 SignatureDoesNotMatch");
  EXPECT_EQ(both([](Sent& s) { s.sign = false; }), "403 MissingAuthenticationToken, 403 MissingAuthenticationToken");
  EXPECT_EQ(both([](Sent& s) { s.key = ""; }), "400 IncompleteSignature, 400 IncompleteSignature");
}

TEST_F(DispatchTest, errors_have_the_form_of_their_service) {
  Sent ec2 = describe;
  Sent sts = who;
  ec2.secret = sts.secret = "wrong";
  EXPECT_NE(send(ec2).body.find("<Response><Errors><Error><Code>"), std::string::npos);
  EXPECT_NE(send(sts).body.find("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                                "<Type>Sender"),
            std::string::npos);
}

TEST_F(DispatchTest, a_region_that_is_not_served_is_refused) {
  Sent sent = describe;
  sent.region = "mars-north-1";
  EXPECT_EQ(refusal(sent), "401 AuthFailure");
}

TEST_F(DispatchTest, unknown_actions_are_refused_by_name) {
  EXPECT_EQ(refusal({.body = "Action=DescribeUnicorns"}), "400 InvalidAction");
  EXPECT_NE(send({.body = "Action=DescribeUnicorns"}).body.find("DescribeUnicorns"), std::string::npos);
  EXPECT_EQ(refusal({.body = "Version=2016-11-15"}), "400 MissingAction");
  EXPECT_EQ(refusal({.body = "Action=GetNothing", .service = "sts"}), "400 InvalidAction");
  EXPECT_EQ(refusal({.body = "Action=ListUsers", .service = "iam"}), "400 InvalidAction");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings", .secret = "wrong"}), "401 AuthFailure");
}

TEST_F(DispatchTest, a_principal_without_rights_may_only_learn_who_it_is) {
  Sent ec2 = describe;
  Sent sts = who;
  ec2.key = sts.key = "AKIAUSER";
  EXPECT_EQ(refusal(ec2), "403 UnauthorizedOperation");
  EXPECT_EQ(refusal(sts), "200 accepted");
}

TEST_F(DispatchTest, dry_run_comes_after_authorisation_and_decoding) {
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&DryRun=true"}), "412 DryRunOperation");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&DryRun=false"}), "200 accepted");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&DryRun=true&MaxResults=x"}), "400 InvalidParameterValue");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&DryRun=maybe"}), "400 InvalidParameterValue");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&DryRun=true", .key = "AKIAUSER"}), "403 UnauthorizedOperation");
}

TEST_F(DispatchTest, what_a_handler_throws_becomes_an_answer) {
  const http::Response ours = send({.body = "Action=DescribeThings&MaxResults=13"});
  EXPECT_EQ(ours.status, 500);
  EXPECT_NE(ours.body.find("<Code>InternalError</Code>"), std::string::npos);
  EXPECT_EQ(ours.body.find("fire"), std::string::npos) << "the reason is for the log";
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&MaxResults=14"}), "500 InsufficientInstanceCapacity");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&MaxResults=15"}), "400 InvalidThing.NotFound");
  EXPECT_NE(send({.body = "Action=DescribeThings&MaxResults=15"}).body.find("no &lt;thing&gt;"), std::string::npos);
}

TEST_F(DispatchTest, malformed_queries_are_refused_in_the_words_of_the_service) {
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&A=%zz"}), "400 InvalidQueryParameter");
  EXPECT_EQ(refusal({.body = "Action=DescribeThings&A=1&A=2"}), "400 InvalidQueryParameter");
}

std::string made(const http::Response& response) {
  const auto from = response.body.find("<thingId>");
  return response.body.substr(from, response.body.find("</thingId>") - from);
}

TEST_F(DispatchTest, a_client_token_makes_one_thing) {
  const std::string body = "Action=CreateThing&Name=x&ClientToken=t1";
  const auto first = made(send({.body = body}));
  EXPECT_EQ(made(send({.body = body})), first);
  EXPECT_EQ(made(send({.body = "Name=x&ClientToken=t1&Version=2016-11-15&Action=CreateThing"})), first);
  EXPECT_NE(made(send({.body = "Action=CreateThing&Name=x&ClientToken=t2"})), first);
  EXPECT_NE(made(send({.body = "Action=CreateThing&Name=x"})), first);
  EXPECT_EQ(refusal({.body = "Action=CreateThing&Name=y&ClientToken=t1"}), "400 IdempotentParameterMismatch");
  EXPECT_EQ(refusal({.body = "Action=CreateThing&Name=y&ClientToken=" + std::string(65, 't')}),
            "400 InvalidParameterValue");
}

TEST_F(DispatchTest, a_dry_run_uses_no_token_up) {
  EXPECT_EQ(refusal({.body = "Action=CreateThing&Name=z&ClientToken=t3&DryRun=true"}), "412 DryRunOperation");
  EXPECT_EQ(refusal({.body = "Action=CreateThing&Name=z&ClientToken=t3"}), "200 accepted");
}

// A body on the network, as the server hands it to a handler.
class Arriving final : public http::BodyReader {
 public:
  explicit Arriving(std::string_view bytes) : rest_(bytes) {}
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = rest_.copy(reinterpret_cast<char*>(out.data()), out.size());
    rest_.remove_prefix(count);
    return count;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

class StreamingTest : public DispatchTest {
 protected:
  StreamingTest() { bytes_put.clear(); }

  // Sends arriving after having signed a body of this digest, and answers "200", "401 AuthFailure", ...
  std::string put(std::string_view arriving, const std::string& digest, bool send_digest = true,
                  const std::string& secret = "secret") {
    http::Request request = signed_request("PUT", "Action=PutBytes", arriving.size(), digest, send_digest, secret);
    Arriving body(arriving);
    if (dispatch_.admit(request).stream) {
      request.stream = &body;
    } else {
      request.body = arriving;
    }
    return outcome(request, body);
  }

  http::Request signed_request(const std::string& method, const std::string& query, std::size_t length,
                               const std::string& digest, bool send_digest = true,
                               const std::string& secret = "secret") {
    http::Request request{.method = method, .path = "/", .query = query, .peer_address = "127.0.0.1"};
    request.headers = {{"Host", "127.0.0.1:8773"}, {"Content-Length", std::to_string(length)}};
    request.headers = wire::sign({.method = method,
                                  .path = "/",
                                  .query = query,
                                  .headers = request.headers,
                                  .body_digest = digest,
                                  .send_digest = send_digest},
                                 {.access_key = "AKIAROOT", .secret = secret},
                                 {.region = "us-east-1", .service = "ec2", .time = clock_.now()});
    return request;
  }

  std::string outcome(http::Request& request, const Arriving& body) {
    const http::Response got = dispatch_.answer(request);
    left_ = body.rest();
    const auto from = got.body.find("<Code>");
    if (from == std::string::npos) return std::to_string(got.status);
    return std::to_string(got.status) + ' ' + got.body.substr(from + 6, got.body.find("</Code>") - from - 6);
  }

  static std::string digest_of(std::string_view text) { return base::sha256(text).hex(); }

  std::string left_;  // what the last body had left
};

TEST_F(StreamingTest, a_streamed_body_reaches_its_handler_when_it_is_what_was_signed) {
  EXPECT_EQ(put("a body of some size", digest_of("a body of some size")), "200");
  EXPECT_EQ(bytes_put, "a body of some size");
  EXPECT_EQ(left_, "");
  EXPECT_EQ(put("unsigned", "UNSIGNED-PAYLOAD"), "200");
  EXPECT_EQ(bytes_put, "unsigned");
  EXPECT_EQ(put("", digest_of("")), "200");
  EXPECT_EQ(bytes_put, "");
}

TEST_F(StreamingTest, another_body_than_the_signed_one_is_refused_before_anything_is_made_of_it) {
  EXPECT_EQ(put("swapped", digest_of("genuine")), "401 AuthFailure");
  EXPECT_EQ(put("sixsix", digest_of("sevens")), "401 AuthFailure") << "the last piece is a full one";
  EXPECT_EQ(put("", digest_of("genuine")), "401 AuthFailure");
  EXPECT_EQ(bytes_put, "");
}

TEST_F(StreamingTest, nothing_is_read_of_a_body_whose_sender_is_not_who_it_says) {
  EXPECT_EQ(put("body", digest_of("body"), true, "wrong"), "401 AuthFailure");
  EXPECT_EQ(left_, "body");
}

TEST_F(StreamingTest, a_body_whose_digest_is_not_sent_is_buffered_and_verified) {
  EXPECT_EQ(put("small", digest_of("small"), false), "200");
  EXPECT_EQ(bytes_put, "small");
  EXPECT_EQ(put("swapped", digest_of("small"), false), "401 AuthFailure");
  EXPECT_EQ(bytes_put, "small");
}

TEST_F(StreamingTest, a_body_may_be_unsigned_without_a_header_that_says_so) {
  EXPECT_EQ(put("unsaid", "UNSIGNED-PAYLOAD", false), "200");
  EXPECT_EQ(bytes_put, "unsaid");
}

TEST_F(StreamingTest, a_signed_body_of_unknown_length_is_refused) {
  http::Request request = signed_request("PUT", "Action=PutBytes", 4, digest_of("body"));
  for (auto& [name, value] : request.headers) {
    if (name == "Content-Length") name = "Transfer-Encoding";
  }
  Arriving body("body");
  request.stream = &body;
  EXPECT_EQ(outcome(request, body), "411 MissingContentLength");
  EXPECT_EQ(bytes_put, "");
}

TEST_F(StreamingTest, only_bodies_of_streamed_operations_are_streamed) {
  EXPECT_TRUE(dispatch_.admit(signed_request("PUT", "Action=PutBytes", 4, digest_of("body"))).stream);
  EXPECT_FALSE(dispatch_.admit(signed_request("POST", "Action=CreateThing", 4, digest_of("body"))).stream);
  EXPECT_FALSE(dispatch_.admit(signed_request("POST", "Action=Nothing", 4, digest_of("body"))).stream);
  EXPECT_FALSE(dispatch_.admit(http::Request{.method = "POST", .headers = {{"Authorization", "nonsense"}}}).stream);
}

class Collected final : public http::BodyWriter {
 public:
  void write(std::span<const std::byte> bytes) override { text += base::as_text(bytes); }
  std::string text;
};

TEST_F(StreamingTest, an_operation_answers_with_bytes) {
  http::Request request = signed_request("GET", "Action=GetBytes&Count=5", 0, digest_of(""));
  const http::Response got = dispatch_.answer(request);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(http::find_header(got.headers, "Content-Type"), "application/octet-stream");
  EXPECT_EQ(http::find_header(got.headers, "x-thing"), "1");
  EXPECT_TRUE(http::find_header(got.headers, "x-amzn-RequestId"));
  EXPECT_EQ(got.stream_length, 5u);
  Collected out;
  got.stream(out);
  EXPECT_EQ(out.text, "bbbbb");
}

TEST_F(DispatchTest, what_never_reached_it_is_refused_as_its_service_would) {
  http::Request request{
      .method = "POST", .path = "/", .headers = {{"Authorization", "Credential=A/1/r/ec2/aws4_request"}}};
  const http::Response large = Dispatch::refuse(413, request);
  EXPECT_EQ(large.status, 413);
  EXPECT_NE(large.body.find("<Response><Errors><Error><Code>RequestEntityTooLarge</Code>"), std::string::npos);
  EXPECT_NE(Dispatch::refuse(503, http::Request{}).body.find("<Code>RequestLimitExceeded</Code>"), std::string::npos);
  request.headers = {{"Authorization", "Credential=A/1/r/ebs/aws4_request"}};
  const http::Response busy = Dispatch::refuse(503, request);
  EXPECT_EQ(http::find_header(busy.headers, "x-amzn-ErrorType"), "RequestThrottledException");
  EXPECT_EQ(busy.body, R"({"message":"Request limit exceeded."})");
}

}  // namespace
}  // namespace kiln::services::dispatch_test
