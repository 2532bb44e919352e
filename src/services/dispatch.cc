#include "services/dispatch.h"

#include <algorithm>
#include <iterator>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/log.h"
#include "control/access.h"
#include "services/authentication.h"
#include "services/client_tokens.h"
#include "services/exchange.h"
#include "services/identify.h"
#include "services/request_body.h"
#include "services/routes.h"

namespace kiln::services {

using base::ApiError;

// One request on its way through; what is known of it grows from top to bottom.
struct Dispatch::Incoming {
  const http::Request& http;
  const std::string id = base::new_uuid();
  const wire::SignedParts parts{.method = http.method, .path = http.path, .query = http.query, .headers = http.headers};
  wire::Params params = {};
  wire::Labels labels = {};  // of a REST request's path
  std::string action = {};
  std::optional<wire::Claim> claim = {};
  const Service* service = nullptr;
  wire::Dialect dialect = fallback_dialect(http);
  control::Principal principal = {};
  std::optional<std::string> body_digest = {};  // that was signed for a body that is yet to be read
  std::string region = {};
  const Operation* operation = nullptr;
  Recorded recorded = {};
};

Dispatch::Dispatch(const control::Regions& regions, catalog::Database& catalog, base::Clock& clock,
                   const std::vector<Service>& services, base::RotatingLog* audit_log)
    : regions_(regions), catalog_(catalog), clock_(clock), services_(services), audit_log_(audit_log) {
  for (const Service& service : services_) {
    for (const auto table : service.tables) {
      for (const Operation& operation : table) operations_.emplace(std::pair(service.name, operation.name), &operation);
    }
  }
}

http::Admission Dispatch::admit(const http::Request& request) const {
  // Without the digest of its body in a header a signature can only be checked when all of the body is here.
  if (!request.header("x-amz-content-sha256")) return {};
  try {
    Incoming incoming{.http = request, .id = {}};
    const Operation* operation = identify(incoming);
    return {.stream = operation != nullptr && operation->payload == Payload::streamed};
  } catch (const std::exception&) {
    return {};  // answer() meets the same and words it
  }
}

http::Response Dispatch::answer(http::Request& request) const {
  Incoming incoming{.http = request};
  wire::Failure failure;
  http::Response response;
  try {
    response = serve(incoming);
  } catch (const ApiError& error) {
    failure = {error.code(), error.what(), status_of(error.code(), error.http_status()), error.reason()};
  } catch (const http::ConnectionLost&) {
    failure = {"RequestTimeout", "The body of the request did not arrive.", 400};
  } catch (const std::exception& error) {
    base::log_error("dispatch", "{} {}: {}", incoming.id, incoming.action, error.what());
    const auto code = incoming.service != nullptr ? incoming.service->internal_error : Service().internal_error;
    failure = {std::string(code), "An internal error has occurred. Request id: " + incoming.id, 500};
  }
  if (!failure.code.empty()) response = to_http(wire::failure(incoming.dialect, incoming.id, failure), incoming.id);
  control::audit({.request_id = incoming.id,
                  .principal = incoming.principal,
                  .region = incoming.region,
                  .service = std::string(incoming.service != nullptr ? incoming.service->name : "-"),
                  .action = incoming.action,
                  .source_ip = request.peer_address,
                  .outcome = failure.code.empty() ? "ok" : failure.code});
  record(incoming, failure);
  return response;
}

void Dispatch::record_unread(Incoming& incoming) const {
  const Recording recording{.service = incoming.service->name,
                            .region = incoming.region,
                            .account = incoming.principal.account,
                            .responses = false,
                            .recorded = incoming.recorded};
  const wire::RestSource bound{.labels = incoming.labels,
                               .query = incoming.params,
                               .header = [&](std::string_view name) { return incoming.http.header(name); }};
  const bool rest = incoming.dialect.protocol == wire::Protocol::rest_json;
  const bool streamed = incoming.operation->payload == Payload::streamed;
  DialectExchange exchange(incoming.dialect, incoming.params, streamed ? std::string_view() : incoming.http.body,
                           rest ? &bound : nullptr, &recording);
  try {
    incoming.operation->with_request([&](const wire::Type& type, void* request) { exchange.decode(type, request); });
  } catch (const ApiError&) {
    // What cannot be read is not told.
  }
}

void Dispatch::record(Incoming& incoming, const wire::Failure& failure) const {
  if (audit_log_ == nullptr) return;
  const bool known = incoming.operation != nullptr && !incoming.principal.account.empty();
  if (known && incoming.recorded.request.empty()) record_unread(incoming);
  audit_log_->write(audit_line({.time = clock_.now(),
                                .request_id = incoming.id,
                                .principal = incoming.principal,
                                .claimed_key = incoming.claim ? std::string_view(incoming.claim->access_key) : "",
                                .region = incoming.region,
                                .service = incoming.service,
                                .operation = incoming.operation,
                                .action = incoming.action,
                                .source_ip = incoming.http.peer_address,
                                .user_agent = incoming.http.header("user-agent").value_or(""),
                                .failure = failure,
                                .recorded = incoming.recorded}));
}

const Operation* Dispatch::identify(Incoming& incoming) const {
  std::optional<wire::SignatureError> bad_claim;
  try {
    incoming.claim = wire::read_claim(incoming.parts);
  } catch (const wire::SignatureError& error) {
    bad_claim = error;
  }
  // The service comes before every complaint, because it decides how to word them.
  std::optional<ApiError> bad_params;
  try {
    incoming.params = read_params(incoming.http);
  } catch (const ApiError& error) {
    bad_params = error;
  }
  incoming.action = action_of(incoming.http, incoming.params);
  incoming.service = identify_service(services_, incoming.http, incoming.claim, incoming.params);
  if (incoming.service == nullptr) {
    throw ApiError("InvalidAction", "The action " + incoming.action + " is not valid for this endpoint: the service '" +
                                        (incoming.claim ? incoming.claim->service : "?") + "' is not served here.");
  }
  incoming.dialect = incoming.service->dialect;
  if (bad_claim) throw refusal_of(incoming.dialect.protocol, *bad_claim);
  if (incoming.dialect.protocol == wire::Protocol::rest_json) return route(incoming);
  if (bad_params) throw *bad_params;
  const auto found = operations_.find({incoming.service->name, incoming.action});
  return found == operations_.end() ? nullptr : found->second;
}

const Operation* Dispatch::route(Incoming& incoming) const {
  incoming.params = wire::Params::parse_lists(incoming.http.query);
  for (const auto table : incoming.service->tables) {
    for (const Operation& operation : table) {
      auto labels = match_route(operation.route, incoming.http.method, incoming.http.path);
      if (!labels) continue;
      incoming.labels = *std::move(labels);
      incoming.action = operation.name;
      return &operation;
    }
  }
  return nullptr;
}

void Dispatch::authenticate_caller(Incoming& incoming, Payload payload) const {
  const wire::Protocol protocol = incoming.dialect.protocol;
  if (!incoming.claim) throw refusal_of_unsigned(protocol);
  std::optional<std::string_view> body = incoming.http.body;
  if (incoming.http.stream != nullptr && length_of_streamed(incoming.http) > 0) body.reset();
  try {
    auto caller = authenticate(catalog_, regions_.all().front()->key_store, incoming.parts, *incoming.claim, body,
                               payload, clock_.now());
    incoming.principal = std::move(caller.principal);
    incoming.body_digest = std::move(caller.body_digest);
  } catch (const UnknownKey&) {
    throw refusal_of_unknown_key(protocol);
  } catch (const ExpiredKey&) {
    throw refusal_of_expired_key(protocol);
  }
  incoming.principal.source_ip = incoming.http.peer_address;
  incoming.principal.user_agent = std::string(incoming.http.header("user-agent").value_or(""));
  incoming.principal.secure = incoming.http.secure;
}

control::Region& Dispatch::find_region(Incoming& incoming) const {
  control::Region* region = regions_.find(incoming.claim->region);
  if (region == nullptr && incoming.service->global && !regions_.all().empty()) region = regions_.all().front().get();
  if (region == nullptr) throw refusal_of_region(incoming.dialect.protocol, incoming.claim->region);
  incoming.region = region->name;
  return *region;
}

// What the credentials of GetSessionToken are not for: IAM, and of STS all but these two.
void Dispatch::refuse_to_session(const Incoming& incoming) {
  const auto& who = incoming.principal;
  if (who.token_issued == 0 || !who.role_arn.empty()) return;
  if (incoming.service->name == "iam") throw refusal_of_unknown_key(incoming.dialect.protocol);
  if (incoming.service->name != "sts" || incoming.action == "AssumeRole" || incoming.action == "GetCallerIdentity") {
    return;
  }
  throw ApiError("AccessDenied", "Cannot call " + incoming.action + " with session credentials", 403);
}

void Dispatch::authorise(const Incoming& incoming, control::Region& region) const {
  refuse_to_session(incoming);
  if (incoming.principal.is_root()) return;
  const Service& service = *incoming.service;
  if (service.asked == nullptr) {
    control::authorise(region, incoming.principal, {{.action = std::string(service.name) + ":" + incoming.action}});
    return;
  }
  control::authorise(region, incoming.principal,
                     service.asked({.region = region,
                                    .principal = incoming.principal,
                                    .action = incoming.action,
                                    .params = incoming.params,
                                    .labels = incoming.labels,
                                    .body = incoming.http.body}));
}

http::Response Dispatch::serve(Incoming& incoming) const try {
  const Operation* const operation = incoming.operation = identify(incoming);
  authenticate_caller(incoming, operation != nullptr ? operation->payload : Payload::buffered);
  control::Region& region = find_region(incoming);
  const bool rest = incoming.dialect.protocol == wire::Protocol::rest_json;
  if (rest && operation == nullptr) {
    throw ApiError("UnknownOperationException",
                   incoming.http.method + " " + incoming.http.path + " is no operation of this web service.", 404);
  }
  if (incoming.action.empty()) throw ApiError("MissingAction", "The request must contain the parameter Action");
  if (operation == nullptr) {
    throw ApiError("InvalidAction", "The action " + incoming.action + " is not valid for this web service.");
  }
  authorise(incoming, region);
  Call call{.region = region,
            .principal = incoming.principal,
            .request_id = incoming.id,
            .service = std::string(incoming.service->name),
            .action = incoming.action,
            .source_ip = incoming.http.peer_address,
            .user_agent = std::string(incoming.http.header("user-agent").value_or("")),
            .secure = incoming.http.secure,
            .host = std::string(incoming.http.header("host").value_or("")),
            .params = &incoming.params};
  const auto body = body_of(incoming.http, operation->payload, std::move(incoming.body_digest));
  call.body = body.get();
  if (operation->access == Access::writes) {
    call.client_token =
        client_token_of(incoming.params, region.name, call.principal.account, call.action, clock_.now());
  }
  const wire::RestSource bound{.labels = incoming.labels,
                               .query = incoming.params,
                               .header = [&](std::string_view name) { return incoming.http.header(name); }};
  const Recording recording{.service = call.service,
                            .region = region.name,
                            .account = call.principal.account,
                            .responses = operation->access == Access::writes,
                            .recorded = incoming.recorded};
  DialectExchange exchange(incoming.dialect, incoming.params, body ? std::string_view() : incoming.http.body,
                           rest ? &bound : nullptr, audit_log_ != nullptr ? &recording : nullptr);
  run(*operation, call, exchange);
  if (call.streamed_answer) {
    std::ranges::move(exchange.headers(), std::back_inserter(call.streamed_answer->headers));
    return to_http(std::move(*call.streamed_answer), incoming.id);
  }
  auto reply = wire::success(incoming.dialect, incoming.action, incoming.id, exchange.content());
  if (rest) reply.status = operation->route.status;
  if (reply.status == 204) reply.body.clear();
  std::ranges::move(exchange.headers(), std::back_inserter(reply.headers));
  return to_http(std::move(reply), incoming.id);
} catch (const wire::SignatureError& error) {
  // Of the request, or at the end of a streamed body.
  throw refusal_of(incoming.dialect.protocol, error);
}

void Dispatch::run(const Operation& operation, Call& call, Exchange& exchange) const {
  if (call.client_token) call.made_before = made_before(catalog_, *call.client_token);
  try {
    operation.answer(call, exchange);
  } catch (const catalog::DatabaseError& error) {
    // Another request with the same token got its row in first: this one is its replay.
    if (!call.client_token || error.kind() != catalog::DatabaseError::Kind::constraint) throw;
    call.made_before = made_before(catalog_, *call.client_token);
    if (call.made_before.empty()) throw;
    operation.answer(call, exchange);
  }
}

http::Response Dispatch::refuse(int status, const http::Request& request) {
  wire::Dialect dialect{.protocol = wire::Protocol::ec2};
  if (request.header("authorization").value_or("").find("/ec2/aws4_request") == std::string_view::npos) {
    dialect = fallback_dialect(request);
  }
  wire::Failure failure{"InvalidRequest", "The request is malformed.", status};
  if (status == 413) failure = {"RequestEntityTooLarge", "The request is too large.", status};
  if (status == 503) failure = {"RequestLimitExceeded", "Request limit exceeded.", status};
  if (status == 503 && dialect.protocol == wire::Protocol::rest_json) failure.code = "RequestThrottledException";
  const std::string id = base::new_uuid();
  return to_http(wire::failure(dialect, id, failure), id);
}

}  // namespace kiln::services
