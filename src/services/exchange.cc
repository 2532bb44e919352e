#include "services/exchange.h"

#include "base/api_error.h"
#include "wire/scalar.h"

namespace kiln::services {
namespace {

http::Response with_id(http::Response response, const std::string& request_id, std::string content_type) {
  response.headers.emplace_back("Content-Type", std::move(content_type));
  response.headers.emplace_back("x-amzn-RequestId", request_id);
  return response;
}

}  // namespace

using base::ApiError;

void DialectExchange::decode(const wire::Type& type, void* request) {
  wire::decode_request(dialect_, params_, body_, type, request);
  if (rest_ != nullptr) wire::decode_bound(*rest_, type, request);
  if (recording_ == nullptr) return;
  record_members(type, request, recording_->service, recording_->region, recording_->account,
                 recording_->recorded.request, recording_->recorded);
}

void DialectExchange::read(const wire::Type& type, void* request) {
  decode(type, request);
  bool dry_run = false;
  const auto asked = dialect_.protocol == wire::Protocol::ec2 ? params_.find("DryRun") : std::nullopt;
  if (asked && !wire::parse_scalar(wire::Kind::boolean, *asked, &dry_run)) {
    throw ApiError("InvalidParameterValue", "Value (" + std::string(*asked) + ") for parameter DryRun is invalid.");
  }
  if (dry_run) throw ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412);
}

void DialectExchange::write(const wire::Type& type, const void* response) {
  content_ = wire::encode_content(dialect_, type, response);
  if (rest_ != nullptr) wire::encode_bound(type, response, headers_);
  if (recording_ == nullptr || !recording_->responses) return;
  record_members(type, response, recording_->service, recording_->region, recording_->account,
                 recording_->recorded.response, recording_->recorded);
}

http::Response to_http(wire::Reply reply, const std::string& id) {
  return with_id({.status = reply.status, .headers = std::move(reply.headers), .body = std::move(reply.body)}, id,
                 std::move(reply.content_type));
}

http::Response to_http(StreamedAnswer answer, const std::string& id) {
  return with_id(
      {.headers = std::move(answer.headers), .stream = std::move(answer.write), .stream_length = answer.length}, id,
      std::move(answer.content_type));
}

}  // namespace kiln::services
