#include "remote/signed_calls.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/digest.h"
#include "control/source_region.h"
#include "remote/answers.h"

namespace kiln::remote {
namespace {

using base::ApiError;
using control::SourceFailure;

bool asks_to_come_again(int status, const std::string& code) {
  constexpr std::string_view throttled[] = {"RequestLimitExceeded", "Throttling", "ThrottlingException",
                                            "RequestThrottledException"};
  return status >= 500 || status == 429 || std::ranges::find(throttled, code) != std::end(throttled);
}

// The key that our configuration has is not good there: nothing that the caller did.
bool is_about_the_key(const std::string& code) {
  constexpr std::string_view codes[] = {
      "AuthFailure",          "SignatureDoesNotMatch",       "InvalidSignatureException",
      "InvalidClientTokenId", "UnrecognizedClientException", "RequestExpired",
      "IncompleteSignature",  "MissingAuthenticationToken"};
  return std::ranges::find(codes, code) != std::end(codes);
}

}  // namespace

std::string_view text_of(const HttpAnswer& answer) { return base::as_text(answer.body); }

HttpAnswer SignedCalls::call(const ServiceCall& what) const {
  const bool posts = !what.form.empty();
  wire::ToSign to_sign{.method = posts ? "POST" : "GET",
                       .path = what.path,
                       .query = what.query,
                       .headers = {{"Host", client_.host()}},
                       .body_digest = base::sha256(what.form).hex(),
                       .send_digest = true};
  if (posts) to_sign.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  HttpAnswer answer;
  try {
    answer = client_.send(
        {.method = to_sign.method,
         .target = what.path + (what.query.empty() ? "" : "?") + what.query,
         .headers = wire::sign(to_sign, key_, {.region = region_, .service = what.service, .time = clock_.now()}),
         .body = what.form,
         .at_most = what.at_most});
  } catch (const HttpFailure& failure) {
    throw SourceFailure("region " + region_ + ": " + failure.what());
  }
  if (answer.status < 200 || answer.status > 299) refuse(what, answer);
  return answer;
}

void SignedCalls::refuse(const ServiceCall& what, const HttpAnswer& answer) const {
  const auto said = what.service == "ec2" ? ec2_refusal(text_of(answer))
                                          : json_refusal(answer.header("x-amzn-errortype"), text_of(answer));
  if (asks_to_come_again(answer.status, said.code)) {
    throw SourceFailure("region " + region_ + " answers " + std::to_string(answer.status) + " " + said.code + ": " +
                        said.message);
  }
  if (is_about_the_key(said.code)) {
    throw ApiError(
        "AuthFailure",
        "Region " + region_ + " does not accept the key that is configured for this account: " + said.message, 401);
  }
  if (said.code.empty()) {
    throw ApiError("InvalidRequest", "Region " + region_ + " answers " + std::to_string(answer.status) +
                                         " and no reason: is " + client_.server() + " a kilnd?");
  }
  throw ApiError(said.code, said.message, answer.status);
}

}  // namespace kiln::remote
